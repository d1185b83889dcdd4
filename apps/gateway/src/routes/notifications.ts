import { STREAMS } from '@carillon/contracts'
import { createCelCompiler } from '@carillon/decisions'
import {
  attemptsOf,
  deliveriesOf,
  findRun,
  isPublished,
  listCategories,
  type RunRecord,
  receiptsOf,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { arrivalOf } from '../arrival.js'
import { timelineOf } from '../delivery-timeline.js'
import type { EdgeDeps } from '../edge-deps.js'
import { NOTIFICATION_TYPE, TRIGGER_TYPE } from '../event-types.js'
import { deliverySummary, explainRuns, runSummary } from '../explained.js'
import { ownEvent } from '../incoming-event.js'
import { eventMessage } from '../outgoing-event.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { AcceptedSchema, NotificationSchema, TriggerSchema } from '../schemas/events.js'
import { Key, Uuid } from '../schemas/shapes.js'

const Id = Type.Object({ id: Uuid })
const anything = Type.Object({}, { additionalProperties: true })

/** Triggers, direct notifications, and what became of a notification. */
export function addNotificationRoutes(app: Edge, deps: EdgeDeps): void {
  const send = async (
    request: FastifyRequest,
    made: { type: string; data: unknown; area: string; action: string; resource: string },
  ) => {
    const principal = principalOf(request)
    const event = ownEvent(made.type, made.data, arrivalOf(request, deps.now()))
    const deed = {
      area: made.area,
      action: made.action,
      resource: made.resource,
      details: { event: event.id },
    }
    const message = eventMessage(event)
    await deps.spend(request, 1)
    await deps.publisher.publish(STREAMS.events, message)
    await deps.trail.publish(principal, deed, request.id)
    return { id: event.id, source: event.source, type: event.type }
  }

  app.post(
    '/workflows/:key/trigger',
    {
      schema: {
        summary: 'Begin a workflow',
        tags: ['workflows'],
        params: Type.Object({ key: Key }),
        body: TriggerSchema,
        response: answers({ 202: AcceptedSchema }),
      },
    },
    async (request, reply) => {
      const { tenant } = principalOf(request)
      const { key } = request.params
      const known = await deps.database.inTenant(tenant, (tx) => isPublished(tx, { tenant, key }), {
        readOnly: true,
      })
      if (!known) {
        throw new HttpProblem(404, 'WORKFLOW_UNKNOWN', `There is no published workflow "${key}".`, {
          field: 'key',
        })
      }
      const { to, data = {}, actor, excludeActor } = request.body
      assertSegments(to)
      const accepted = await send(request, {
        type: TRIGGER_TYPE,
        data: {
          workflow: key,
          to,
          data,
          ...(actor === undefined ? {} : { actor }),
          ...(excludeActor === undefined ? {} : { excludeActor }),
        },
        area: 'workflows',
        action: 'triggered',
        resource: `workflow:${key}`,
      })
      deps.events.accepted('trigger', 1)
      return reply.code(202).send(accepted)
    },
  )

  app.post(
    '/notifications',
    {
      schema: {
        summary: 'Send a notification without a workflow',
        tags: ['notifications'],
        body: NotificationSchema,
        response: answers({ 202: AcceptedSchema }),
      },
    },
    async (request, reply) => {
      const { tenant } = principalOf(request)
      assertSegments(request.body.to)
      const { to, channels = ['inbox'], push, category, lane, expires, data, ...content } = request.body
      if (content.title === undefined && content.body === undefined && push?.silent !== true) {
        throw new HttpProblem(400, 'VALIDATION', 'A notification needs a title or a body.', {
          field: 'title',
        })
      }
      if (category !== undefined) {
        const known = await deps.database.inTenant(tenant, (tx) => listCategories(tx, tenant), {
          readOnly: true,
        })
        if (!known.some((one) => one.key === category)) {
          throw new HttpProblem(404, 'CATEGORY_UNKNOWN', `There is no category "${category}".`, {
            field: 'category',
          })
        }
      }
      if (lane !== undefined) request.headers['carillon-lane'] = lane
      const accepted = await send(request, {
        type: NOTIFICATION_TYPE,
        data: {
          to,
          content,
          channels,
          ...(push === undefined ? {} : { push }),
          ...(category === undefined ? {} : { category }),
          ...(lane === undefined ? {} : { lane }),
          ...(expires === undefined ? {} : { expires }),
          ...(data === undefined ? {} : { data }),
        },
        area: 'notifications',
        action: 'sent',
        resource: 'notification',
      })
      deps.events.accepted('notification', 1)
      return reply.code(202).send(accepted)
    },
  )

  const view = <T>(
    request: FastifyRequest,
    id: string,
    read: (run: RunRecord, tx: Parameters<typeof findRun>[0], tenant: string) => T | Promise<T>,
  ): Promise<T> => {
    const principal = principalOf(request)
    const { tenant } = principal
    // a person sees their own and nothing else
    const userId = principal.kind === 'user' ? principal.id : undefined
    return deps.database.inTenant(
      tenant,
      async (tx) => {
        const run = await findRun(tx, { tenant, id, userId })
        if (run === undefined) throw notFound('notification')
        return read(run, tx, tenant)
      },
      { readOnly: true },
    )
  }

  app.get(
    '/notifications/:id',
    {
      schema: {
        summary: 'One notification',
        tags: ['notifications'],
        params: Id,
        response: answers({ 200: anything }),
      },
    },
    (request) =>
      view(request, request.params.id, (run) => ({ ...runSummary(run), content: run.content ?? null })),
  )

  app.get(
    '/notifications/:id/status',
    {
      schema: {
        summary: 'Where its deliveries stand',
        tags: ['notifications'],
        params: Id,
        response: answers({ 200: anything }),
      },
    },
    (request) =>
      view(request, request.params.id, async (run, tx, tenant) => ({
        id: run.id,
        state: run.state,
        reason: run.reason,
        deliveries: (await deliveriesOf(tx, { tenant, ids: [run.id] })).map(deliverySummary),
      })),
  )

  app.get(
    '/notifications/:id/deliveries',
    {
      schema: {
        summary: 'Each delivery in the order of time',
        description: 'Queued, each attempt, what came back, sent again, how it ended.',
        tags: ['notifications'],
        params: Id,
        response: answers({ 200: anything }),
      },
    },
    (request) =>
      view(request, request.params.id, async (run, tx, tenant) => {
        const of = { tenant, ids: [run.id] }
        const deliveries = await deliveriesOf(tx, of)
        const facts = { attempts: await attemptsOf(tx, of), receipts: await receiptsOf(tx, of) }
        return {
          id: run.id,
          deliveries: deliveries.map((delivery) => ({
            ...deliverySummary(delivery),
            timeline: timelineOf(delivery, facts),
          })),
        }
      }),
  )

  app.get(
    '/notifications/:id/explain',
    {
      schema: {
        summary: 'Why it came as it came',
        tags: ['notifications'],
        params: Id,
        response: answers({ 200: anything }),
      },
    },
    (request) =>
      view(request, request.params.id, async (run, tx, tenant) => {
        const asPerson = principalOf(request).kind === 'user'
        const [explained] = await explainRuns(tx, { tenant, runs: [run], asPerson })
        return explained
      }),
  )
}

/** A segment that can't be judged is refused here, not when everybody should have been told something. */
function assertSegments(to: unknown): void {
  for (const entry of Array.isArray(to) ? to : [to]) {
    const segment = (entry as { segment?: unknown } | null)?.segment
    if (typeof segment !== 'string') continue
    const compiled = createCelCompiler().compile(segment, 'person')
    if (!compiled.ok)
      throw new HttpProblem(400, 'VALIDATION', `${segment}: ${compiled.problem}`, { field: 'to.segment' })
  }
}
