import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eventually, useChromium } from '@carillon/testkit'
import type { Test } from 'tap'

export interface Call {
  line: string
  authorization: string | undefined
  contentType: string | undefined
  body: Record<string, unknown>
}

export interface Receipt {
  token: string
  status: string
  at: string
  action?: string
}

const PARTS = new Map([
  ['/carillon-sw.js', new URL('../../service-worker/carillon-sw.js', import.meta.url)],
  ...['index', 'web-push', 'worker', 'errors', 'device-calls', 'registration-memory'].map(
    (name) => [`/carillon/${name}.js`, new URL(`../src/${name}.js`, import.meta.url)] as const,
  ),
])

/** A site with the worker and, below /v1, what the gateway's schemas say: it refuses what they would. */
export async function startSite(t: Test) {
  const calls: Call[] = []
  const pages = new Map<string, string>()
  const state = { fault: undefined as undefined | 'cut' | number, own: true, faults: 0 }
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '/'
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*')
    response.setHeader('access-control-allow-methods', 'GET, POST, PUT, DELETE')
    response.setHeader('access-control-allow-headers', 'authorization, content-type')
    if (request.method === 'OPTIONS') return void response.writeHead(204).end()
    if (path.startsWith('/v1/')) void api(request, response)
    else void page(path, response)
  })
  const page = async (path: string, response: ServerResponse) => {
    const file = PARTS.get(path)
    const text = pages.get(path) ?? '<!doctype html><title>A site</title>'
    response.setHeader('content-type', file || path.endsWith('.js') ? 'text/javascript' : 'text/html')
    response.end(file === undefined ? text : await readFile(file))
  }
  const api = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const answer = (status: number, body?: object) => {
      const type = status < 400 ? 'application/json' : state.own ? 'application/problem+json' : 'text/html'
      response.writeHead(status, body === undefined ? {} : { 'content-type': type })
      response.end(body === undefined ? undefined : JSON.stringify(body))
    }
    if (state.fault !== undefined) state.faults++
    if (state.fault === 'cut') return void request.socket.destroy()
    if (state.fault !== undefined) return answer(state.fault, { code: 'FAULT' })
    const text = Buffer.concat(chunks).toString()
    const call: Call = {
      line: `${request.method} ${request.url}`,
      authorization: request.headers.authorization,
      contentType: request.headers['content-type'],
      body: text === '' ? {} : JSON.parse(text),
    }
    calls.push(call)
    if (call.line === 'POST /v1/receipts') {
      const problem = wrongReceipts(call)
      return problem === undefined
        ? answer(202, { accepted: receiptsOf(call).length, rejected: [] })
        : answer(400, { code: 'VALIDATION', detail: problem })
    }
    return answer(request.method === 'DELETE' ? 204 : 201, request.method === 'DELETE' ? undefined : {})
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  const receipts = () => calls.filter(({ line }) => line === 'POST /v1/receipts').flatMap(receiptsOf)
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    calls,
    pages,
    state,
    receipts,
  }
}

export type Site = Awaited<ReturnType<typeof startSite>>

function receiptsOf({ body }: Call): Receipt[] {
  return body.receipts as Receipt[]
}

/** What `ReceiptsSchema` of the gateway refuses, in a sentence. */
function wrongReceipts({ contentType, body }: Call): string | undefined {
  if (contentType !== 'application/json') return `content-type ${contentType}`
  if (Object.keys(body).join() !== 'receipts' || !Array.isArray(body.receipts)) return 'body'
  const { length } = body.receipts
  if (length < 1 || length > 500) return `${length} receipts`
  for (const item of body.receipts as Receipt[]) {
    const { action, ...rest } = item
    if (Object.keys(rest).sort().join() !== 'at,status,token') return `fields ${Object.keys(item)}`
    if (action !== undefined && (action.length < 1 || action.length > 64)) return 'action'
    if (typeof item.token !== 'string' || item.token.length < 1 || item.token.length > 256) return 'token'
    if (!['delivered', 'opened', 'clicked', 'dismissed'].includes(item.status)) return `status ${item.status}`
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(item.at)) return `at ${item.at}`
  }
  return undefined
}

/** A page of the site whose service worker runs, and the ways in which a browser wakes it. */
export async function openSite(t: Test, site: Site, query = '') {
  const browser = await useChromium(t)
  if (browser === undefined) return undefined
  const context = await browser.newContext({ permissions: ['notifications'] })
  const page = await context.newPage()
  await page.goto(site.origin)
  const devTools = await context.newCDPSession(page)
  const errors: string[] = []
  let registrationId = ''
  devTools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    registrationId = registrations.at(-1)?.registrationId ?? registrationId
  })
  devTools.on('ServiceWorker.workerErrorReported', ({ errorMessage }) =>
    errors.push(errorMessage.errorMessage),
  )
  await devTools.send('ServiceWorker.enable')
  const [worker] = await Promise.all([
    context.waitForEvent('serviceworker'),
    page.evaluate(`navigator.serviceWorker.register('/carillon-sw.js${query}')
      .then(() => navigator.serviceWorker.ready).then(() => undefined)`),
  ])
  await worker.evaluate(WITNESS)
  const { origin } = site
  return {
    context,
    page,
    worker,
    errors,
    /** A push as the browser gets it from the push service. */
    push: async (data: unknown) => {
      await devTools.send('ServiceWorker.deliverPushMessage', {
        origin,
        registrationId,
        data: typeof data === 'string' ? data : JSON.stringify(data),
      })
    },
    /** The background sync that the worker asked for. */
    online: async () => {
      await devTools.send('ServiceWorker.dispatchSyncEvent', {
        origin,
        registrationId,
        tag: 'carillon-receipts',
        lastChance: false,
      })
    },
    /** The browser ends a worker that has nothing to do. */
    stopWorker: async () => {
      await devTools.send('ServiceWorker.stopAllWorkers')
    },
    /** How often it was shown, by its `nid` or tag. */
    showings: (id: string) =>
      worker.evaluate(`self.showings.filter((one) => one === '${id}').length`) as Promise<number>,
    /** What is on the screen. Chromium forgets one that is asked for before it is drawn: wait for something else first. */
    shown: () =>
      worker.evaluate(`registration.getNotifications().then((all) => all.map(
        ({ title, body, tag, data, actions, silent, requireInteraction, image, icon }) =>
          ({ title, body, tag, data, silent, requireInteraction, image, icon,
             actions: actions.map(({ action, title }) => ({ action, title })) })))`) as Promise<Shown[]>,
    /** What a person does to the notification with this `nid`: DevTools can't, so the worker gets the event itself. */
    act: (kind: 'notificationclick' | 'notificationclose', nid: string, action = '') =>
      worker.evaluate(`(async () => {
        const all = await registration.getNotifications()
        const notification = all.find(({ data }) => data?.nid === ${JSON.stringify(nid)})
        ${DISPATCH}
        await dispatch(new NotificationEvent('${kind}', { notification, action: ${JSON.stringify(action)} }))
      })()`),
    dispatch: (make: string) =>
      worker.evaluate(`(async () => { ${DISPATCH}; await dispatch(${make}) })()`) as Promise<void>,
  }
}

export interface Shown {
  title: string
  body: string
  tag: string
  silent: boolean | null
  requireInteraction: boolean
  image?: string
  icon: string
  data: Record<string, unknown>
  actions: { action: string; title: string }[]
}

/** Writes down what was shown. */
const WITNESS = `{
  self.showings = []
  const { showNotification } = ServiceWorkerRegistration.prototype
  ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
    await showNotification.call(this, title, options)
    self.showings.push(options.data?.nid ?? options.tag)
  }
}`

/** An event made by a script can't be waited for: this one hands its promise to the test. */
const DISPATCH = `const dispatch = (event) => {
  const promises = []
  Object.defineProperty(event, 'waitUntil', { value: (promise) => promises.push(promise) })
  self.dispatchEvent(event)
  return Promise.all(promises)
}`

/** Waits until it is so, and says what. */
export function until(t: Test, text: string, ready: () => Promise<boolean> | boolean): Promise<void> {
  return eventually(async () => ready()).then(() => void t.pass(text))
}
