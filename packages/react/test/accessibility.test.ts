import { eventually, useChromium } from '@carillon/testkit'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { bundleSite, openSite, type World } from './site.js'

t.test('everybody can use the components', async (t) => {
  const browser = await useChromium(t)
  if (browser === undefined) return
  const world: World = { browser, site: await bundleSite() }

  await t.test('from the keyboard: through the list, and everything that can be done', async (t) => {
    const page = await openSite(t, world, { query: 'parts=inbox' })
    const key = (name: string) => page.keyboard.press(name)
    await page.locator('article').first().waitFor()
    await page.getByRole('tab', { name: 'All' }).focus()
    await key('Tab')
    t.equal(await focused(page), 'driver', 'the list is one stop')
    await key('ArrowDown')
    t.equal(await focused(page), 'invoice')
    await key('End')
    t.equal(await focused(page), 'old')
    await key('ArrowDown')
    t.equal(await focused(page), 'old', 'it does not go round')
    await key('PageUp')
    t.equal(await focused(page), 'rated')
    await key('Home')
    t.equal(await focused(page), 'driver')
    await key('r')
    t.equal(await page.locator('#unread').textContent(), '2')
    t.equal(await focused(page), 'driver')
    await key('r')
    t.equal(await page.locator('#unread').textContent(), '3')
    await key('s')
    await key('ArrowDown')
    t.match(await page.evaluate('document.activeElement.textContent'), /^Tomorrow/)
    await key('n')
    t.match(await page.evaluate('document.activeElement.textContent'), /^Next week/)
    await key('Escape')
    await page.locator('[role=menu]').waitFor({ state: 'detached' })
    t.equal(await focused(page), 'driver')
    await key('s')
    await key('Enter')
    t.equal(await page.locator('[data-id=driver]').count(), 0)
    t.equal(await focused(page), 'invoice', 'the next one is in its place')
    await key('z')
    await page.locator('[data-id=driver]').waitFor()
    await key('Control+e')
    t.equal(await page.locator('[data-id=invoice]').count(), 1, "the browser's own keys are its own")
    await key('e')
    t.equal(await focused(page), 'evil')
    await key('Delete')
    t.equal(await focused(page), 'shared')
    await key('Enter')
    await page.waitForURL(/#shared$/)
    await key('End')
    await key('Delete')
    t.equal(await focused(page), 'rated', 'after the last comes the one before')
    await key('Shift+Tab')
    t.equal(await page.evaluate('document.activeElement.role'), 'tab')
    await key('ArrowRight')
    await key('End')
    t.equal(await page.getByRole('tab', { name: 'Archived' }).getAttribute('aria-selected'), 'true')
    await page.locator('[data-id=archived]').waitFor()
    await key('Tab')
    for (const id of ['invoice', 'archived']) {
      t.equal(await focused(page), id)
      await key('e')
    }
    t.equal(
      await page.evaluate('document.activeElement.role'),
      'tabpanel',
      'when nothing is left the focus is on the panel',
    )
  })

  await t.test('the focus is never lost when something goes elsewhere', async (t) => {
    const page = await openSite(t, world, { query: 'parts=inbox' })
    await page.locator('[data-id=invoice]').focus()
    await page.evaluate(`carillon.arrive(item('new', 0))`)
    t.equal(await focused(page), 'invoice', 'what comes above takes nothing away')
    await page.evaluate(`carillon.vanish('invoice')`)
    t.equal(await focused(page), 'evil')
    await page.locator('[data-id=evil]').getByRole('button', { name: 'Archive' }).focus()
    await page.evaluate(`carillon.vanish('evil')`)
    t.equal(await focused(page), 'shared')
    await page.getByRole('tab', { name: 'All' }).focus()
    await page.evaluate(`carillon.vanish('shared')`)
    t.equal(await page.evaluate('document.activeElement.role'), 'tab', 'it is not drawn into the list')
  })

  await t.test('in a long list what has the focus is in view', async (t) => {
    const page = await openSite(t, world, { query: 'many=300&page=300&parts=inbox' })
    await page.locator('article').first().focus()
    for (const key of ['End', 'ArrowUp', 'Home', 'PageDown']) {
      await page.keyboard.press(key)
      await eventually(() =>
        page.evaluate<boolean>(`(() => {
          const item = document.activeElement.getBoundingClientRect()
          const panel = document.querySelector('[data-carillon=panel]').getBoundingClientRect()
          return item.top >= panel.top - 1 && item.bottom <= panel.bottom + 1
        })()`),
      )
      t.ok(true, key)
    }
    t.equal(await focused(page), 'n2')
  })

  await t.test('the bell and its popover, and toasts, from the keyboard', async (t) => {
    const page = await openSite(t, world, { query: 'parts=bell toasts' })
    const bell = page.locator('[data-carillon=bell]')
    await bell.focus()
    await page.keyboard.press('Enter')
    await eventually(async () => (await focused(page)) === 'driver')
    await page.keyboard.press('s')
    await page.keyboard.press('Escape')
    t.equal(await page.getByRole('dialog').isVisible(), true, 'the first Esc closes the menu alone')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    await eventually(() => bell.evaluate((one) => one === document.activeElement))
    for (const id of ['a', 'b'])
      await page.evaluate(`carillon.arrive(item('${id}', 0, { title: 'Toast ${id}' }))`)
    await page.locator('[data-toast=b]').waitFor()
    await page.keyboard.press('F8')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Toast b')
    await page.keyboard.press('Escape')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Toast a')
    await page.keyboard.press('Escape')
    t.equal(await bell.evaluate((one) => one === document.activeElement), true, 'back to where it was')
  })

  await t.test('a screen reader meets a feed of articles with names, states and places', async (t) => {
    const page = await openSite(t, world, { query: 'parts=inbox' })
    await page.locator('article').first().waitFor()
    const inbox = page.getByRole('region', { name: 'Notifications' })
    t.match(
      await inbox.ariaSnapshot(),
      new RegExp(
        [
          '- heading "Notifications" \\[level=2\\]',
          '- text: 3 unread',
          '- button "Mark all as read"',
          '- tablist "Show":',
          '- tab "All" \\[selected\\]',
          '- tabpanel "All":',
          '- feed "Notifications":',
          'article "Unread: Mira is on her way"',
          '- link "Follow the ride"',
          '- button "Mark as read"',
          '- button "Snooze"',
          '- button "Archive"',
          '- button "Delete"',
        ].join('[\\s\\S]*'),
      ),
    )
    const first = page.getByRole('article', { name: 'Unread: Mira is on her way' })
    const attributes = ['aria-posinset', 'aria-setsize', 'aria-keyshortcuts'] as const
    t.same(await Promise.all(attributes.map((name) => first.getAttribute(name))), [
      '1',
      '6',
      'Enter E R S Delete',
    ])
    const hint = await page.getByRole('feed').getAttribute('aria-describedby')
    t.match(await page.locator(`[id="${hint}"]`).textContent(), /E archives/)
    await first.focus()
    await page.keyboard.press('e')
    await page.getByRole('status').getByText('Archived', { exact: true }).waitFor({ state: 'attached' })
    await page.evaluate(`carillon.arrive(item('one', 0, { title: 'Hello' }))`)
    await page.getByRole('status').getByText('New: Hello').waitFor({ state: 'attached' })
    await page.evaluate(`carillon.arrive(item('two', 0)); carillon.arrive(item('three', 0))`)
    await page.getByRole('status').getByText('2 new notifications').waitFor({ state: 'attached' })
  })

  const scenes: Record<string, { query: string; ready: (page: Page) => Promise<unknown> }> = {
    list: { query: 'parts=inbox', ready: (page) => page.locator('article').nth(4).waitFor() },
    empty: { query: 'parts=inbox&none', ready: (page) => page.locator('[data-carillon=empty]').waitFor() },
    failed: { query: 'parts=inbox&refused', ready: (page) => page.getByRole('alert').waitFor() },
    loading: {
      query: 'parts=inbox&held',
      ready: (page) => page.locator('[data-carillon=skeleton]').first().waitFor(),
    },
    offline: {
      query: 'parts=inbox',
      async ready(page) {
        await page.locator('article').first().waitFor()
        await page.evaluate(`carillon.become('offline')`)
        await page.locator('article').first().focus()
        await page.keyboard.press('e')
        await page.locator('[data-carillon=undo]').waitFor()
      },
    },
    'bell, menu and toasts': {
      query: 'parts=bell toasts',
      async ready(page) {
        await page.getByRole('button', { name: /unread|مقروء/ }).click()
        await page.locator('article').first().waitFor()
        await eventually(async () => (await focused(page)) === 'driver')
        await page.evaluate(
          `carillon.arrive(item('toast', 0, { actions: [{ id: 'a', label: 'Go', url: '/go' }] }))`,
        )
        await page.keyboard.press('s')
        await page.locator('[role=menu]').waitFor()
      },
    },
  }
  for (const [name, { query, ready }] of Object.entries(scenes)) {
    await t.test(`axe finds nothing in: ${name}, light and dark`, async (t) => {
      const page = await openSite(t, world, { query })
      await ready(page)
      t.same(await violations(page), [], 'light')
      await page.evaluate(`{
        document.documentElement.style.colorScheme = 'dark'
        for (const root of document.querySelectorAll('[data-theme]')) root.dataset.theme = 'dark'
      }`)
      t.same(await violations(page, ['color-contrast']), [], 'dark')
    })
  }

  await t.test('a theme is the one that was said, or the one of the system', async (t) => {
    const ground = (page: Page) =>
      page.locator('[data-carillon=inbox]').evaluate((inbox) => getComputedStyle(inbox).backgroundColor)
    const grounds: string[] = []
    for (const [query, colorScheme] of [
      ['theme=light', 'dark'],
      ['theme=dark', 'light'],
      ['theme=system', 'light'],
      ['theme=system', 'dark'],
    ] as const) {
      const page = await openSite(t, world, { query: `parts=inbox&${query}` })
      await page.emulateMedia({ colorScheme })
      await page.locator('article').first().waitFor()
      grounds.push(await ground(page))
    }
    const [light = '', dark = ''] = grounds
    t.not(light, dark)
    t.same(grounds, [light, dark, light, dark])
  })

  await t.test('right to left, in Arabic, and in German, everything is in that language', async (t) => {
    const page = await openSite(t, world, { query: 'parts=bell inbox&locale=ar' })
    await page.locator('article').first().waitFor()
    t.same(await violations(page), [])
    const inbox = page.locator('[data-carillon=inbox]')
    t.equal(await inbox.getAttribute('dir'), 'rtl')
    t.equal(await inbox.getByText('3 إشعارات غير مقروءة').count(), 1)
    const mark = await page.locator('[data-id=invoice] [data-carillon=mark]').boundingBox()
    const title = await page.locator('[data-id=invoice] [data-carillon=open]').boundingBox()
    t.ok(mark && title && mark.x > title.x + title.width, 'the mark is right of the title')
    await page.getByRole('tab', { name: 'الكل' }).focus()
    await page.keyboard.press('ArrowLeft')
    t.equal(await page.getByRole('tab', { name: 'غير المقروءة' }).getAttribute('aria-selected'), 'true')
    const german = await openSite(t, world, { query: 'parts=inbox&locale=de-AT' })
    await german.getByText('3 ungelesen').waitFor()
    await german.getByText(/^vor 12\sMin/).waitFor()
  })

  await t.test('at 200 % and on a small phone nothing is cut off sideways', async (t) => {
    for (const [query, width] of [
      ['parts=bell inbox', 640],
      ['parts=bell inbox&locale=fr', 320],
    ] as const) {
      const page = await openSite(t, world, {
        query,
        size: { width, height: 900 },
        zoom: width === 640 ? 2 : 1,
      })
      await page.locator('article').first().waitFor()
      await page.locator('[data-carillon=bell]').click()
      await page.locator('[data-carillon=popover] article').first().waitFor()
      t.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
      const sideways = `[...document.querySelectorAll('[data-carillon=panel], [data-carillon=popover], [data-carillon=header]')]
        .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.dataset.carillon)`
      t.same(await page.evaluate(sideways), [])
    }
  })

  await t.test('nothing jumps while the list comes, and nothing moves for who wants no motion', async (t) => {
    const page = await openSite(t, world, { query: 'parts=inbox&held' })
    await page.locator('[data-carillon=skeleton]').first().waitFor()
    await page.evaluate(`window.shifts = 0; new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifts += entry.value
    }).observe({ type: 'layout-shift', buffered: true })`)
    await page.evaluate('release()')
    await page.locator('article').nth(4).waitFor()
    await page.evaluate(`carillon.arrive(item('new', 0)); carillon.become('offline')`)
    await page.locator('[data-id=new]').waitFor()
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
    const shifts = await page.evaluate<number>('window.shifts')
    t.ok(shifts < 0.1, `shifted by ${shifts}`)
    t.equal(await page.evaluate('document.getAnimations().length'), 0)
    const lively = await openSite(t, world, { query: 'parts=inbox&held', reducedMotion: 'no-preference' })
    await lively.locator('[data-carillon=skeleton]').first().waitFor()
    t.not(await lively.evaluate('document.getAnimations().length'), 0)
  })
})

async function violations(page: Page, rules?: string[]): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>(
    `axe.run(document, ${JSON.stringify(rules ? { runOnly: rules } : {})})`,
  )
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}

const focused = (page: Page): Promise<string | null> =>
  page.evaluate(`document.activeElement.closest('[data-id]')?.dataset.id ?? null`)
