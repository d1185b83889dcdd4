import { readdir, readFile } from 'node:fs/promises'
import { type DemoSession, LOUNGE, MAP, pageFolder } from '@carillon/demo'
import { PEOPLE } from '@carillon/rides'
import type { CarillonClient } from '@carillon/sdk'
import type { FastifyInstance } from 'fastify'
import { DEMO_USER } from './demo-people.js'

export interface AppPageDeps {
  carillon: Pick<CarillonClient, 'userToken'>
  /** The built page; made with everything else by `npm start`. */
  folder?: URL
}

const BASE = '/dev/app'
const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]'])
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
}
/** React sets styles through the DOM, which needs no leave. */
const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const MAY = ['subscribe', 'publish', 'presence', 'history'] as const
const NAMES = Object.fromEntries(Object.entries(PEOPLE).map(([id, { name }]) => [id, name]))

/**
 * An application's page at `/dev/app`: signed in as a person of the demonstration, `?as=` names another. It answers only
 * under a local host name, since it hands out user tokens. For development only.
 */
export async function appPage(app: FastifyInstance, deps: AppPageDeps): Promise<void> {
  const folder = deps.folder ?? pageFolder()
  app.addHook('onRequest', async (request, reply) => {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '')
    if (!LOCAL.has(name))
      return reply.code(421).send({ status: 421, detail: 'Only under a local host name.' })
    return undefined
  })
  const files = await readPage(folder)
  for (const [path, body] of files) {
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    const isPage = path === 'index.html'
    app.get(isPage ? BASE : `${BASE}/${path}`, (_request, reply) =>
      reply
        .header('content-security-policy', POLICY)
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'no-referrer')
        // names of assets change with what is in them
        .header('cache-control', isPage ? 'no-cache' : 'private, max-age=31536000, immutable')
        .type(type)
        .send(body),
    )
  }
  if (files.size === 0) {
    app.get(BASE, (_request, reply) =>
      reply.code(503).type('text/plain').send('This page is not built. `npm start` builds it.'),
    )
  }
  app.get<{ Querystring: { as?: string } }>(`${BASE}/session`, async ({ query }, reply) => {
    const user = query.as ?? DEMO_USER
    if (!Object.hasOwn(NAMES, user))
      return reply.code(404).send({ status: 404, detail: 'There is no such person.' })
    const { token } = await deps.carillon.userToken(user, { channels: { [LOUNGE]: MAY, [MAP]: MAY } })
    reply.header('cache-control', 'no-store')
    return { token, user, people: NAMES } satisfies DemoSession
  })
}

/** Each file of the built page by its path below the folder; nothing when it was not built. */
async function readPage(folder: URL): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const part of ['', 'assets/']) {
    for (const entry of await entriesOf(new URL(part, folder))) {
      if (entry.isFile())
        files.set(part + entry.name, await readFile(new URL(part + encodeURIComponent(entry.name), folder)))
    }
  }
  return files
}

async function entriesOf(folder: URL) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
