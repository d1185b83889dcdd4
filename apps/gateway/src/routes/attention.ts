import { durationMs, userId } from '@carillon/contracts'
import { findCaps, findQuietHours, putCaps, putQuietHours, type QuietHoursRow } from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { type Principal, personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { CapsSchema, QuietHoursAnswer, QuietHoursSchema } from '../schemas/preferences.js'
import { ExternalId } from '../schemas/shapes.js'

const User = Type.Object({ id: ExternalId })
/** Longest window of a cap: 365 days. */
const LONGEST_MS = 365 * 86_400_000

/** Quiet hours and caps: when people aren't to be disturbed, and how often at most. */
export function addAttentionRoutes(app: Edge, deps: EdgeDeps): void {
  const read = (tenant: string, whose: string | null) =>
    deps.database.inTenant(
      tenant,
      async (tx) => {
        const found = await findQuietHours(tx, { tenant, userId: whose })
        if (found === undefined) throw notFound('user')
        const { own, tenant: shared, timezone } = found
        const by = own !== null ? ('person' as const) : shared !== null ? ('tenant' as const) : null
        return { quietHours: own ?? shared, by, timezone }
      },
      { readOnly: true },
    )
  const write = async (
    principal: Principal,
    whose: string | null,
    hours: QuietHoursRow | null,
    correlationId: string,
  ) => {
    const { tenant } = principal
    await deps.outbox.change(tenant, async (tx, tell) => {
      if (!(await putQuietHours(tx, { tenant, userId: whose }, hours))) throw notFound('user')
      const resource = whose === null ? 'tenant' : `user:${whose}`
      const action = hours === null ? 'removed' : 'put'
      tell(deps.trail.fact(principal, { area: 'quiet-hours', action, resource }, correlationId))
    })
    return read(tenant, whose)
  }
  const shape = (summary: string, tag: string) => ({
    summary,
    tags: [tag],
    response: answers({ 200: QuietHoursAnswer }),
  })
  const idOf = (tenant: string, external: string) => userId(sha256, tenant, external)

  app.get('/quiet-hours', { schema: shape('Quiet hours of everybody', 'preferences') }, (request) =>
    read(principalOf(request).tenant, null),
  )
  app.put(
    '/quiet-hours',
    { schema: { ...shape('Change the quiet hours of everybody', 'preferences'), body: QuietHoursSchema } },
    (request) => write(principalOf(request), null, request.body, request.id),
  )
  app.delete(
    '/quiet-hours',
    { schema: shape('Take the quiet hours of everybody away', 'preferences') },
    (request) => write(principalOf(request), null, null, request.id),
  )
  app.get(
    '/users/:id/quiet-hours',
    { schema: { ...shape('Quiet hours of a user', 'preferences'), params: User } },
    (request) => {
      const { tenant } = principalOf(request)
      return read(tenant, idOf(tenant, request.params.id))
    },
  )
  app.put(
    '/users/:id/quiet-hours',
    {
      schema: {
        ...shape('Change the quiet hours of a user', 'preferences'),
        params: User,
        body: QuietHoursSchema,
      },
    },
    (request) => {
      const principal = principalOf(request)
      return write(principal, idOf(principal.tenant, request.params.id), request.body, request.id)
    },
  )
  app.delete(
    '/users/:id/quiet-hours',
    { schema: { ...shape("Take a user's own quiet hours away", 'preferences'), params: User } },
    (request) => {
      const principal = principalOf(request)
      return write(principal, idOf(principal.tenant, request.params.id), null, request.id)
    },
  )
  app.get('/me/quiet-hours', { schema: shape('My quiet hours', 'me') }, (request) => {
    const me = personOf(request)
    return read(me.tenant, me.id)
  })
  app.put(
    '/me/quiet-hours',
    { schema: { ...shape('Change my quiet hours', 'me'), body: QuietHoursSchema } },
    (request) => {
      const me = personOf(request)
      return write(me, me.id, request.body, request.id)
    },
  )
  app.delete('/me/quiet-hours', { schema: shape('Take my own quiet hours away', 'me') }, (request) => {
    const me = personOf(request)
    return write(me, me.id, null, request.id)
  })
  addCapRoutes(app, deps)
}

function addCapRoutes(app: Edge, deps: EdgeDeps): void {
  const shape = { tags: ['preferences'], response: answers({ 200: CapsSchema }) }
  app.get(
    '/caps',
    { schema: { ...shape, summary: 'How often one person is disturbed at most' } },
    async (request) => {
      const { tenant } = principalOf(request)
      return { caps: await deps.database.inTenant(tenant, (tx) => findCaps(tx, tenant), { readOnly: true }) }
    },
  )
  app.put(
    '/caps',
    { schema: { ...shape, summary: 'Change how often one person is disturbed at most', body: CapsSchema } },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { caps } = request.body
      caps.forEach(({ per }, index) => {
        if ((durationMs(per) as number) <= LONGEST_MS) return
        throw new HttpProblem(400, 'VALIDATION', `${per} is longer than 365d.`, {
          field: `caps.${index}.per`,
        })
      })
      await deps.outbox.change(tenant, async (tx, tell) => {
        await putCaps(tx, tenant, caps)
        tell(deps.trail.fact(principal, { area: 'caps', action: 'put', resource: 'tenant' }, request.id))
      })
      return { caps }
    },
  )
}
