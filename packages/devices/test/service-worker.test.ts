import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { openSite, type Site, startSite, until } from './site.js'

type Opened = NonNullable<Awaited<ReturnType<typeof openSite>>>

interface Payload {
  app_badge?: number
  notification: Record<string, unknown> & { data: Record<string, unknown> }
}

/** What our sender gives to the push service, under ids of its own. */
async function golden(name: string, id: string): Promise<Payload> {
  const file = new URL(`../../../channels/test/golden/webpush-${name}.json`, import.meta.url)
  const { body } = JSON.parse(await readFile(file, 'utf8')) as { body: Payload }
  const own = body.notification.tag === body.notification.data.nid
  Object.assign(body.notification.data, { nid: id, did: `did-${id}`, rt: `rt-${id}` })
  if (own) body.notification.tag = id
  return body
}

const of = (site: Site, id: string) =>
  site
    .receipts()
    .filter(({ token }) => token === `rt-${id}`)
    .map(({ status }) => status)

t.test('in a browser', async (t) => {
  const site = await startSite(t)
  const opened = await openSite(t, site, '?title=News')
  if (opened === undefined) return
  await t.test('showing', (t) => showing(t, site, opened))
  await t.test('what the person does', (t) => acting(t, site, opened))
  await t.test('a subscription that changes', (t) => changing(t, site, opened))
  await t.test('while the gateway is away', (t) => away(t, site, opened))
  t.same(opened.errors, [], 'nothing was thrown in the worker')
})

async function showing(t: Test, site: Site, { push, shown, showings, act, worker, dispatch }: Opened) {
  const one = async (id: string) => (await shown()).find(({ data }) => data.nid === id)

  await t.test('shows all that was said, counts on the icon and acknowledges', async (t) => {
    // a headless browser has no icon
    await worker.evaluate(`self.badges = []
      WorkerNavigator.prototype.setAppBadge = async (count) => { self.badges.push(count) }`)
    await push(await golden('rich', 'n1'))
    await until(t, 'delivered', () => of(site, 'n1').includes('delivered'))
    t.match(await one('n1'), {
      title: 'Your driver is here',
      body: 'Ana waits at the corner',
      image: 'https://img.example/a.png',
      actions: [{ action: 'call', title: 'Call' }],
      requireInteraction: false,
      data: { ride: '4711', rt: 'rt-n1' },
    })
    t.same(await worker.evaluate('self.badges'), [3])
    await push(await golden('critical', 'n2'))
    await until(t, 'delivered', () => of(site, 'n2').includes('delivered'))
    t.equal((await one('n2'))?.requireInteraction, true, 'a critical one stays')
    await push(await golden('overrides', 'n3'))
    await until(t, 'delivered', () => of(site, 'n3').includes('delivered'))
    t.equal((await one('n3'))?.icon, 'https://img.example/i.png', 'overrides count')
  })

  await t.test('one of the same tag takes the place of the one before', async (t) => {
    const before = (await shown()).length
    const later = await golden('rich', 'n4')
    later.notification.title = 'Your driver has left'
    await push(later)
    await until(t, 'delivered', () => of(site, 'n4').includes('delivered'))
    t.equal((await shown()).length, before)
    t.equal(await one('n1'), undefined)
    t.equal((await one('n4'))?.title, 'Your driver has left')
  })

  await t.test(
    'the same notification twice is on the screen once, and not again when it was put away',
    async (t) => {
      const twice = await golden('plain', 'n5')
      await push(twice)
      await until(t, 'delivered', () => of(site, 'n5').length === 1)
      await push(twice)
      await until(t, 'both are acknowledged', () => of(site, 'n5').length === 2)
      t.match(
        (await shown()).filter(({ data }) => data.nid === 'n5'),
        [{ silent: true }],
        'and the second makes no sound',
      )
      await act('notificationclose', 'n5')
      await worker.evaluate(`registration.getNotifications({ tag: 'n5' }).then(([one]) => one.close())`)
      await push(twice)
      await until(
        t,
        'acknowledged',
        () => of(site, 'n5').filter((status) => status === 'delivered').length === 3,
      )
      t.equal(await one('n5'), undefined)
    },
  )

  await t.test('a push that can not be read still says that it came', async (t) => {
    const receipts = site.receipts().length
    for (const text of ['not JSON', 'null', '[1]', '{"notification":"x"}']) await push(text)
    await until(t, 'all were shown', async () => (await showings('carillon-unreadable')) === 4)
    const titles = (await shown())
      .filter(({ tag }) => tag === 'carillon-unreadable')
      .map(({ title }) => title)
    t.same(titles, ['News'], 'once, in the words of the site')
    const silent = await golden('plain', 'n6')
    silent.notification.title = ''
    await push(silent)
    await until(t, 'without words it is acknowledged too', () => of(site, 'n6').includes('delivered'))
    t.equal((await one('n6'))?.title, 'News')
    t.equal(site.receipts().length, receipts + 1)
  })

  await t.test('a push that the browser has read by itself becomes ours', async (t) => {
    const { notification } = await golden('rich', 'n7')
    await dispatch(`Object.defineProperty(new PushEvent('push'), 'notification',
      { value: ${JSON.stringify({ ...notification, tag: 'n7' })} })`)
    t.match(await one('n7'), { title: 'Your driver is here', data: { carillon: { actions: {} } } })
    await until(t, 'delivered', () => of(site, 'n7').includes('delivered'))
  })

  await t.test('a frill that the browser refuses does not cost the words', async (t) => {
    const odd = await golden('plain', 'n8')
    Object.assign(odd.notification, { dir: 'sideways' })
    await push(odd)
    await until(t, 'delivered', () => of(site, 'n8').includes('delivered'))
    t.equal((await one('n8'))?.body, 'Ana waits at the corner')
  })
}

async function acting(t: Test, site: Site, { push, shown, act, worker, page }: Opened) {
  // a browser opens windows only after a real press
  await worker.evaluate(`self.opened = []
    clients.openWindow = async (url) => { self.opened.push(url); return null }
    WindowClient.prototype.focus = async function () { self.opened.push('focus ' + this.url); return this }`)
  const windows = () => worker.evaluate('self.opened.splice(0)') as Promise<string[]>
  const ring = async (id: string, navigate: string) => {
    const payload = await golden('rich', id)
    Object.assign(payload.notification, { tag: id, navigate })
    await push(payload)
    await until(t, 'delivered', () => of(site, id).includes('delivered'))
  }

  await t.test('a press takes an open page there and is acknowledged', async (t) => {
    await ring('a1', '/rides/4711')
    await act('notificationclick', 'a1')
    await until(t, 'it is there', () => page.url() === `${site.origin}/rides/4711`)
    t.same(await windows(), [`focus ${site.origin}/rides/4711`])
    t.same(of(site, 'a1'), ['delivered', 'opened'])
    t.notOk((await shown()).some(({ data }) => data.nid === 'a1'))
  })

  await t.test('a page that is there already is told, not loaded again', async (t) => {
    await page.evaluate(`self.told = []; self.mark = 1
      navigator.serviceWorker.addEventListener('message', ({ data }) => self.told.push(data))
      navigator.serviceWorker.startMessages()`)
    await ring('a2', '/rides/4711')
    await act('notificationclick', 'a2')
    await until(t, 'told', async () => (await page.evaluate('self.told?.length')) === 1)
    t.match(await page.evaluate('self.told[0]'), { type: 'carillon.clicked', nid: 'a2', action: '' })
    t.equal(await page.evaluate('self.mark'), 1)
    t.same(await windows(), [`focus ${site.origin}/rides/4711`])
  })

  await t.test('a button goes where the button goes', async (t) => {
    await ring('a3', '/')
    await act('notificationclick', 'a3', 'call')
    t.same(await windows(), ['https://rides.example/4711/call'], 'elsewhere is a window of its own')
    t.same(of(site, 'a3'), ['delivered', 'clicked'])
    t.equal(site.receipts().find(({ status }) => status === 'clicked')?.action, 'call', 'and says which')
    t.equal(page.url(), `${site.origin}/rides/4711`)
    await ring('a5', 'tel:+4366012345')
    await act('notificationclick', 'a5')
    t.same(await windows(), ['tel:+4366012345'])
  })

  await t.test('an address that is no page opens the start page', async (t) => {
    const hostile = [
      'javascript:alert(1)',
      'data:text/html,<script>1</script>',
      'file:///etc/passwd',
      'https://[',
    ]
    for (const [index, navigate] of hostile.entries()) {
      await ring(`h${index}`, navigate)
      await act('notificationclick', `h${index}`)
      await until(t, navigate, () => page.url() === `${site.origin}/`)
      t.same(
        (await windows()).filter((url) => !url.startsWith('focus ')),
        [],
      )
      await page.goto(`${site.origin}/elsewhere`)
    }
  })

  await t.test('putting it away is acknowledged', async (t) => {
    await ring('a4', '/')
    await act('notificationclose', 'a4')
    t.same(of(site, 'a4'), ['delivered', 'dismissed'])
  })
}

async function away(t: Test, site: Site, { push, showings, online, stopWorker, worker }: Opened) {
  const waiting = () =>
    worker.evaluate(`new Promise((resolve) => {
      const open = indexedDB.open('carillon')
      open.onsuccess = () => {
        const all = open.result.transaction('receipts').objectStore('receipts').getAll()
        all.onsuccess = () => { open.result.close(); resolve(all.result.map(({ token }) => token)) }
      }
    })`) as Promise<string[]>
  const ring = async (id: string) => {
    const { faults } = site.state
    await push(await golden('plain', id))
    await until(t, 'shown', async () => (await showings(id)) === 1)
    await until(t, 'tried', () => site.state.faults > faults)
    await until(t, 'kept', async () => (await waiting()).includes(`rt-${id}`))
  }

  await t.test('acknowledgements wait, whatever is in the way, and go out in order', async (t) => {
    const before = site.receipts().length
    site.state.fault = 'cut'
    await ring('w1')
    site.state.fault = 503
    await ring('w2')
    Object.assign(site.state, { fault: 404, own: false })
    await ring('w3')
    t.same(await waiting(), ['rt-w1', 'rt-w2', 'rt-w3'])
    Object.assign(site.state, { fault: undefined, own: true })
    await online()
    await until(t, 'nothing waits', async () => (await waiting()).length === 0)
    const sent = site.receipts().slice(before)
    t.same(
      sent.map(({ token, status }) => [token, status]),
      [
        ['rt-w1', 'delivered'],
        ['rt-w2', 'delivered'],
        ['rt-w3', 'delivered'],
      ],
    )
    t.ok(
      sent.every(({ at }, index) => index === 0 || at >= (sent[index - 1]?.at ?? '')),
      'with their own times',
    )
  })

  await t.test('what the gateway itself refuses is not sent for ever', async (t) => {
    site.state.fault = 401
    const { faults } = site.state
    await push(await golden('plain', 'w4'))
    await until(t, 'shown', async () => (await showings('w4')) === 1)
    await until(t, 'tried', () => site.state.faults > faults)
    await until(t, 'given up', async () => (await waiting()).length === 0)
    site.state.fault = undefined
  })

  await t.test('what waits outlives the worker', async (t) => {
    site.state.fault = 'cut'
    await ring('w5')
    await stopWorker()
    site.state.fault = undefined
    await push(await golden('plain', 'w6'))
    await until(t, 'both came', () => of(site, 'w5').length === 1 && of(site, 'w6').length === 1)
    t.same(of(site, 'w4'), [])
  })
}

async function changing(t: Test, site: Site, { dispatch, page }: Opened) {
  const key = 'BDd3_hVL9fZi9Ybo2UUzA284WG5FZR30_95YeZJsiApwXKpNcF1rRPF3foIiBHXRdJI2Qhumhf6_LFTeZaNndIo'
  const tell = (message: object) =>
    page.evaluate(`navigator.serviceWorker.ready.then((registration) => new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = resolve
      registration.active.postMessage(${JSON.stringify(message)}, [port2])
    })).then(() => undefined)`)
  const subscription = {
    endpoint: 'https://push.example/new',
    keys: { p256dh: key, auth: 'AAAAAAAAAAAAAAAAAAAAAA' },
  }
  const change = () =>
    dispatch(`Object.defineProperty(new Event('pushsubscriptionchange'), 'newSubscription',
      { value: { toJSON: () => (${JSON.stringify(subscription)}) } })`)
  const puts = () => site.calls.filter(({ line }) => line.startsWith('PUT '))
  const kept = { installation: 'phone/1', device: { app: 'rides' }, publicKey: key }

  await t.test('is signed in by the worker with a remembered token, and by an open page', async (t) => {
    await page.evaluate(`self.told = []
      navigator.serviceWorker.addEventListener('message', ({ data }) => self.told.push(data.type))
      navigator.serviceWorker.startMessages()`)
    await change()
    t.same(puts(), [], 'nothing was registered')
    await tell({ type: 'carillon.remember', kept })
    await change()
    await until(t, 'the page is told', async () => (await page.evaluate('self.told.length')) === 1)
    t.same(puts(), [], 'without a token the page does it')
    await tell({ type: 'carillon.remember', kept: { ...kept, token: 'ada-token' } })
    await change()
    t.match(puts(), [
      {
        line: 'PUT /v1/me/devices/phone%2F1',
        authorization: 'Bearer ada-token',
        body: { kind: 'webpush', endpoint: subscription.endpoint, ...subscription.keys, app: 'rides' },
      },
    ])
    await tell({ type: 'carillon.forget' })
    await change()
    t.equal(puts().length, 1)
  })
}
