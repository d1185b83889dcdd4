import { ContractError, isUuid, STREAMS } from '@carillon/contracts'
import { type EventRecord, fanoutsOfEvent, runsOfEvent } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { arrivalOf } from '../arrival.js'
import type { EdgeDeps } from '../edge-deps.js'
import { runSummary } from '../explained.js'
import { eventBy } from '../find-event.js'
import { type Arrival, binaryEvent, type PlainEvent, plainEvent, structuredEvent } from '../incoming-event.js'
import { type EdgeEvent, eventMessage } from '../outgoing-event.js'
import { MEDIA } from '../parsers.js'
import { principalOf } from '../principal.js'
import { answers, decodedByHandler, type Edge } from '../route.js'
import {
  AcceptedSchema,
  CloudEventBatchSchema,
  CloudEventSchema,
  PlainEventSchema,
} from '../schemas/events.js'
import { LimitText, limitOf } from '../schemas/shapes.js'

const EventQuery = Type.Object(
  {
    source: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'With it, id is the CloudEvents id.' }),
    ),
    after: Type.Optional(Type.String({ maxLength: 36 })),
    limit: Type.Optional(LimitText),
  },
  { additionalProperties: false },
)
const EventParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 512 }) })

export function addEventRoutes(app: Edge, deps: EdgeDeps): void {
  app.post(
    '/events',
    {
      schema: {
        summary: 'Publish events',
        description:
          'CloudEvents structured, batch or binary (`ce-*` headers, any of JSON or text as data), or plain JSON. 202 once they are on disk. `Carillon-Lane` or the extension `lane` choose the lane.',
        tags: ['events'],
        body: {
          content: {
            [MEDIA.json]: { schema: PlainEventSchema },
            [MEDIA.event]: { schema: CloudEventSchema },
            [MEDIA.events]: { schema: CloudEventBatchSchema },
            [MEDIA.text]: { schema: Type.String({ description: 'Data of a CloudEvent in binary mode.' }) },
          },
        },
        response: answers({ 202: AcceptedSchema }),
      },
      // the decoder names attribute and index; a second walk over the body would say less
      validatorCompiler: decodedByHandler,
    },
    async (request, reply) => {
      const events = readEvents(request, arrivalOf(request, deps.now()))
      const messages = events.map((event, index) => indexed(events, index, () => eventMessage(event)))
      await deps.spend(request, messages.length)
      const outcomes =
        messages.length === 1
          ? [await deps.publisher.publish(STREAMS.events, messages[0] as (typeof messages)[number])]
          : await deps.publisher.publishAll(STREAMS.events, messages)
      for (const outcome of outcomes) {
        if (typeof outcome !== 'number' && !outcome.ok) throw outcome.error
      }
      deps.events.accepted('event', events.length)
      const names = events.map(({ id, source, type }) => ({ id, source, type }))
      return reply
        .code(202)
        .send(Array.isArray(request.body) && isBatch(request) ? { events: names } : names[0])
    },
  )

  app.get(
    '/events/:id',
    {
      schema: {
        summary: 'One event and its consequences',
        description: 'By our id, or with `source` by the CloudEvents id.',
        tags: ['events'],
        params: EventParams,
        querystring: EventQuery,
        response: answers({ 200: Type.Object({}, { additionalProperties: true }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { after, limit } = request.query
      const event = await eventBy(deps, { tenant, id: request.params.id, source: request.query.source })
      const { runs, fanouts } = await deps.database.inTenant(
        tenant,
        async (tx) => ({
          runs: await runsOfEvent(tx, {
            tenant,
            eventId: event.id,
            after: uuidOr(after),
            limit: limitOf(limit),
          }),
          fanouts: await fanoutsOfEvent(tx, { tenant, id: event.id }),
        }),
        { readOnly: true },
      )
      return {
        ...shown(event),
        fanouts,
        runs: runs.map(runSummary),
        next: runs.length === limitOf(limit) ? (runs.at(-1)?.id ?? null) : null,
      }
    },
  )
}

const isBatch = (request: FastifyRequest): boolean =>
  request.headers['content-type']?.toLowerCase().startsWith(MEDIA.events) === true

function readEvents(request: FastifyRequest, arrival: Arrival): EdgeEvent[] {
  const { headers, body } = request
  if (headers['ce-specversion'] !== undefined || headers['ce-type'] !== undefined) {
    return [binaryEvent(headers, request.bodyText ?? '', arrival)]
  }
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === MEDIA.event) return [structuredEvent(body, arrival)]
  if (type === MEDIA.events) return readBatch(body, arrival)
  if (type !== MEDIA.json) {
    throw new HttpProblem(
      type === undefined ? 400 : 415,
      type === undefined ? 'EVENT_INVALID' : 'UNSUPPORTED_MEDIA_TYPE',
      'Send a CloudEvent (structured, batch, or binary with ce-* headers) or application/json with a type.',
    )
  }
  return [plainEvent(asPlain(body), arrival)]
}

const PLAIN_FIELDS = new Set(Object.keys(PlainEventSchema.properties))

function asPlain(body: unknown): PlainEvent {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ContractError('EVENT_INVALID', 'Send a JSON object with `type` and `data`.', 'body')
  }
  for (const name in body) {
    if (!PLAIN_FIELDS.has(name)) {
      throw new ContractError(
        'EVENT_INVALID',
        `"${name.slice(0, 64)}" is not known here; what belongs to the event goes into \`data\`. CloudEvents are sent as ${MEDIA.event}.`,
        name.slice(0, 64),
      )
    }
  }
  return body as PlainEvent
}

function readBatch(body: unknown, arrival: Arrival): EdgeEvent[] {
  if (!Array.isArray(body) || body.length === 0 || body.length > 1000) {
    throw new ContractError('EVENT_INVALID', 'A batch is an array of 1 to 1,000 CloudEvents.', 'body')
  }
  return body.map((entry, index) => indexed(body, index, () => structuredEvent(entry, arrival)))
}

/** In a batch, what is wrong is named with the event's place. */
function indexed<T>(batch: readonly unknown[], index: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (batch.length === 1 || !(error instanceof ContractError)) throw error
    throw new ContractError(
      error.code,
      `Event ${index}: ${error.message}`,
      error.field === undefined ? `[${index}]` : `[${index}].${error.field}`,
    )
  }
}

function shown(event: EventRecord): Record<string, unknown> {
  return { ...event, firstSeen: event.firstSeen.toISOString() }
}

function uuidOr(value: string | undefined): string | undefined {
  if (value === undefined || isUuid(value)) return value
  throw new HttpProblem(400, 'VALIDATION', '`after` is the last id of the page before.', { field: 'after' })
}
