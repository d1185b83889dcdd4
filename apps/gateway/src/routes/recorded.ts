import { isTopic, lowestIdAt, timeOfId, userId } from '@carillon/contracts'
import { listMembers, listRecordedEvents, loadRecordedRules, lookUpPeople } from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { ExternalId } from '../schemas/shapes.js'

const MOST_EVENTS = 1_000
const MOST_PEOPLE = 500
const MOST_MEMBERS = 50_000

const EventsQuery = Type.Object(
  {
    types: Type.String({
      minLength: 1,
      maxLength: 4_000,
      description: 'Event types, joined by commas; a trailing `.*` stands for every type below.',
    }),
    after: Type.Optional(
      Type.String({ format: 'uuid', description: '`next` of the page before; absent: from `since`.' }),
    ),
    since: Type.Optional(Type.String({ format: 'date-time' })),
    until: Type.Optional(Type.String({ format: 'date-time' })),
    limit: Type.Optional(
      Type.String({
        pattern: '^([1-9][0-9]{0,2}|1000)$',
        description: `1 to ${MOST_EVENTS}; 200 unless said.`,
      }),
    ),
  },
  { additionalProperties: false },
)
const Lookup = Type.Object(
  { ids: Type.Array(ExternalId, { minItems: 1, maxItems: MOST_PEOPLE }) },
  { additionalProperties: false },
)
const Members = Type.Union([
  Type.Object({ role: Type.String({ minLength: 1, maxLength: 64 }) }, { additionalProperties: false }),
  Type.Object({ topic: Type.String({ minLength: 1, maxLength: 128 }) }, { additionalProperties: false }),
  Type.Object({ everyone: Type.Literal(true) }, { additionalProperties: false }),
])
const open = (fields: Parameters<typeof Type.Object>[0]) =>
  Type.Object(fields, { additionalProperties: true })
const Next = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const tags = ['recorded']

/** What has happened and what decisions rest on: enough to judge it again, as backtests do. Reads only. */
export function addRecordedRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/events',
    {
      schema: {
        summary: 'Recorded events of some types, oldest first',
        description:
          'With their data. Ask on with `after` until `next` is null; a page may hold fewer than `limit`.',
        tags,
        querystring: EventsQuery,
        response: answers({ 200: Type.Object({ events: Type.Array(open({})), next: Next }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { types, after, since, until, limit = '200' } = request.query
      const from = after ?? lowestIdAt(momentOf(since, 0))
      const page = {
        tenant,
        types: types.split(','),
        after: from,
        until: lowestIdAt(momentOf(until, deps.now() + 60_000)),
        limit: Number(limit),
      }
      const rows = await deps.database.inTenant(tenant, (tx) => listRecordedEvents(tx, page), {
        readOnly: true,
      })
      const events = rows.map((row) => ({ ...row, firstSeen: new Date(timeOfId(row.id)).toISOString() }))
      return { events, next: rows.at(-1)?.id ?? null }
    },
  )
  app.post(
    '/people/lookup',
    {
      schema: {
        summary: 'People as decisions see them',
        description: `Up to ${MOST_PEOPLE} by id; of devices only kind and app. Unknown ones are left out.`,
        tags,
        body: Lookup,
        response: answers({ 200: Type.Object({ people: Type.Array(open({})) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const ids = [...new Set(request.body.ids)].map((id) => userId(sha256, tenant, id))
      const people = await deps.database.inTenant(tenant, (tx) => lookUpPeople(tx, { tenant, ids }), {
        readOnly: true,
      })
      return { people }
    },
  )
  app.post(
    '/people/members',
    {
      schema: {
        summary: 'Ids of the active people of a group',
        description: `Of a role, of a topic with its parts, or everyone; at most about ${MOST_MEMBERS}, and whether there are more.`,
        tags,
        body: Members,
        response: answers({ 200: Type.Object({ ids: Type.Array(Type.String()), more: Type.Boolean() }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { role, topic, everyone } = request.body as { role?: string; topic?: string; everyone?: true }
      if (topic !== undefined && !isTopic(topic)) {
        throw new HttpProblem(400, 'VALIDATION', `"${topic}" is no topic; write one like city.vienna.`, {
          field: 'topic',
        })
      }
      const audience = {
        tenant,
        roles: role === undefined ? [] : [role],
        topics: topic === undefined ? [] : [topic],
        everyone: everyone === true,
      }
      const { members, more } = await deps.database.inTenant(
        tenant,
        (tx) => listMembers(tx, audience, MOST_MEMBERS),
        { readOnly: true },
      )
      return { ids: members.map(({ externalId }) => externalId), more }
    },
  )
  app.get(
    '/rules',
    {
      schema: {
        summary: 'What the tenant has decided for all its people',
        description: 'Categories, default preferences, quiet hours, caps and published templates.',
        tags,
        response: answers({ 200: open({}) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rules = await deps.database.inTenant(tenant, (tx) => loadRecordedRules(tx, tenant), {
        readOnly: true,
      })
      if (rules === undefined) throw notFound('tenant')
      return rules
    },
  )
}

function momentOf(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : Date.parse(text)
}
