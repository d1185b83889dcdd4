import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { type TestScope, useFolder } from '@carillon/testkit'
import { build } from 'vite'
import { PROJECT } from './support.js'

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' }

/** What a page does with the client, and what it heard. */
const PAGE = `
import { createCarillon } from '@carillon/client'
const { user, edge, mode, moment } = Object.fromEntries(new URLSearchParams(location.search))
const getToken = async () => (await fetch('/token?user=' + user)).text()
const options = { url: edge, user, getToken, ...(mode === 'elected' ? { now: Date.now } : {}) }
const client = createCarillon(options)
const seen = { arrived: [], messages: [], states: [] }
client.onNotification(({ body }) => seen.arrived.push(body))
client.onState((state) => seen.states.push(state))
globalThis.seen = seen
if (moment === 'behind the hello') {
  for (const { prototype } of [MessagePort, BroadcastChannel]) {
    const { postMessage } = prototype
    prototype.postMessage = function (message) {
      postMessage.call(this, message)
      if (message.message?.kind !== 'hello') return
      client.connect()
      globalThis.room = client.channel('room:talk-' + user)
      room.onMessage(({ data }) => seen.messages.push(data.n))
    }
  }
} else client.connect()
globalThis.client = client
`

export interface ClientSite {
  origin: string
  /** Set before the first page asks. */
  sign: (user: string) => string
}

/** Somebody's app with the client in it, built as apps are, and its own server that gives tokens. */
export async function useClientSite(t: TestScope): Promise<ClientSite> {
  const out = join(await useFolder(t), 'app')
  const root = join(PROJECT, 'apps/carillon/dist/client-page')
  await mkdir(root, { recursive: true })
  await writeFile(
    join(root, 'index.html'),
    '<!doctype html><title>App</title><script type="module" src="./page.js"></script>',
  )
  await writeFile(join(root, 'page.js'), PAGE)
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: { outDir: out, emptyOutDir: true },
    worker: { format: 'es' },
  })
  const site: ClientSite = { origin: '', sign: () => '' }
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site')
    if (pathname === '/token') return void response.end(site.sign(searchParams.get('user') ?? ''))
    const file = pathname === '/' ? '/index.html' : pathname
    readFile(join(out, file)).then(
      (bytes) => response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  site.origin = `http://127.0.0.1:${address.port}`
  return site
}
