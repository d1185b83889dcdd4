import { eventually, useChromium } from '@carillon/testkit'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { RunningMesh } from '../src/mesh/up.js'
import { type ClientSite, useClientSite } from './client-site.js'
import { inboxAtServer, type Network, newPerson, signToken, useMesh, useNetwork } from './client-world.js'

interface World {
  browser: Browser
  mesh: RunningMesh
  site: ClientSite
  network: Network
}
type Mode = 'worker' | 'elected'

t.test('the client in Chromium', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const site = await useClientSite(t)
  const mesh = await useMesh(t, { CARILLON_ALLOWED_ORIGINS: site.origin })
  site.sign = (user) => signToken(mesh, user, { channels: { 'room:talk-*': ['subscribe', 'publish'] } })
  const world = { browser, mesh, site, network: await useNetwork(t, mesh) }
  for (const mode of ['worker', 'elected'] as const) {
    await t.test(`two tabs (${mode}) share one connection and what they show`, (t) => twoTabs(t, world, mode))
    await t.test(`what a tab (${mode}) wishes before it is welcome is done`, (t) =>
      wishesEarly(t, world, mode),
    )
    await t.test(`signing out (${mode}) is for all tabs`, (t) => signOut(t, world, mode))
  }
  await t.test('a tab that holds the connection and is killed hands over', (t) => handOver(t, world))
  await t.test('a tab that is killed with the shared worker leaves no gap to the others', (t) =>
    killedBeside(t, world),
  )
  await t.test('a browser that says it is offline', (t) => offline(t, world))
})

async function openTab(
  context: BrowserContext,
  world: World,
  user: string,
  mode: Mode,
  moment = 'at once',
): Promise<Page> {
  const page = await context.newPage()
  const query = new URLSearchParams({ user, edge: world.network.url, mode, moment })
  await page.goto(`${world.site.origin}/?${query}`)
  await page.waitForFunction('globalThis.client !== undefined')
  return page
}

const ready = (page: Page) =>
  page.waitForFunction("client.state === 'connected' && client.inbox.getSnapshot().status === 'ready'")
const bodies = (page: Page) =>
  page.evaluate<string[]>('client.inbox.getSnapshot().items.map(({ body }) => body)')
const unread = (page: Page) => page.evaluate<number>('client.inbox.getSnapshot().unread')
const arrived = (page: Page) => page.evaluate<string[]>('seen.arrived')
const messages = (page: Page) => page.evaluate<number[]>('seen.messages')

/** Whether a tab of the page's origin holds the connection. */
const isHost = (page: Page) =>
  page.evaluate<boolean>(
    "navigator.locks.query().then(({ held }) => held.some(({ name }) => name.endsWith('.host')))",
  )

async function useContext(t: Test, { browser }: World): Promise<BrowserContext> {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  context.setDefaultTimeout(60_000)
  return context
}

async function twoTabs(t: Test, world: World, mode: Mode): Promise<void> {
  const { mesh, network } = world
  const { user, ring } = await newPerson(mesh)
  const context = await useContext(t, world)
  const before = network.made
  const first = await openTab(context, world, user, mode)
  await ready(first)
  await ring('one')
  await eventually(async () => (await bodies(first)).length === 1 && (await arrived(first)).length === 1)
  t.equal(await isHost(first), mode === 'elected', 'the connection is where it is meant to be')
  const second = await openTab(context, world, user, mode)
  await ready(second)
  t.same(await bodies(second), ['one'], 'the second tab shows it')
  await ring('two')
  for (const page of [first, second]) await eventually(async () => (await unread(page)) === 2)
  await eventually(async () => (await arrived(first)).length >= 2 && (await arrived(second)).length >= 1)
  t.same(await arrived(first), ['one', 'two'])
  t.same(await arrived(second), ['two'])
  t.equal(network.made - before, 1, 'over one connection')

  await second.evaluate('client.inbox.read([client.inbox.getSnapshot().items[0].id])')
  await eventually(async () => (await unread(first)) === 1)
  t.equal((await inboxAtServer(mesh, user)).unread, 1, 'what one marks the other shows, and the server has')
  await second.evaluate("client.inbox.setFilter('unread')")
  t.same(await bodies(second), ['one'])
  t.equal((await bodies(first)).length, 2, 'each looks at it in its own way')

  await first.evaluate('client.disconnect()')
  await ring('three')
  await eventually(async () => (await arrived(second)).includes('three'))
  t.equal(
    await first.evaluate('client.state'),
    'idle',
    'one that wants no connection leaves the other its own',
  )
  await second.close()
  await eventually(() => network.open === 0)
  t.pass('which ends with the last that wants it')
}

async function wishesEarly(t: Test, world: World, mode: Mode): Promise<void> {
  const { mesh, network } = world
  const { user, ring } = await newPerson(mesh)
  const context = await useContext(t, world)
  const first = await openTab(context, world, user, mode)
  await ready(first)
  const second = await openTab(context, world, user, mode, 'behind the hello')
  await ready(second)
  await second.waitForFunction("room.getSnapshot().state === 'joined'")
  await mesh.carillon.publishTo(`room:talk-${user}`, { n: 1 })
  await eventually(async () => (await messages(second)).length === 1)
  await first.evaluate('client.disconnect()')
  await ring('one')
  await eventually(async () => (await arrived(second)).length === 1)
  t.equal(network.open, 1, 'its own wish keeps the connection')
}

/** What the client keeps in the browser. */
const kept = (page: Page) =>
  page.evaluate<string[]>(`new Promise((resolve, reject) => {
    const opening = indexedDB.open('carillon', 1)
    opening.onerror = () => reject(opening.error)
    // to make it is the client's business
    opening.onupgradeneeded = () => opening.transaction.abort()
    opening.onsuccess = () => {
      const keys = opening.result.transaction('kept').objectStore('kept').getAllKeys()
      keys.onsuccess = () => { opening.result.close(); resolve(keys.result) }
    }
  })`)

async function signOut(t: Test, world: World, mode: Mode): Promise<void> {
  const { user, ring } = await newPerson(world.mesh)
  const context = await useContext(t, world)
  const first = await openTab(context, world, user, mode)
  const second = await openTab(context, world, user, mode)
  await ready(first)
  await ready(second)
  await ring('secret')
  await eventually(async () => (await bodies(second)).length === 1)
  await eventually(async () => (await kept(first)).length > 0)
  await second.evaluate('client.signOut()')
  for (const page of [first, second]) {
    await page.waitForFunction("client.state === 'signed-out'")
    await eventually(async () => (await bodies(page)).length === 0)
  }
  await eventually(async () => (await kept(first)).length === 0)
  t.pass('nothing is shown and nothing is kept')
  for (const moment of ['at once', 'behind the hello']) {
    const third = await openTab(context, world, user, mode, moment)
    await ready(third)
    t.same(await bodies(third), ['secret'], `until somebody signs in, ${moment}`)
    await third.evaluate('client.signOut()')
  }
  await first.evaluate('client.connect()')
  await ready(first)
  t.same(await bodies(first), ['secret'], 'in whichever tab')
  await t.rejects(first.evaluate("client.registerWebPush({ publicKey: 'x' })"), {
    message: /no service worker at \/carillon-sw.js/,
  })
}

async function crash(context: BrowserContext, page: Page): Promise<void> {
  const devTools = await context.newCDPSession(page)
  const crashed = page.waitForEvent('crash')
  // the answer never comes
  void devTools.send('Page.crash').catch(() => undefined)
  await crashed
}

async function killedBeside(t: Test, world: World): Promise<void> {
  const { mesh, network } = world
  const { user, ring } = await newPerson(mesh)
  const context = await useContext(t, world)
  const first = await openTab(context, world, user, 'worker')
  await ready(first)
  const second = await openTab(context, world, user, 'worker')
  await ready(second)
  await ring('one')
  await eventually(async () => (await arrived(second)).length === 1)
  // the worker runs in the process of the tab that made it
  await Promise.all([crash(context, first), ring('two'), ring('three')])
  await eventually(async () => (await arrived(second)).length >= 3, { timeoutMs: 90_000 })
  t.same((await arrived(second)).sort(), ['one', 'three', 'two'], 'nothing is lost or doubled')
  await eventually(async () => (await unread(second)) === 3)
  await eventually(() => network.open === 1)
  t.notOk(await isHost(second), 'in another worker')
  await second.evaluate('client.disconnect()')
  await eventually(() => network.open === 0)
  t.pass('and what the killed one wanted is no longer wanted')
}

async function handOver(t: Test, world: World): Promise<void> {
  const { mesh, network } = world
  const { user, ring } = await newPerson(mesh)
  const context = await useContext(t, world)
  const first = await openTab(context, world, user, 'elected')
  await ready(first)
  const second = await openTab(context, world, user, 'elected')
  const third = await openTab(context, world, user, 'elected')
  await ready(second)
  await ready(third)
  await eventually(() => network.open === 1)
  const others = [second, third]
  const listen = `room = client.channel('room:talk-${user}')
    room.onMessage(({ data }) => seen.messages.push(data.n))`
  for (const page of others) {
    await page.evaluate(listen)
    await page.waitForFunction("room.getSnapshot().state === 'joined'")
  }
  await third.evaluate("client.inbox.setFilter('unread')")
  const say = async (n: number) => {
    await mesh.carillon.publishTo(`room:talk-${user}`, { n })
  }
  await say(1)
  await ring('one')
  for (const page of others) {
    await eventually(async () => (await messages(page)).length === 1 && (await arrived(page)).length === 1)
  }

  const killing = crash(context, first)
  const saying = (async () => {
    for (const n of [2, 3, 4, 5]) await say(n)
  })()
  const ringing = (async () => {
    for (const text of ['two', 'three', 'four']) await ring(text)
  })()
  const marking = second.evaluate('client.inbox.read([client.inbox.getSnapshot().items[0].id])')
  await Promise.all([killing, saying, ringing, marking])
  for (const page of others) {
    await eventually(async () => (await arrived(page)).length >= 4 && (await messages(page)).length >= 5, {
      timeoutMs: 90_000,
    })
    t.same((await arrived(page)).sort(), ['four', 'one', 'three', 'two'], 'each notification once')
    t.same(await messages(page), [1, 2, 3, 4, 5], 'each message once, in order')
    await eventually(async () => (await unread(page)) === 3)
  }
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 3)
  await eventually(() => network.open === 1)
  t.pass('one connection again')

  await Promise.all([crash(context, second), say(6), ring('five')])
  await say(7)
  await eventually(async () => (await arrived(third)).length >= 5 && (await messages(third)).length >= 7, {
    timeoutMs: 90_000,
  })
  t.equal((await arrived(third)).length, 5)
  t.same(await messages(third), [1, 2, 3, 4, 5, 6, 7], 'and again, to the last')
}

async function offline(t: Test, world: World): Promise<void> {
  const { mesh } = world
  const { user, ring } = await newPerson(mesh)
  await ring('one')
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 1)
  const context = await useContext(t, world)
  const page = await openTab(context, world, user, 'elected')
  await ready(page)
  await context.setOffline(true)
  await page.waitForFunction("client.state === 'offline'")
  await page.evaluate('client.inbox.read([client.inbox.getSnapshot().items[0].id])')
  t.equal(await unread(page), 0)
  t.equal((await inboxAtServer(mesh, user)).unread, 1)
  await ring('two')
  await context.setOffline(false)
  await page.waitForFunction("client.state === 'connected'")
  await eventually(async () => (await bodies(page)).length === 2 && (await unread(page)) === 1)
  await eventually(async () => (await inboxAtServer(mesh, user)).unread === 1)
  await page.close()

  const next = await openTab(context, world, user, 'elected')
  await ready(next)
  await eventually(async () => (await unread(next)) === 1)
  t.pass('the same in the next visit')
}
