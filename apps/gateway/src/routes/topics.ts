import { isTopic, TOPIC_PATTERN, userId } from '@carillon/contracts'
import {
  existingUsers,
  findUser,
  listSubscribers,
  listTopics,
  subscribe,
  subscribeAll,
  unsubscribe,
} from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { type Principal, personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { ExternalId, LimitText, limitOf } from '../schemas/shapes.js'

/** As long as a subscription can keep it. */
const MAX_TOPIC = 128
const MOST_AT_ONCE = 1_000

const TopicName = Type.String({
  minLength: 1,
  maxLength: MAX_TOPIC,
  description: `1 to 8 parts joined by dots (${TOPIC_PATTERN}): who hears \`city\` hears \`city.vienna\` too.`,
})
const Topic = Type.Object({ topic: TopicName })
const Subscription = Type.Object({ topic: TopicName, user: ExternalId })
const Subscribers = Type.Object(
  { users: Type.Array(ExternalId, { minItems: 1, maxItems: MOST_AT_ONCE }) },
  { additionalProperties: false },
)
const Page = <T extends typeof ExternalId>(after: T) =>
  Type.Object(
    { after: Type.Optional(after), limit: Type.Optional(LimitText) },
    { additionalProperties: false },
  )
const Next = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const TopicsAnswer = Type.Object({ topics: Type.Array(Type.String()), next: Next })
const tags = ['topics']

/** Who hears which topic. */
export function addTopicRoutes(app: Edge, deps: EdgeDeps): void {
  const change = async (
    principal: Principal,
    wanted: { topic: string; userId: string; on: boolean },
    correlationId: string,
  ): Promise<void> => {
    const { tenant } = principal
    const { topic, userId: id, on } = wanted
    if (on) checkTopic(topic)
    await deps.outbox.change(tenant, async (tx, tell) => {
      if ((await findUser(tx, { tenant, id })) === undefined) throw notFound('user')
      const subscription = { tenant, topic, userId: id }
      const changed = on ? await subscribe(tx, subscription) : await unsubscribe(tx, subscription)
      if (!changed) return
      const action = on ? 'subscribed' : 'unsubscribed'
      const fact = { area: 'topics', action, resource: `topic:${topic}`, details: { user: id } }
      tell(deps.trail.fact(principal, fact, correlationId))
    })
  }
  const topicsOf = (
    who: { tenant: string; userId: string },
    query: { after?: string | undefined; limit?: string | undefined },
  ) =>
    deps.database.inTenant(
      who.tenant,
      async (tx) => {
        if ((await findUser(tx, { tenant: who.tenant, id: who.userId })) === undefined) throw notFound('user')
        const limit = limitOf(query.limit)
        const topics = await listTopics(tx, { ...who, after: query.after, limit })
        return { topics, next: nextOf(topics, limit) }
      },
      { readOnly: true },
    )

  app.get(
    '/topics/:topic/subscribers',
    {
      schema: {
        summary: 'Who subscribed to a topic',
        description: 'Its own subscribers; those of its parts and of what it belongs to hear it too.',
        tags,
        params: Topic,
        querystring: Page(ExternalId),
        response: answers({ 200: Type.Object({ subscribers: Type.Array(Type.String()), next: Next }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const limit = limitOf(request.query.limit)
      const page = { tenant, topic: request.params.topic, after: request.query.after, limit }
      const subscribers = await deps.database.inTenant(tenant, (tx) => listSubscribers(tx, page), {
        readOnly: true,
      })
      return { subscribers, next: nextOf(subscribers, limit) }
    },
  )
  app.post(
    '/topics/:topic/subscribers',
    {
      schema: {
        summary: 'Subscribe many users',
        description: `Up to ${MOST_AT_ONCE}. Those nobody knows are named in the answer; the others are subscribed.`,
        tags,
        params: Topic,
        body: Subscribers,
        response: answers({
          200: Type.Object({ added: Type.Integer(), unknown: Type.Array(Type.String()) }),
        }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { topic } = request.params
      checkTopic(topic)
      const wanted = new Map(request.body.users.map((name) => [userId(sha256, tenant, name), name]))
      const ids = [...wanted.keys()]
      return deps.outbox.change(tenant, async (tx, tell) => {
        const added = (await subscribeAll(tx, { tenant, topic, userIds: ids })).length
        const existing = await existingUsers(tx, { tenant, ids })
        if (added > 0) {
          const fact = {
            area: 'topics',
            action: 'subscribed',
            resource: `topic:${topic}`,
            details: { users: added },
          }
          tell(deps.trail.fact(principal, fact, request.id))
        }
        return { added, unknown: [...wanted].filter(([id]) => !existing.has(id)).map(([, name]) => name) }
      })
    },
  )
  for (const method of ['PUT', 'DELETE'] as const) {
    const on = method === 'PUT'
    const verb = on ? 'Subscribe' : 'Unsubscribe'
    app.route<{ Params: { topic: string; user: string } }>({
      method,
      url: '/topics/:topic/subscribers/:user',
      schema: {
        summary: `${verb} a user`,
        tags,
        params: Subscription,
        response: answers({ 204: Type.Null() }),
      },
      handler: async (request, reply) => {
        const principal = principalOf(request)
        const { topic, user } = request.params
        const id = userId(sha256, principal.tenant, user)
        await change(principal, { topic, userId: id, on }, request.id)
        return reply.code(204).send()
      },
    })
    app.route<{ Params: { topic: string } }>({
      method,
      url: '/me/topics/:topic',
      schema: { summary: `${verb} me`, tags: ['me'], params: Topic, response: answers({ 204: Type.Null() }) },
      handler: async (request, reply) => {
        const me = personOf(request)
        await change(me, { topic: request.params.topic, userId: me.id, on }, request.id)
        return reply.code(204).send()
      },
    })
  }
  app.get(
    '/me/topics',
    {
      schema: {
        summary: 'What I subscribed to',
        tags: ['me'],
        querystring: Page(TopicName),
        response: answers({ 200: TopicsAnswer }),
      },
    },
    (request) => {
      const me = personOf(request)
      return topicsOf({ tenant: me.tenant, userId: me.id }, request.query)
    },
  )
  app.get(
    '/users/:id/topics',
    {
      schema: {
        summary: 'What a user subscribed to',
        tags,
        params: Type.Object({ id: ExternalId }),
        querystring: Page(TopicName),
        response: answers({ 200: TopicsAnswer }),
      },
    },
    (request) => {
      const { tenant } = principalOf(request)
      return topicsOf({ tenant, userId: userId(sha256, tenant, request.params.id) }, request.query)
    },
  )
}

/** @throws HttpProblem 400 */
function checkTopic(topic: string): void {
  if (isTopic(topic)) return
  throw new HttpProblem(
    400,
    'VALIDATION',
    'A topic has 1 to 8 parts of letters, digits, "_" and "-", joined by dots: city.vienna. Name it so.',
    { field: 'topic' },
  )
}

function nextOf(page: readonly string[], limit: number): string | null {
  return page.length === limit ? (page.at(-1) ?? null) : null
}
