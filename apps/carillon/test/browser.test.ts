import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { eventually, useChromium, useFolder } from '@carillon/testkit'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { openFront } from '../src/chaos/readers/front.js'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { type CliProcess, inboxOf, PROJECT, startCli } from './support.js'

/** Bells of the dev inbox: browser, three push services, mailbox, text message, webhook. */
const BELLS = 7
const SCREENSHOT = join(PROJECT, 'docs/images/dev-inbox.png')

t.test('in a browser', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const directory = join(await useFolder(t), 'mesh')
  const mesh = await startMesh({
    base: PROJECT,
    env: { CARILLON_DIR: directory },
    workflows: { pushed: () => undefined, refused: (file, problem) => t.fail(`${file}: ${problem}`) },
    progress: { step: (_name, work) => work(() => undefined) },
  })
  t.teardown(() => mesh[Symbol.asyncDispose]())

  await t.test('the dev inbox: Ring lights every bell', (t) => devInboxRings(t, browser, mesh))
  await t.test('the dev inbox: everything works from the keyboard alone', (t) =>
    devInboxByKeyboard(t, browser, { mesh, directory }),
  )
  await t.test('a page with EventSource sees each notification once, across a kill of realtime', (t) =>
    survivesKill(t, browser, { mesh, directory }),
  )
})

async function devInboxRings(t: Test, browser: Browser, mesh: RunningMesh): Promise<void> {
  const picture = process.env.CARILLON_SCREENSHOT === '1'
  if (picture) await ringBefore(mesh)
  const { page, problems } = await openPage(t, browser)
  await page.goto(mesh.url)
  await page.getByText('Nothing yet.').waitFor()
  const rung = Date.now()
  await page.getByRole('button', { name: 'Ring', exact: true }).click()
  await page.locator('[data-bell=inbox] .message').waitFor()
  t.comment(`visible ${Date.now() - rung} ms after the click`)
  await eventually(async () => (await page.locator('.bell.rang').count()) === BELLS)
  for (const text of await page.locator('.bell.rang output').allTextContents()) t.match(text, /^[\d,]+ ms$/)
  // the arrival is animated
  await eventually(() => page.evaluate<boolean>('document.getAnimations().length === 0'))
  if (picture) {
    await eventually(async () => (await page.locator('.strip [data-status=delivered]').count()) >= 4)
    await mkdir(dirname(SCREENSHOT), { recursive: true })
    await page.screenshot({ path: SCREENSHOT })
  }
  t.same(problems, [], 'nothing on the console')

  await mesh.ring('From a terminal.')
  await page.locator('[data-bell=inbox] .message').getByText('From a terminal.').waitFor()
  await eventually(async () => (await page.locator('[data-bell=smtp] .message').count()) === 2)
  const cards = await page.locator('[data-bell=inbox] .message').all()
  const ids = await Promise.all(cards.map((card) => card.getAttribute('data-id')))
  t.equal(ids.length, 2)
  t.equal(new Set(ids).size, 2, 'each notification once')
  await page.reload()
  await eventually(async () => (await page.locator('[data-bell=inbox] .message').count()) === 2)
  t.same(problems, [])
}

/** The picture shows an ordinary ring, not the first of all, in which providers are met for the first time. */
async function ringBefore(mesh: RunningMesh): Promise<void> {
  await mesh.ring()
  await eventually(() => mesh.simulators.inbox.list().length === BELLS - 1, { timeoutMs: 20_000 })
  const { token } = await mesh.carillon.userToken('ada')
  const inbox = `${mesh.url}/v1/inbox`
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(inbox, { headers })
  const { notifications } = (await answer.json()) as { notifications: { id: string }[] }
  for (const { id } of notifications) {
    const archived = await fetch(`${inbox}/${id}/archived`, { method: 'PUT', headers })
    if (!archived.ok) throw new Error(`archiving answers ${archived.status}: ${await archived.text()}`)
  }
  mesh.simulators.reset()
}

async function devInboxByKeyboard(t: Test, browser: Browser, { mesh, directory }: Meshed): Promise<void> {
  const { page, problems } = await openPage(t, browser)
  await page.goto(mesh.url)
  const { length: before } = await inboxOf(directory)
  await eventually(async () => (await page.locator('[data-bell=inbox] .message').count()) === before)
  const reach = async (name: RegExp) => {
    for (let presses = 0; presses < 80; presses += 1) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate<string>("document.activeElement?.textContent?.trim() ?? ''")
      if (name.test(focused)) return
    }
    t.fail(`Tab never reaches ${name}`)
  }

  await reach(/^◆ Ring$/)
  await page.keyboard.press('Enter')
  await eventually(async () => (await page.locator('.bell.rang').count()) === BELLS)
  t.equal(await page.locator('[data-bell=inbox] .message').count(), before + 1)

  await reach(/^Why\?/)
  await page.keyboard.press('Enter')
  const story = page.getByLabel('The explanation', { exact: true })
  await story.waitFor()
  t.match(await story.inputValue(), /hello[\s\S]*ada/i, 'Why? tells the story')
  const data: unknown = JSON.parse(await page.locator('#why-data').inputValue())
  t.match(data, { id: String }, 'and the same as data')
  await page.keyboard.press('Escape')
  await story.waitFor({ state: 'hidden' })

  await reach(/^Break FCM$/)
  await page.keyboard.press('Space')
  await page.locator('[data-bell=fcm] .outage').waitFor()
  await page.keyboard.press('Space')
  await page.locator('[data-bell=fcm] .outage').waitFor({ state: 'hidden' })
  t.same(problems, [], 'nothing on the console')
}

interface Meshed {
  mesh: RunningMesh
  directory: string
}

/** What the page of an app collects: ids in the order of their arrival, and how often it was told to fetch again. */
interface Collected {
  ids: string[]
  ready: number
  resets: number
  opened: number
}

async function survivesKill(t: Test, browser: Browser, { mesh, directory }: Meshed): Promise<void> {
  const app = await serveApp(t)
  let realtime = await startRealtime(t, mesh, app)
  // keeps the address while nothing stands behind it
  const front = await openFront(() => [realtime.url])
  t.teardown(() => front[Symbol.asyncDispose]())
  const { page } = await openPage(t, browser)
  const { token } = await mesh.carillon.userToken('ada')
  await page.goto(app)
  await page.evaluate(listen, `${front.url}/v1/sse?channel=user&token=${encodeURIComponent(token)}`)
  const collected = () => page.evaluate<Collected>('collected')
  await eventually(async () => (await collected()).ready === 1)

  const rung = Date.now()
  const text = (number: number) => `Number ${number}`
  await mesh.ring(text(1))
  await eventually(async () => (await collected()).ids.length === 1)
  t.comment(`arrived ${Date.now() - rung} ms after the ring`)

  realtime.process.kill('SIGKILL')
  await realtime.process.exited
  await Promise.all([mesh.ring(text(2)), mesh.ring(text(3))])
  await eventually(async () => (await inboxOf(directory)).some(({ body }) => body === text(3)))
  realtime = await startRealtime(t, mesh, app)
  await eventually(async () => (await collected()).ready >= 2, { timeoutMs: 90_000 })
  await mesh.ring(text(4))

  const wanted = await eventually(async () => {
    const items = (await inboxOf(directory)).filter(({ body }) => body.startsWith('Number '))
    return items.length === 4 && items.map(({ id }) => id).sort()
  })
  await eventually(async () => (await collected()).ids.length >= wanted.length)
  const { ids, resets } = await collected()
  t.equal(resets, 0, 'resumed, not told to begin anew')
  t.same([...ids].sort(), wanted, 'the browser came back by itself: no gap, no duplicate')
}

/** Runs in the page: what any app does with a plain EventSource. */
function listen(url: string): void {
  const collected: Collected = { ids: [], ready: 0, resets: 0, opened: 0 }
  Object.assign(globalThis, { collected })
  const source = new EventSource(url)
  source.addEventListener('open', () => {
    collected.opened += 1
  })
  source.addEventListener('ready', () => {
    collected.ready += 1
  })
  source.addEventListener('reset', () => {
    collected.resets += 1
  })
  source.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(data)
    if (frame.type === 'notification.created') collected.ids.push(frame.id)
  })
}

/** The realtime role alone, in a process of its own, for pages of one origin. */
async function startRealtime(
  t: Test,
  mesh: RunningMesh,
  origin: string,
): Promise<{ process: CliProcess; url: string }> {
  const env = Object.entries(mesh.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  const started = startCli(t, ['serve', '--roles=realtime'], {
    env: {
      ...Object.fromEntries(env),
      CARILLON_PORT: '0',
      CARILLON_ALLOWED_ORIGINS: origin,
      CARILLON_LOG_LEVEL: 'info',
    },
  })
  const listening = await started.says(/"url":"(http:[^"]+)"/)
  return { process: started, url: listening.slice('"url":"'.length, -1) }
}

/** An empty page of another origin, as somebody's app is. */
async function serveApp(t: Test): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>App</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A page, and what it complains of. */
async function openPage(t: Test, browser: Browser): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  t.teardown(() => page.close())
  page.setDefaultTimeout(60_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
  })
  return { page, problems }
}
