import type { FastifyInstance } from 'fastify'
import { addDeviceRoutes } from './dev/device-routes.js'
import type { DkimKeys } from './dev/dkim.js'
import type { DevEdge } from './dev/edge.js'
import { addMailRoutes } from './dev/mail-routes.js'
import { OUTAGES, type Outage, outageReply, outagesOf } from './dev/outages.js'
import { addPageFiles } from './dev/page-files.js'
import { pageMessage } from './dev/page-message.js'
import { PROVIDERS, PUSH_KINDS, pageState } from './dev/page-state.js'
import { problem } from './dev/problem.js'
import type { SimulatedProvider } from './inbox.js'
import { openMessageStream } from './message-stream.js'
import type { SmtpSimulator } from './smtp.js'
import type { Simulators } from './start.js'

/** What the page is told about whom it shows. */
export interface DevSession {
  /** A user token, for `/v1/sse` and `/v1/inbox`. */
  token: string
  /** The person's name. */
  user: string
  /** One line that rings from a terminal. */
  curl: string
  /** The workflow whose saving changes the next ring. */
  workflowFile: string
  /** Where an application of this person is, on this origin; absent where there is none. */
  app?: string
}

/** What the composer brings; all of it is called only when the page asks. */
export interface DevInboxDeps {
  simulators: Simulators
  /** Publishes the event that rings every bell. `at`: milliseconds when it was accepted. */
  ring(): Promise<{ eventId: string; at: number }>
  session(): Promise<DevSession>
  edge: DevEdge
  mail?: {
    /** The server behind the second account. */
    backup?: SmtpSimulator
    /** Keys that DKIM signatures are checked with. */
    keys?: DkimKeys
  }
  /** Host names besides localhost and loopback addresses under which the page may be opened. */
  hosts?: readonly string[]
}

/**
 * The dev inbox as a Fastify plugin: the page at `/`, its parts under `/dev/`. It answers only under a local host
 * name, since it hands out a user token, and changes nothing without the header `x-carillon-dev`, which no other
 * origin can send. For development only, like the simulators it shows.
 */
export async function devInbox(app: FastifyInstance, deps: DevInboxDeps): Promise<void> {
  const { simulators, edge } = deps
  const outages = new Map<SimulatedProvider, Outage>()
  const state = () => pageState({ simulators, outages, backup: deps.mail?.backup })
  const streams = openMessageStream({
    messages: () => simulators.inbox.list().map(pageMessage),
    state,
  })

  guardHost(app, deps.hosts ?? [])
  await addPageFiles(app)
  app.get('/dev/session', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return deps.session()
  })
  app.post('/dev/ring', () => deps.ring())
  app.get<{ Params: { id: string } }>('/dev/explain/:id', async ({ params: { id } }, reply) => {
    return (await edge.explain(id)) ?? problem(reply, 404, 'Nothing is known of this notification.')
  })
  app.get<{ Params: { id: string } }>('/dev/deliveries/:id', async ({ params: { id } }, reply) => {
    return (await edge.deliveries(id)) ?? problem(reply, 404, 'Nothing is known of this notification.')
  })
  app.get('/dev/suppressions', async () => ({ suppressions: await edge.suppressions() }))
  app.delete<{ Params: { kind: string; address: string } }>(
    '/dev/suppressions/:kind/:address',
    async ({ params: { kind, address } }) => {
      await edge.liftSuppression(kind, address)
      return { lifted: true }
    },
  )
  addProviderRoutes(app, { simulators, edge, outages, changed: () => streams.changed() })
  addDeviceRoutes(app, { simulators, changed: () => streams.changed() })
  addMailRoutes(app, { simulators, edge, keys: deps.mail?.keys ?? (() => undefined) })
  addMessageRoutes(app, { simulators, cleared: () => streams.snapshot() })

  const stop = simulators.inbox.onMessage((message) => streams.message(pageMessage(message)))
  app.get('/dev/messages', (_request, reply) => {
    reply.hijack()
    streams.add(reply.raw)
  })
  app.addHook('preClose', async () => {
    stop()
    streams.close()
  })
}

function guardHost(app: FastifyInstance, hosts: readonly string[]): void {
  const local = new Set(['localhost', '127.0.0.1', '[::1]', ...hosts])
  app.addHook('onRequest', async (request, reply) => {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '')
    if (!local.has(name)) return problem(reply, 421, 'The dev inbox answers only under a local host name.')
    const changes = request.method !== 'GET' && request.method !== 'HEAD'
    if (changes && request.headers['x-carillon-dev'] !== '1') {
      return problem(reply, 403, 'The header x-carillon-dev is missing.')
    }
    return undefined
  })
}

interface ProviderRouteDeps {
  simulators: Simulators
  edge: DevEdge
  outages: Map<SimulatedProvider, Outage>
  changed(): void
}

/** Breaks a provider in one of its ways (`?how=`), and heals it. */
function addProviderRoutes(
  app: FastifyInstance,
  { simulators, edge, outages, changed }: ProviderRouteDeps,
): void {
  app.post<{ Params: { provider: SimulatedProvider; action: string }; Querystring: { how?: string } }>(
    '/dev/providers/:provider/:action',
    async (request, reply) => {
      const { provider, action } = request.params
      const how = OUTAGES.find((outage) => outage === (request.query.how ?? 'unavailable'))
      const known = PROVIDERS.includes(provider) && how !== undefined && outagesOf(provider).includes(how)
      if (!known || (action !== 'break' && action !== 'heal')) {
        return problem(reply, 404, 'There is no such provider, action or outage.')
      }
      const { faults } = simulators[provider]
      if (action === 'break') {
        faults.break(outageReply(provider, how, Date.now()))
        outages.set(provider, how)
      } else {
        faults.heal()
        outages.delete(provider)
      }
      changed()
      if (action === 'heal') await edge.mended(provider)
      return { broken: faults.broken }
    },
  )
}

function addMessageRoutes(
  app: FastifyInstance,
  { simulators, cleared }: { simulators: Simulators; cleared(): void },
): void {
  app.get<{ Params: { id: string } }>('/dev/messages/:id/raw', async ({ params: { id } }, reply) => {
    const message = simulators.inbox.list().find((one) => one.id === id)
    return message ? { raw: message.raw } : problem(reply, 404, 'There is no such message.')
  })
  app.delete('/dev/messages', async () => {
    simulators.inbox.clear()
    for (const kind of PUSH_KINDS) for (const device of simulators[kind].devices()) device.screen = []
    cleared()
    return { cleared: true }
  })
}
