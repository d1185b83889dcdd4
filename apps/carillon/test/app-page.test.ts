import { join } from 'node:path'
import { eventually, useChromium, useFolder } from '@carillon/testkit'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { PROJECT } from './support.js'

const SCREENSHOT = join(PROJECT, 'docs/images/react-app.png')
const PATIENT = { timeoutMs: 60_000 }

t.test("an application's page against the mesh", async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const mesh = await startMesh({
    base: PROJECT,
    env: { CARILLON_DIR: join(await useFolder(t), 'mesh') },
    workflows: { pushed: () => undefined, refused: (file, problem) => t.fail(`${file}: ${problem}`) },
    progress: { step: (_name, work) => work(() => undefined) },
  })
  t.teardown(() => mesh[Symbol.asyncDispose]())
  const parts = { browser, mesh }
  await t.test('the dev inbox leads to it, and it answers under local names alone', (t) => isFound(t, parts))
  await t.test('what rings appears in inbox, bell and toast; read in one tab it is read in the other', (t) =>
    ringsAndReads(t, parts),
  )
  await t.test('two people talk, see each other come and go, and move, by keyboard alone', (t) =>
    talks(t, parts),
  )
  await t.test('without a connection the page says so and keeps what is there, and catches up', (t) =>
    survives(t, parts),
  )
})

interface Parts {
  browser: Browser
  mesh: RunningMesh
}

async function isFound(t: Test, { browser, mesh }: Parts): Promise<void> {
  const context = await openContext(t, browser)
  const page = await context.newPage()
  await page.goto(mesh.url)
  await page.getByRole('link', { name: 'See it in an app' }).click()
  await page.getByRole('heading', { name: 'Notifications' }).waitFor()
  await page.getByText('Connected', { exact: true }).waitFor()
  const stranger = await fetch(`${mesh.url}/dev/app/session?as=eve`)
  t.equal(stranger.status, 404)
  t.notOk('token' in ((await stranger.json()) as object))
}

async function ringsAndReads(t: Test, { browser, mesh }: Parts): Promise<void> {
  const context = await openContext(t, browser)
  const [first, second] = [await openApp(t, { context, mesh }), await openApp(t, { context, mesh })]
  await first.bringToFront()
  const ring = first.getByRole('button', { name: 'Ring Ada' })
  await ring.focus()
  await first.keyboard.press('Enter')
  for (const page of [first, second]) {
    await page.locator('main article').getByText('Every bell rings.').waitFor()
    await page.getByRole('button', { name: 'Notifications, 1 unread' }).waitFor()
    await page.locator('[data-toast]').getByText('Every bell rings.').waitFor()
  }
  await mesh.ring('From a terminal.')
  for (const page of [first, second]) {
    await page.getByRole('button', { name: 'Notifications, 2 unread' }).waitFor()
    t.equal(await page.locator('main article').count(), 2, 'each once')
  }
  await first.locator('main article').first().focus()
  await first.keyboard.press('r')
  await second.getByRole('button', { name: 'Notifications, 1 unread' }).waitFor()
  t.equal(await second.locator('main article[data-unread]').count(), 1)
  await first.keyboard.press('e')
  await eventually(async () => (await second.locator('main article').count()) === 1, PATIENT)
  await eventually(async () => (await inboxOf(mesh)).length === 1, PATIENT)
  const [{ id = '' } = {}] = await inboxOf(mesh)
  t.equal(await first.evaluate('document.activeElement.dataset.id'), id, 'the focus went on')
  await second.getByRole('button', { name: 'Mark all as read' }).click()
  await first.getByRole('button', { name: 'Notifications', exact: true }).waitFor()
  await second.reload()
  await second.locator('main article').waitFor()
  await eventually(async () => (await second.locator('main article[data-unread]').count()) === 0, PATIENT)
  t.pass('the server knows it, too')
  await eventually(async () => (await inboxOf(mesh))[0]?.seenAt, PATIENT)
  t.pass('what was on the screen was seen')
}

async function talks(t: Test, { browser, mesh }: Parts): Promise<void> {
  const ada = await openApp(t, { context: await openContext(t, browser), mesh })
  const mira = await openApp(t, { context: await openContext(t, browser), mesh, query: '?as=mira' })
  for (const page of [ada, mira]) {
    await page.locator('.member').getByText('Ada').waitFor()
    await page.locator('.member').getByText('Mira').waitFor()
  }
  await ada.getByRole('textbox', { name: 'Message' }).focus()
  await ada.keyboard.type('Where are you?')
  await ada.keyboard.press('Enter')
  await mira.getByRole('log').getByText('Where are you?').waitFor()
  await mira.getByRole('textbox', { name: 'Message' }).focus()
  await mira.keyboard.type('Four minutes away.')
  await mira.keyboard.press('Enter')
  await ada.locator('.said').getByText('Four minutes away.').waitFor()
  t.same(await ada.locator('.said b').allTextContents(), ['Ada', 'Mira'])

  const own = mira.getByRole('button', { name: /your position/ })
  await own.focus()
  for (let step = 0; step < 40; step++) await mira.keyboard.press('ArrowLeft')
  await mira.keyboard.press('ArrowRight')
  await eventually(
    async () => (await ada.locator('.dot[data-user=mira]').getAttribute('style'))?.includes('left: 3%'),
    PATIENT,
  )
  t.match(await own.getAttribute('aria-label'), /^Mira, your position: 3 across/)

  if (process.env.CARILLON_SCREENSHOT === '1') await takePicture(ada, mesh)

  const late = await openApp(t, { context: await openContext(t, browser), mesh })
  await late.getByRole('log').getByText('Where are you?').waitFor()
  await eventually(async () => (await late.locator('.said').count()) === 2, PATIENT)
  t.pass('who comes later reads what was said')
  await mira.close()
  await ada.locator('.member').getByText('Mira').waitFor({ state: 'detached', timeout: 60_000 })
}

async function survives(t: Test, { browser, mesh }: Parts): Promise<void> {
  const context = await openContext(t, browser)
  const page = await openApp(t, { context, mesh })
  await page.locator('main article').first().waitFor()
  const before = await page.locator('main article').count()
  await context.setOffline(true)
  await page.getByText('Offline. This is what was here last.').waitFor({ timeout: 60_000 })
  t.equal(await page.locator('main article').count(), before)
  await mesh.ring('While you were away.')
  await context.setOffline(false)
  await page.locator('main article').getByText('While you were away.').waitFor({ timeout: 60_000 })
  t.equal(await page.locator('main article').count(), before + 1)
}

async function takePicture(page: Page, mesh: RunningMesh): Promise<void> {
  await mesh.ring('Your ride is booked.')
  await page.locator('main article').getByText('Your ride is booked.').waitFor()
  await eventually(() => page.evaluate<boolean>('document.getAnimations().length === 0'))
  await page.screenshot({ path: SCREENSHOT })
}

async function openContext(t: Test, browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' })
  t.teardown(() => context.close())
  context.setDefaultTimeout(60_000)
  return context
}

/** Connected, and with nothing to complain of when the test is over. */
async function openApp(
  t: Test,
  { context, mesh, query = '' }: { context: BrowserContext; mesh: RunningMesh; query?: string },
): Promise<Page> {
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(error.message))
  await page.goto(`${mesh.url}/dev/app${query}`)
  await page.getByText('Connected', { exact: true }).waitFor()
  return page
}

async function inboxOf(mesh: RunningMesh): Promise<{ id: string; seenAt: string | null }[]> {
  const { token } = await mesh.carillon.userToken('ada')
  const answer = await fetch(`${mesh.url}/v1/inbox`, { headers: { authorization: `Bearer ${token}` } })
  return ((await answer.json()) as { notifications: { id: string; seenAt: string | null }[] }).notifications
}
