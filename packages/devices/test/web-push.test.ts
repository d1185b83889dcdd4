import { readFile } from 'node:fs/promises'
import { eventually, useChromium } from '@carillon/testkit'
import t, { type Test } from 'tap'
import { type Call, type Site, startSite, until } from './site.js'

const KEY = 'BDd3_hVL9fZi9Ybo2UUzA284WG5FZR30_95YeZJsiApwXKpNcF1rRPF3foIiBHXRdJI2Qhumhf6_LFTeZaNndIo'
const OTHER_KEY = `B${'A'.repeat(86)}`

/** Chromium subscribes at Google's service only, which a closed network has not: here the page gives the endpoints. */
const PUSH_SERVICE = `{
  const read = () => JSON.parse(localStorage.getItem('push-service') ?? 'null')
  const write = (subscription) => localStorage.setItem('push-service', JSON.stringify(subscription))
  const handle = () => {
    const { endpoint, key } = read()
    const bytes = Uint8Array.from(atob(key.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
    return {
      endpoint,
      options: { applicationServerKey: bytes.buffer, userVisibleOnly: true },
      toJSON: () => ({ endpoint, keys: { p256dh: 'p'.repeat(87), auth: 'a'.repeat(22) } }),
      unsubscribe: async () => { localStorage.removeItem('push-service'); return true },
    }
  }
  PushManager.prototype.getSubscription = async () => (read() === null ? null : handle())
  PushManager.prototype.subscribe = async ({ applicationServerKey: key, userVisibleOnly }) => {
    if (!userVisibleOnly) throw new Error('browsers want this')
    write({ endpoint: 'https://push.example/' + crypto.randomUUID(), key })
    return handle()
  }
}`

interface Outcome {
  value?: unknown
  code?: string
  status?: number
}

type Browser = NonNullable<Awaited<ReturnType<typeof useChromium>>>

async function openPage(browser: Browser, site: Site, gateway: Site, permissions: string[]) {
  const context = await browser.newContext({ permissions })
  await context.addInitScript(PUSH_SERVICE)
  const page = await context.newPage()
  await page.goto(site.origin)
  const register = async (options: object = {}): Promise<Outcome> => {
    // a new page each time, as a person comes back
    await page.reload()
    const all = { user: 'ada', publicKey: KEY, gateway: gateway.origin, app: 'rides', ...options }
    return page.evaluate(`import('/carillon/index.js')
      .then(({ registerWebPush }) => registerWebPush({ token: () => '${all.user}-token', ...${JSON.stringify(all)} }))
      .then((push) => { self.push = push; return {} }, ({ code, status }) => ({ code, status }))`)
  }
  const ask = (what: string): Promise<Outcome> =>
    page.evaluate(`self.push.${what}.then((value) => ({ value }), ({ code, status }) => ({ code, status }))`)
  const state = async () => (await ask('state()')).value
  return { context, page, register, ask, state }
}

const lines = (calls: readonly Call[]) => calls.map(({ line }) => line.split(' ')[0])

t.test('in a browser', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  await t.test('signing a browser in and out', (t) => inAndOut(t, browser))
  await t.test('the page of the guide', (t) => guidePage(t, browser))
  await t.test('a person who does not want it', (t) => unwilling(t, browser))
  await t.test('a site without our worker', (t) => withoutWorker(t, browser))
})

async function inAndOut(t: Test, browser: Browser) {
  const site = await startSite(t)
  const gateway = await startSite(t)
  const { context, page, register, ask, state } = await openPage(browser, site, gateway, ['notifications'])
  const { calls } = gateway
  const fresh = () => calls.splice(0)

  await t.test('nothing is subscribed before the person wants it', async (t) => {
    t.same(await register(), {})
    t.equal(await state(), 'off')
    t.same(calls, [])
    t.equal(await page.evaluate(`localStorage.getItem('push-service')`), null)
  })

  await t.test('enabling registers this installation', async (t) => {
    t.same(await ask('enable()'), {})
    t.equal(await state(), 'on')
    const [put] = fresh()
    t.match(put, {
      line: /^PUT \/v1\/me\/devices\/[0-9a-f-]{36}$/,
      authorization: 'Bearer ada-token',
      contentType: 'application/json',
    })
    const fixture = new URL('../../test/requests/register-browser.json', import.meta.url)
    const { request } = JSON.parse(await readFile(fixture, 'utf8'))
    t.same(
      Object.keys({ ...put?.body, locale: '' }),
      Object.keys(request.body),
      'as the gateway is tested with',
    )
    t.same(put?.body, {
      kind: 'webpush',
      endpoint: (await page.evaluate(`JSON.parse(localStorage.getItem('push-service')).endpoint`)) as string,
      p256dh: 'p'.repeat(87),
      auth: 'a'.repeat(22),
      app: 'rides',
    })
  })

  await t.test('coming back says again only what has changed, or after a day', async (t) => {
    const installation = await page.evaluate(`localStorage.getItem('carillon.installation')`)
    await register()
    t.same(fresh(), [], 'nothing')
    await register({ locale: 'de-AT' })
    t.match(fresh(), [{ body: { locale: 'de-AT' } }], 'another locale')
    await page.evaluate(`localStorage.setItem('push-service',
      JSON.stringify({ endpoint: 'https://push.example/rotated', key: '${KEY}' }))`)
    await register({ locale: 'de-AT' })
    t.match(fresh(), [{ body: { endpoint: 'https://push.example/rotated' } }], 'another endpoint')
    await register({ locale: 'de-AT', publicKey: OTHER_KEY })
    t.match(fresh(), [{ body: { endpoint: /push\.example\/[0-9a-f]{8}-/ } }], 'another key')
    await page.evaluate(`{ const last = JSON.parse(localStorage.getItem('carillon.registered'))
      localStorage.setItem('carillon.registered', JSON.stringify({ ...last, at: last.at - 86400000 })) }`)
    await register({ locale: 'de-AT', publicKey: OTHER_KEY })
    t.match(fresh(), [{ line: `PUT /v1/me/devices/${installation}` }], 'a day')
  })

  await t.test('a subscription that the worker found changed is registered by the open page', async (t) => {
    await register({ locale: 'de-AT', publicKey: OTHER_KEY })
    await page.evaluate(`localStorage.setItem('push-service',
      JSON.stringify({ endpoint: 'https://push.example/by-worker', key: '${OTHER_KEY}' }))`)
    const [worker] = context.serviceWorkers()
    await worker?.evaluate(`clients.matchAll({ type: 'window' })
      .then(([page]) => page.postMessage({ type: 'carillon.subscription-changed' }))`)
    await until(t, 'registered', () => calls.length === 1)
    t.match(fresh(), [{ body: { endpoint: 'https://push.example/by-worker' } }])
    await register({ locale: 'de-AT', publicKey: OTHER_KEY, rememberToken: true })
    await worker?.evaluate(`{
      const changed = new Event('pushsubscriptionchange')
      const subscription = { toJSON: () => ({ endpoint: 'https://push.example/alone', keys: {} }) }
      Object.defineProperty(changed, 'waitUntil', { value: () => undefined })
      self.dispatchEvent(Object.defineProperty(changed, 'newSubscription', { value: subscription }))
    }`)
    await until(t, 'the worker did it with the token that it may remember', () => calls.length === 1)
    const [put] = fresh()
    t.match(put, {
      authorization: 'Bearer ada-token',
      body: { endpoint: 'https://push.example/alone', locale: 'de-AT' },
    })
  })

  await t.test('a refusal says how', async (t) => {
    gateway.state.fault = 403
    t.same(await register(), { code: 'GATEWAY_REFUSED', status: 403 })
    gateway.state.fault = 'cut'
    t.match(await register(), { code: 'GATEWAY_UNREACHABLE' })
    gateway.state.fault = undefined
    t.same(await register(), {})
    t.same(lines(fresh()), ['PUT'])
  })

  const show = (nid: string) =>
    page.evaluate(`navigator.serviceWorker.ready.then((registration) =>
      registration.showNotification('x', { tag: '${nid}', data: { nid: '${nid}', carillon: {} } }))`)
  const shown = () =>
    page.evaluate(`navigator.serviceWorker.ready.then((registration) => registration.getNotifications())
      .then((all) => all.map(({ tag }) => tag).sort())`)

  /** Chromium forgets one that is asked for before it is drawn: it is shown again then. */
  const onScreen = (...nids: string[]) =>
    eventually(async () => {
      const there = (await shown()) as string[]
      for (const nid of nids) if (!there.includes(nid)) await show(nid)
      return nids.every((nid) => there.includes(nid))
    })

  await t.test('what was read elsewhere is taken off the screen', async (t) => {
    await onScreen('c1', 'c2')
    await ask(`clear('c1')`)
    t.same(await shown(), ['c2'])
  })

  await t.test('another person begins without the pushes of the one before', async (t) => {
    await register({ user: 'bob' })
    t.equal(await state(), 'off')
    t.same(await shown(), [])
    t.equal(await page.evaluate(`localStorage.getItem('push-service')`), null)
    t.same(fresh(), [])
    await ask('enable()')
    t.match(fresh(), [{ authorization: 'Bearer bob-token' }])
    t.equal(await state(), 'on')
  })

  await t.test('signing out ends the subscription, whether the gateway can be told or not', async (t) => {
    await onScreen('c3')
    t.same(await ask('signOut()'), { value: true })
    t.match(fresh(), [{ line: /^DELETE \/v1\/me\/devices\/[0-9a-f-]{36}$/, contentType: undefined }])
    t.equal(await state(), 'off')
    t.same(await shown(), [])
    await ask('enable()')
    t.same(lines(fresh()), ['PUT'])
    gateway.state.fault = 'cut'
    t.same(await ask('signOut()'), { value: false })
    t.equal(await page.evaluate(`localStorage.getItem('push-service')`), null)
    gateway.state.fault = undefined
    await register()
    t.same(fresh(), [], 'and stays out')
  })

  await t.test(
    'the worker acknowledges to the gateway, not to the site, also inside another worker',
    async (t) => {
      const ring = (nid: string) =>
        context
          .serviceWorkers()
          .at(-1)
          ?.evaluate(`(async () => {
        const data = JSON.stringify({ notification: { title: 'x', data: { nid: '${nid}', rt: 'rt-${nid}' } } })
        const event = new PushEvent('push', { data })
        self.dispatchEvent(Object.defineProperty(event, 'waitUntil', { value: () => undefined }))
      })()`)
      await ring('g1')
      await until(t, 'there', () => gateway.receipts().some(({ token }) => token === 'rt-g1'))
      site.pages.set(
        '/its-own.js',
        `importScripts('/carillon-sw.js'); self.addEventListener('install', () => skipWaiting())`,
      )
      await Promise.all([context.waitForEvent('serviceworker'), register({ worker: '/its-own.js' })])
      await until(t, 'it runs', async () => (await ring('g2')) === undefined)
      await until(t, 'there', () => gateway.receipts().some(({ token }) => token === 'rt-g2'))
      t.same(site.calls, [])
    },
  )
}

async function guidePage(t: Test, browser: Browser) {
  const guide = await readFile(new URL('../../../../docs/guides/web-push.md', import.meta.url), 'utf8')
  const code = /<!-- played: page -->\n```js\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  const site = await startSite(t)
  const gateway = await startSite(t)
  const { page } = await openPage(browser, site, gateway, ['notifications'])
  site.pages.set('/my/carillon-token', 'a-token')
  site.pages.set(
    '/',
    `<!doctype html><title>x</title><button id="notify-me">Notify me</button><button id="sign-out">Sign out</button>
    <script type="module">${code.replace('https://carillon.example', gateway.origin)}; self.ready = true</script>`,
  )
  await page.goto(site.origin)
  await until(t, 'it runs', async () => (await page.evaluate('self.ready')) === true)
  await page.click('#notify-me')
  await until(t, 'registered', () => gateway.calls.length === 1)
  await page.click('#sign-out')
  await until(t, 'signed out', () => gateway.calls.length === 2)
  t.match(gateway.calls, [{ authorization: 'Bearer a-token' }, { line: /^DELETE / }])
}

async function unwilling(t: Test, browser: Browser) {
  const site = await startSite(t)
  const { register, ask, state } = await openPage(browser, site, site, [])
  t.same(await register(), {})
  t.match(await ask('enable()'), { code: 'PERMISSION_DENIED' })
  t.equal(await state(), 'denied')
  t.same(site.calls, [])
}

async function withoutWorker(t: Test, browser: Browser) {
  const site = await startSite(t)
  const { register } = await openPage(browser, site, site, [])
  t.match(await register({ worker: '/missing' }), { code: 'NO_WORKER' }, 'it serves none')
  site.pages.set('/other.js', `self.addEventListener('push', () => undefined)`)
  t.match(await register({ worker: '/other.js' }), { code: 'NO_WORKER' }, 'it has another')
}
