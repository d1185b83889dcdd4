import { eventually, useRedis } from '@carillon/testkit'
import t from 'tap'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { answerRules, signToken, useLive, useNode } from './mesh.js'
import { usePresence } from './presence-nodes.js'

interface Media {
  schema: TSchema
  example?: unknown
}
type Content = Record<string, Media>
interface Operation {
  summary?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: { in: string; name: string; schema: object }[]
  requestBody?: { content: Content }
  responses: Record<string, { description: string; content?: Content }>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: Record<string, object> }
}

/** What a value has that its schema doesn't tell of. */
function untold(schema: TSchema, value: unknown, at = ''): string[] {
  const { properties, items } = schema as { properties?: Record<string, TSchema>; items?: TSchema }
  if (Array.isArray(value)) return items === undefined ? [] : value.flatMap((one) => untold(items, one, at))
  if (properties === undefined || typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = properties[name]
    return known === undefined ? [`${at}/${name}`] : untold(known, inner, `${at}/${name}`)
  })
}

t.test('every way in is described, and what comes back is what was said', async (t) => {
  const { nats, connection } = await useLive(t)
  const redis = await useRedis(t)
  const node = await useNode(t, nats.url, {}, redis.url)
  await answerRules(t, connection, [])
  const answer = await fetch(`${node.url}/openapi.json`)
  t.equal(answer.status, 200)
  const document = (await answer.json()) as Document
  t.match(document.openapi, /^3\.1/)
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  )
  // a preflight and a HEAD say nothing of their own
  const ways = node.routes.filter((route) => !/^(OPTIONS|HEAD) |\/openapi\.json$/.test(route))
  t.same(described.sort(), [...new Set(ways)].sort(), 'all routes, and no others')
  t.ok(described.length >= 11)

  const schemes = document.components.securitySchemes
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const name = `${method} ${path}`
      t.match(operation, { summary: /./, tags: ['realtime'], security: Array }, name)
      for (const scheme of (operation.security ?? []).flatMap((one) => Object.keys(one)))
        t.ok(schemes[scheme], `${name}: ${scheme}`)
      const told = (operation.parameters ?? []).filter((one) => one.in === 'path').map((one) => one.name)
      t.same(
        told,
        [...path.matchAll(/\{(\w+)\}/g)].map(([, one]) => one),
        `${name}: what stands in the path`,
      )
      t.ok(method === 'get' || path.endsWith('/ticket') || operation.requestBody, `${name}: its body`)
      for (const [status, { description }] of Object.entries(operation.responses))
        t.notMatch(status.startsWith('2') && description, /^$/, `${name}: ${status}`)
      t.match(operation.responses, { '4XX': { content: { 'application/problem+json': {} } } }, name)
    }
  }

  const token = await signToken({
    channels: { 'room:ride-9': ['subscribe', 'publish', 'history', 'presence'] },
  })
  const elsewhere = await usePresence(t, { natsUrl: nats.url, redisUrl: redis.url }, 'elsewhere')
  elsewhere.joined({ tenant: 'acme', id: 'ride-9' }, { user: 'ben', client: 'c1', info: { name: 'Ben' } })
  const call = async (way: string, query = '', body?: unknown) => {
    const [method = '', path = ''] = way.split(' ')
    const response = await fetch(`${node.url}${path.replace('{channel}', 'room:ride-9')}${query}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const value: unknown = await response.json()
    const responses = document.paths[path]?.[method.toLowerCase()]?.responses ?? {}
    const said = responses[response.status] ?? responses[`${Math.floor(response.status / 100)}XX`]
    const type = String(response.headers.get('content-type')).split(';')[0] as string
    const schema = said?.content?.[type]?.schema
    if (schema === undefined) throw new Error(`${way} answered ${response.status} as ${type}`)
    t.ok(Value.Check(schema, value), `${way}${query}: ${JSON.stringify(value)}`)
    t.same(untold(schema, value), [], `${way}${query} is told in full`)
    return { status: response.status, value }
  }
  const room = '/v1/me/channels/{channel}'
  const example = document.paths[`${room}/publish`]?.post?.requestBody?.content['application/json']?.example
  t.ok(example, 'an example')
  t.equal((await call(`POST ${room}/publish`, '', example)).status, 200)
  await eventually(async () => {
    const { value } = await call(`GET ${room}/presence`)
    return (value as { members: unknown[] }).members.length === 1
  })
  t.equal((await call(`GET ${room}/presence-stats`)).status, 200)
  t.equal((await call(`GET ${room}/history`, '?limit=5')).status, 200)
  t.equal((await call('POST /v1/sse/ticket')).status, 201)
  const first = await call('GET /v1/poll', '?channel=user&channel=room:ride-9')
  const { last_event_id: id } = first.value as { last_event_id: string }
  await call(`POST ${room}/publish`, '', { data: { text: 'again' } })
  const next = await call('GET /v1/poll', `?channel=room:ride-9&last_event_id=${id}`)
  t.match(next.value, { events: [{ event: 'room:ride-9', data: { data: { text: 'again' } } }] })
  t.match((await call('GET /v1/poll', '?channel=room:ride-9&last_event_id=x')).value, { reset: [{}] })
  t.equal((await call(`GET ${room}/history`, '?limit=x')).status, 400)
  t.equal((await call('GET /v1/poll', '?wait=x')).status, 400)
  t.equal((await call('GET /v1/sse', '?channel=room:other')).status, 403)
  t.equal((await call('POST /v1/emulation', '', {})).status, 400)
  t.equal((await call('GET /v1/poll', '?wait=0&lang=de')).status, 200, 'what nobody knows is passed over')
})
