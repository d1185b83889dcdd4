import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { SimulatedMessage, SimulatedProvider } from './inbox.js'
import { openMessageStream } from './message-stream.js'
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
}

/** What the composer brings; all of it is called only when the page asks. */
export interface DevInboxDeps {
  simulators: Simulators
  /** Publishes the event that rings every bell. `at`: milliseconds when it was accepted. */
  ring(): Promise<{ eventId: string; at: number }>
  session(): Promise<DevSession>
  /** Why a notification came: text to paste, and the same as data. Undefined when nothing is known of it. */
  explain(notificationId: string): Promise<{ text: string; data: unknown } | undefined>
  /** Host names besides localhost and loopback addresses under which the page may be opened. */
  hosts?: readonly string[]
}

const PAGE_FILES: Readonly<Record<string, string>> = {
  'app.js': 'text/javascript; charset=utf-8',
  'api.js': 'text/javascript; charset=utf-8',
  'bells.js': 'text/javascript; charset=utf-8',
  'inbox.js': 'text/javascript; charset=utf-8',
  'messages.js': 'text/javascript; charset=utf-8',
  'stream.js': 'text/javascript; charset=utf-8',
  'style.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
}
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
/** A mail is somebody's HTML: no script, no form, no request but for pictures. */
const MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox"
const PROVIDERS: readonly SimulatedProvider[] = ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook']
const PACKAGE_ROOT = new URL('../../', import.meta.url)

/**
 * The dev inbox as a Fastify plugin: the page at `/`, its parts under `/dev/`. It answers only under a local host
 * name, since it hands out a user token, and changes nothing without the header `x-carillon-dev`, which no other
 * origin can send. For development only, like the simulators it shows.
 */
export async function devInbox(app: FastifyInstance, deps: DevInboxDeps): Promise<void> {
  const page = await loadPage()
  const { simulators } = deps
  const local = new Set(['localhost', '127.0.0.1', '[::1]', ...(deps.hosts ?? [])])

  app.addHook('onRequest', async (request, reply) => {
    const host = request.headers.host ?? ''
    const name = host.replace(/:\d+$/, '')
    if (!local.has(name)) return problem(reply, 421, 'The dev inbox answers only under a local host name.')
    const changes = request.method !== 'GET' && request.method !== 'HEAD'
    if (changes && request.headers['x-carillon-dev'] !== '1') {
      return problem(reply, 403, 'The header x-carillon-dev is missing.')
    }
    return undefined
  })

  app.get('/', (_request, reply) =>
    sendPage(reply, page.get('index.html') as Buffer, 'text/html; charset=utf-8'),
  )
  for (const [file, type] of Object.entries(PAGE_FILES)) {
    app.get(`/dev/page/${file}`, (_request, reply) => sendPage(reply, page.get(file) as Buffer, type))
  }

  app.get('/dev/session', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return deps.session()
  })
  app.post('/dev/ring', () => deps.ring())
  app.get('/dev/explain/:id', async (request, reply) => {
    const { id } = request.params as { id: string }
    return (await deps.explain(id)) ?? problem(reply, 404, 'Nothing is known of this notification.')
  })
  app.post('/dev/providers/:provider/:action', async (request, reply) => {
    const { provider, action } = request.params as { provider: SimulatedProvider; action: string }
    if (!PROVIDERS.includes(provider) || (action !== 'break' && action !== 'heal')) {
      return problem(reply, 404, 'There is no such provider or action.')
    }
    simulators[action](provider)
    streams.providers()
    return providerStates(simulators)
  })
  app.delete('/dev/messages', async () => {
    simulators.inbox.clear()
    streams.snapshot()
    return { cleared: true }
  })
  app.get('/dev/mail/:id', async (request, reply) => {
    const { id } = request.params as { id: string }
    const mail = simulators.inbox.list().find((message) => message.id === id)
    if (!mail?.html) return problem(reply, 404, 'There is no such mail.')
    reply.header('content-security-policy', MAIL_POLICY).type('text/html; charset=utf-8')
    return mail.html
  })

  const streams = openMessageStream({
    list: () => simulators.inbox.list().map(forPage),
    providers: () => providerStates(simulators),
  })
  const stop = simulators.inbox.onMessage((message) => streams.message(forPage(message)))
  app.get('/dev/messages', (_request, reply) => {
    reply.hijack()
    streams.add(reply.raw)
  })
  app.addHook('preClose', async () => {
    stop()
    streams.close()
  })
}

/** What the page shows of a message; the HTML of a mail is fetched by its own address. */
function forPage({ html, raw: _raw, ...message }: SimulatedMessage) {
  return { ...message, hasHtml: html !== undefined }
}

function providerStates(simulators: Simulators): Record<string, { broken: boolean }> {
  return Object.fromEntries(
    PROVIDERS.map((provider) => [provider, { broken: simulators[provider].faults.broken }]),
  )
}

async function loadPage(): Promise<Map<string, Buffer>> {
  const files = ['index.html', ...Object.keys(PAGE_FILES)]
  const bytes = await Promise.all(files.map((file) => readFile(new URL(`page/${file}`, PACKAGE_ROOT))))
  return new Map(files.map((file, index) => [file, bytes[index] as Buffer]))
}

function sendPage(reply: FastifyReply, body: Buffer, type: string): FastifyReply {
  return reply
    .header('content-security-policy', PAGE_POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cache-control', 'no-cache')
    .type(type)
    .send(body)
}

function problem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply.code(status).type('application/problem+json').send({ type: 'about:blank', status, detail })
}
