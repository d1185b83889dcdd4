import { join } from 'node:path'
import { eventually, useChromium, useFolder } from '@carillon/testkit'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { PROJECT } from './support.js'

const PATIENT = { timeoutMs: 60_000 }

t.test('the dev inbox against the mesh', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const mesh = await startMesh({
    base: PROJECT,
    env: { CARILLON_DIR: join(await useFolder(t), 'mesh') },
    workflows: { pushed: () => undefined, refused: (file, problem) => t.fail(`${file}: ${problem}`) },
    progress: { step: (_name, work) => work(() => undefined) },
  })
  t.teardown(() => mesh[Symbol.asyncDispose]())
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } })
  t.teardown(() => page.close())
  page.setDefaultTimeout(60_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(mesh.url)
  await page.getByText('Nothing yet.').waitFor()

  const parts = { mesh, page }
  await t.test('what a person does on a phone is told, and shows in the timeline', (t) => actions(t, parts))
  await t.test('a mail shows what it is worth', (t) => mailDetails(t, parts))
  await t.test('a broken mail server is passed over', (t) => backup(t, parts))
  await t.test('a mail that comes back suppresses its mailbox until it is lifted', (t) => bounces(t, parts))
  await t.test('one click unsubscribes, and is taken back', (t) => unsubscribes(t, parts))
  await t.test('a phone that is offline gets what its provider kept', (t) => offline(t, parts))
  await t.test('a phone that was called dead is known again once its provider is healed', (t) =>
    dead(t, parts),
  )
  t.same(problems, [])
})

interface Parts {
  mesh: RunningMesh
  page: Page
}

const panel = (page: Page, bell: string) => page.locator(`[data-bell=${bell}]`)
const cards = (page: Page, bell: string) => panel(page, bell).locator('.message')
const newestStrip = (page: Page) => cards(page, 'inbox').first().locator('.strip')
const arrivedOn = ({ mesh }: Parts, provider: string) =>
  mesh.simulators.inbox.list().filter((message) => message.provider === provider && !message.silent).length

/** Rings, and waits until the ring is the newest in the inbox. */
async function ring({ page }: Parts): Promise<void> {
  const before = await cards(page, 'inbox').count()
  await page.click('#ring')
  await eventually(async () => (await cards(page, 'inbox').count()) === before + 1, PATIENT)
}

async function actions(t: Test, parts: Parts): Promise<void> {
  const { page } = parts
  await ring(parts)
  for (const bell of ['fcm', 'apns', 'webpush']) await cards(page, bell).first().waitFor()
  const iphone = cards(page, 'apns').first()
  t.equal(await iphone.locator('.subtitle').textContent(), 'Carillon')
  t.match(await iphone.locator('.facts').textContent(), /interruption active/)
  await panel(page, 'apns').locator('.badge').getByText('1', { exact: true }).waitFor()
  await iphone.locator('.picture').waitFor()
  await newestStrip(page).getByText('delivered').nth(2).waitFor()

  const opened = page.context().waitForEvent('page')
  await cards(page, 'fcm').first().getByRole('button', { name: 'Hello Ada', exact: true }).click()
  await (await opened).close()
  await newestStrip(page).getByText("opened on Ada's Pixel").waitFor()
  // what was opened leaves the screen, and other screens follow
  for (const bell of ['fcm', 'apns'])
    await eventually(async () => (await cards(page, bell).count()) === 0, PATIENT)
  await panel(page, 'apns').getByText('cleared: read elsewhere').waitFor()

  await ring(parts)
  await cards(page, 'apns')
    .first()
    .getByRole('button', { name: /^Thank you/ })
    .click()
  await newestStrip(page).getByText("clicked on Ada's iPhone").waitFor()
  await cards(page, 'webpush')
    .first()
    .getByRole('button', { name: /^Dismiss/ })
    .click()
  await newestStrip(page).getByText("dismissed on Ada's laptop").waitFor()
}

async function openMail(page: Page): Promise<void> {
  await cards(page, 'smtp').first().getByRole('button', { name: /^Read/ }).click()
  await page.locator('#mail').waitFor()
}

async function mailDetails(t: Test, { mesh, page }: Parts): Promise<void> {
  await openMail(page)
  const facts = page.locator('#mail-facts')
  t.match(await facts.textContent(), /DKIM verified/)
  t.match(
    await facts.textContent(),
    /return path \S+@bounce\.carillon\.example/,
    'it comes back to its own address',
  )
  await page.getByRole('tab', { name: 'Headers' }).click()
  t.match(
    await page.locator('#mail-headers').textContent(),
    /List-Unsubscribe-PostList-Unsubscribe=One-Click/,
  )
  await page.keyboard.press('ArrowLeft')
  t.match(await page.locator('#mail-plain').inputValue(), /Every bell rings\./, 'the text, by keyboard')
  await page.keyboard.press('Escape')

  const mail = mesh.simulators.inbox.list().findLast(({ provider }) => provider === 'smtp')
  if (mail === undefined) throw new Error('there is no mail')
  const raw = mail.raw as { source: string }
  const {
    id: _id,
    at: _at,
    ...forged
  } = { ...mail, raw: { ...raw, source: raw.source.replace('bell rings', 'bank asks') } }
  mesh.simulators.inbox.add({ ...forged, title: 'Forged' })
  await cards(page, 'smtp').getByRole('button', { name: 'Forged', exact: true }).waitFor()
  await openMail(page)
  t.match(await facts.textContent(), /DKIM not valid/, 'a changed mail is told')
  await page.keyboard.press('Escape')
}

async function backup(t: Test, parts: Parts): Promise<void> {
  const { page } = parts
  await panel(page, 'smtp').getByRole('button', { name: 'Break SMTP' }).click()
  await panel(page, 'smtp').locator('.outage').waitFor()
  await ring(parts)
  const row = newestStrip(page).locator('li', { hasText: 'ada@example.com' }).first()
  await row.getByText('accepted through backup').waitFor()
  t.match(await row.textContent(), /1 retry SMTP_451/, 'with the attempt before it')
  await cards(page, 'smtp')
    .first()
    .locator('.facts')
    .getByText(/backup/)
    .first()
    .waitFor()
  await panel(page, 'smtp')
    .locator('.counters')
    .filter({ hasText: /1 refused.*1 through backup/ })
    .waitFor()
  await panel(page, 'smtp').getByRole('button', { name: 'Heal SMTP' }).click()
  await panel(page, 'smtp').locator('.outage').waitFor({ state: 'hidden' })
}

async function bounces(t: Test, parts: Parts): Promise<void> {
  const { page } = parts
  await openMail(page)
  await page
    .locator('#mail-actions')
    .getByRole('button', { name: /^Bounce/ })
    .click()
  await page.locator('#mail-result').getByText('bounced').waitFor()
  await page.keyboard.press('Escape')
  const notice = panel(page, 'smtp').locator('.suppressed')
  await notice.getByText('ada@example.com is suppressed').waitFor()
  await newestStrip(page).getByText('bounced on ada@example.com').waitFor()
  const mails = arrivedOn(parts, 'smtp')
  await ring(parts)
  await newestStrip(page).locator('[data-status=skipped]').waitFor()
  t.equal(arrivedOn(parts, 'smtp'), mails, 'no mail while it is suppressed')
  await notice.getByRole('button', { name: /^Lift/ }).click()
  await notice.waitFor({ state: 'hidden' })
  await ring(parts)
  await eventually(() => arrivedOn(parts, 'smtp') === mails + 1, PATIENT)
}

async function unsubscribes(t: Test, parts: Parts): Promise<void> {
  const { page, mesh } = parts
  await openMail(page)
  await page
    .locator('#mail-actions')
    .getByRole('button', { name: /^Unsubscribe/ })
    .click()
  const result = page.locator('#mail-result')
  await result.getByText('Unsubscribed').waitFor()
  const mails = arrivedOn(parts, 'smtp')
  await mesh.ring('Nobody mails this.')
  await cards(page, 'webhook').first().getByText('Nobody mails this.').waitFor()
  t.equal(arrivedOn(parts, 'smtp'), mails, 'no mail after the click')
  await result.getByRole('button', { name: /^Take it back/ }).click()
  await result.getByText('Subscribed again').waitFor()
  await page.keyboard.press('Escape')
  await ring(parts)
  await eventually(() => arrivedOn(parts, 'smtp') === mails + 1, PATIENT)
}

async function offline(t: Test, parts: Parts): Promise<void> {
  const { page } = parts
  const pixel = panel(page, 'fcm').locator('.device').first()
  const toggle = pixel.getByRole('switch')
  await toggle.focus()
  await page.keyboard.press('Space')
  await eventually(async () => (await toggle.getAttribute('aria-checked')) === 'false')
  const before = arrivedOn(parts, 'fcm')
  await ring(parts)
  await pixel.getByText(/\d waiting at the provider/).waitFor()
  t.equal(arrivedOn(parts, 'fcm'), before, 'nothing reaches it')
  await toggle.click()
  await eventually(() => arrivedOn(parts, 'fcm') > before, PATIENT)
  await pixel.locator('.message').first().waitFor()
}

async function dead(t: Test, parts: Parts): Promise<void> {
  const { page } = parts
  await panel(page, 'webpush').getByLabel('How Web Push breaks').selectOption('dead')
  await panel(page, 'webpush').getByRole('button', { name: 'Break Web Push' }).click()
  await panel(page, 'webpush').locator('.outage').waitFor()
  await ring(parts)
  await newestStrip(page).locator('[data-status=failed]').getByText('GONE').waitFor()
  const before = arrivedOn(parts, 'webpush')
  const healed = page.waitForResponse(/webpush\/heal/)
  await panel(page, 'webpush').getByRole('button', { name: 'Heal Web Push' }).click()
  await (await healed).finished()
  await ring(parts)
  await eventually(() => arrivedOn(parts, 'webpush') === before + 1, PATIENT)
  t.pass('it rings again')
}
