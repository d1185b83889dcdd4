import { eventually, useChromium } from '@carillon/testkit'
import type { Page } from 'playwright-core'
import t from 'tap'
import { bundleSite, openSite, type World } from './site.js'

t.test('the components in a browser', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const world: World = { browser, site: await bundleSite() }
  const open = openSite

  await t.test('React in strict mode subscribes to everything once and lets go of it', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox toasts' })
    await page.locator('article').first().waitFor()
    // the inbox and the number beside it; the inbox tells of arrivals, the toasts show them
    t.same(await listeners(page), { inbox: 2, state: 2, notifications: 2 })
    t.same(await joined(page), { now: 1, ever: 1 }, 'two components share a channel')
    t.equal((await calls(page)).filter((call) => call === 'load').length, 1)
    await page.getByRole('button', { name: 'Say hello' }).first().click()
    t.same(await page.locator('#room').allTextContents(), ['1 messages, 1 here', '1 messages, 1 here'])
    await page.getByRole('button', { name: 'Rooms' }).click()
    await eventually(async () => (await joined(page)).now === 0)
    await page.getByRole('button', { name: 'Rooms' }).click()
    await eventually(async () => (await joined(page)).now === 1)
    t.same(await joined(page), { now: 1, ever: 2 })
  })

  await t.test('what is on the screen is marked as seen, in one go, and what is not is not', async (t) => {
    const page = await open(t, world, { query: 'many=30&parts=inbox' })
    await eventually(async () => (await calls(page)).some((call) => call.startsWith('seen ')))
    const [first = '', ...more] = (await calls(page)).filter((call) => call.startsWith('seen '))
    t.match(first, /^seen n1 /)
    t.same(more, [])
    t.notMatch(first, /\bn19\b/, 'it is below the end of the list')
    await page.locator('article').nth(18).scrollIntoViewIfNeeded()
    await eventually(async () => (await calls(page)).some((call) => /^seen .*\bn19\b/.test(call)))
  })

  await t.test('nothing but http, https and places of this origin is a link or a picture', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox' })
    const evil = page.locator('[data-id=evil]')
    await evil.waitFor()
    const addresses = await page
      .locator('[data-carillon=inbox] a, [data-carillon=inbox] img')
      .evaluateAll((all) => all.map((one) => one.getAttribute('href') ?? one.getAttribute('src') ?? ''))
    t.same(addresses.sort(), ['#shared', '/picture.svg', '/rides/9', '/rides/9/map', 'https://example.com/r'])
    await evil.getByRole('button', { name: 'A title that leads nowhere good' }).click()
    await eventually(async () => (await calls(page)).includes('read evil'))
    t.same(await page.evaluate('opened'), ['evil'])
    t.equal(await page.evaluate('window.stolen'), undefined)
  })

  await t.test('opening marks as read, tells the page, and follows the link', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox' })
    await page.getByRole('link', { name: 'Bob shared a ride with you' }).click()
    await page.waitForURL(/#shared$/)
    t.same(await page.evaluate('opened'), ['shared'])
    t.notOk((await calls(page)).includes('read shared'), 'it was read before')
    await page.evaluate(`document.addEventListener('click', (event) => event.preventDefault())`)
    await page.locator('[data-id=driver]').getByRole('link', { name: 'Follow the ride' }).click()
    await eventually(async () => (await calls(page)).includes('read driver'))
    t.equal(await page.locator('#unread').textContent(), '2')
  })

  await t.test('the tools of a notification mark it, put it away and bring it back', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox' })
    const invoice = page.locator('[data-id=invoice]')
    await invoice.hover()
    await invoice.getByRole('button', { name: 'Mark as read' }).click()
    await invoice.getByRole('button', { name: 'Mark as unread' }).click()
    await invoice.getByRole('button', { name: 'Archive' }).click()
    t.equal(await invoice.count(), 0)
    await page.getByRole('button', { name: 'Undo' }).click()
    await invoice.waitFor()
    await invoice.getByRole('button', { name: 'Snooze' }).click()
    await page.getByRole('menuitem', { name: /^Tomorrow/ }).click()
    t.equal(await invoice.count(), 0)
    await page.getByRole('tab', { name: 'Snoozed' }).click()
    await invoice.getByText(/^Snoozed until .*9:00/).waitFor()
    await invoice.getByRole('button', { name: 'Snooze' }).click()
    await page.getByRole('menuitem', { name: 'Show again now' }).click()
    await page.getByText('Nothing snoozed').waitFor()
    await page.getByRole('tab', { name: 'Archived' }).click()
    await page.locator('[data-id=archived]').getByRole('button', { name: 'Move back to the inbox' }).click()
    await page.getByText('Nothing archived').waitFor()
    await page.getByRole('tab', { name: 'All' }).click()
    await page.getByRole('button', { name: 'Mark all as read' }).click()
    t.equal(await page.locator('#unread').textContent(), '0')
    t.equal(await page.locator('article').count(), 7)
    t.same(
      (await calls(page))
        .map((call) => call.split(' ')[0])
        .filter((call) => !/^(connect|load|seen)$/.test(call ?? '')),
      ['read', 'unread', 'archive', 'unarchive', 'snooze', 'unsnooze', 'unarchive', 'readAll'],
    )
  })

  await t.test('a refused mark is taken back and told', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox&none' })
    await page.getByText('caught up').waitFor()
    await page.evaluate(`carillon.arrive(item('new', 0, { seenAt: '2026-01-01T00:00:00Z' }))`)
    await page.evaluate('carillon.refuseNext()')
    await page.locator('article').focus()
    await page.keyboard.press('e')
    await page.getByText('That did not work and was taken back.').waitFor()
    t.equal(await page.locator('[data-id=new]').count(), 1)
    t.equal(await page.getByRole('button', { name: 'Undo' }).count(), 0)
  })

  await t.test('a list grows as it is scrolled, or by its button', async (t) => {
    const page = await open(t, world, { query: 'many=60&parts=inbox' })
    await page.locator('article').nth(19).waitFor()
    t.equal(await page.locator('article').count(), 20, 'nobody scrolled yet')
    await page.locator('[data-carillon=panel]').evaluate((panel) => panel.scrollTo(0, panel.scrollHeight))
    await eventually(async () => (await page.locator('article').count()) === 40)
    const asked = await open(t, world, { query: 'many=30&parts=inbox&button' })
    const more = asked.getByRole('button', { name: 'Load more' })
    await more.scrollIntoViewIfNeeded()
    await more.focus()
    await asked.keyboard.press('Enter')
    await eventually(async () => (await asked.locator('article').count()) === 30)
    t.equal(await focused(asked), 'n21', 'the focus is on the first new one')
    t.equal(await more.count(), 0)
  })

  await t.test('failed, offline and signed out say so, and trying again helps', async (t) => {
    const page = await open(t, world, { query: 'refused&parts=inbox' })
    const again = page.getByRole('button', { name: 'Try again' })
    await again.focus()
    await page.keyboard.press('Enter')
    await page.locator('article').first().waitFor()
    t.equal(await page.evaluate('document.activeElement.closest("[data-carillon=panel]") !== null'), true)
    await page.evaluate(`carillon.become('offline')`)
    await page.getByText('Offline. This is what was here last.').waitFor()
    t.equal(await page.locator('article').count(), 6, 'what is known stays')
    await page.evaluate(`carillon.become('signed-out')`)
    await page.getByText('You are signed out.').waitFor()
    await page.evaluate(`carillon.become('connected')`)
    await eventually(async () => (await page.locator('[data-carillon=notice]').count()) === 0)
  })

  await t.test('the bell counts and opens the inbox beside it', async (t) => {
    const page = await open(t, world, { query: 'parts=bell' })
    const bell = page.getByRole('button', { name: 'Notifications, 3 unread' })
    await bell.click()
    const dialog = page.getByRole('dialog', { name: 'Notifications' })
    await dialog.locator('article').first().waitFor()
    await eventually(async () => (await focused(page)) === 'driver')
    t.equal(await bell.getAttribute('aria-expanded'), 'true')
    const box = await dialog.boundingBox()
    t.ok(box && box.x >= 0 && box.x + box.width <= 900 && box.y + box.height <= 900, 'inside the window')
    await dialog.locator('[data-id=invoice]').getByRole('button', { name: 'Archive' }).click()
    await page.getByRole('button', { name: 'Notifications, 2 unread' }).waitFor()
    t.equal(await dialog.isVisible(), true, 'what is done inside does not close it')
    await page.mouse.click(20, 600)
    await dialog.waitFor({ state: 'hidden' })
  })

  await t.test('toasts wait while somebody looks at them, and go by themselves after', async (t) => {
    const page = await open(t, world, { query: 'parts=toasts', clock: true })
    await eventually(async () => (await listeners(page)).notifications === 1)
    await page.evaluate(`carillon.arrive(item('t1', 0, { title: 'Stays' }))`)
    await page.locator('[data-toast=t1]').hover()
    await page.evaluate(`carillon.arrive(item('t2', 0, { title: 'Stays, too', lane: 'high' }))`)
    await page.locator('[data-toast=t2]').waitFor()
    await drawn(page)
    await page.clock.runFor(180_000)
    t.equal(await page.locator('[data-toast]').count(), 2, 'thrice its time')
    await page.mouse.move(5, 5)
    await drawn(page)
    await page.clock.runFor(61_000)
    await eventually(async () => (await page.locator('[data-toast=t1]').count()) === 0)
    t.equal(await page.locator('[data-toast=t2]').count(), 1, 'what is urgent waits for its reader')
    await page.keyboard.press('Escape')
    await eventually(async () => (await page.locator('[data-toast]').count()) === 0)
    for (let n = 0; n < 6; n++) await page.evaluate(`carillon.arrive(item('m${n}', 0, { lane: 'high' }))`)
    await page.locator('[data-toast=m5]').waitFor()
    t.equal(await page.locator('[data-toast]').count(), 4, 'no more than four')
  })

  await t.test('what arrives is spoken once: by the toasts, where there are some', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox toasts', clock: true })
    await page.locator('article').first().waitFor()
    await page.evaluate(`carillon.arrive(item('t1', 0, { title: 'Once' }))`)
    await page.locator('[data-carillon=toasts] [aria-live=polite]').getByText('Once').waitFor()
    await page.clock.runFor(5_000)
    t.equal(await page.locator('[role=status]').getByText('Once').count(), 0)
  })

  await t.test('how long ago it was goes on by itself', async (t) => {
    const page = await open(t, world, { query: 'parts=inbox', clock: true })
    const time = page.locator('[data-id=driver] time')
    t.equal(await time.textContent(), 'now')
    await page.clock.runFor(125_000)
    await eventually(async () => (await time.textContent()) === '2 min. ago')
  })

  await t.test('without our styles there is no class of ours, and yours are there', async (t) => {
    const page = await open(t, world, { query: 'unstyled&own&parts=bell inbox toasts' })
    await page.locator('article.mine').first().waitFor()
    t.equal(await page.locator('[class*=carillon]').count(), 0)
    t.equal(await page.getByRole('heading', { name: 'Post' }).count(), 1)
    t.equal(await page.getByRole('link', { name: 'Own Mira is on her way' }).count(), 1)
    t.equal(await page.locator('[data-carillon=item]').count(), 6)
  })
})

/** Resolves once React drew, and did after it, what it was told of: that takes turns of one kind of task. */
const drawn = (page: Page): Promise<void> =>
  page.evaluate(`new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    let turns = 20
    port1.onmessage = () => (--turns > 0 ? port2.postMessage(0) : resolve())
    port2.postMessage(0)
  })`)
const calls = (page: Page): Promise<string[]> => page.evaluate('carillon.calls')
const listeners = (page: Page): Promise<{ inbox: number; state: number; notifications: number }> =>
  page.evaluate('carillon.listeners')
const joined = (page: Page): Promise<{ now: number; ever: number }> => page.evaluate('carillon.joined')
const focused = (page: Page): Promise<string | null> =>
  page.evaluate(`document.activeElement.closest('[data-id]')?.dataset.id ?? null`)
