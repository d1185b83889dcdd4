import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import t from 'tap'
import {
  Bell,
  CarillonProvider,
  Inbox,
  Toasts,
  useChannel,
  useConnectionState,
  useUnread,
} from '../src/index.js'
import { item } from './page/items.js'
import { createMemoryCarillon } from './page/memory-carillon.js'
import { bundleLibrary, PACKAGE } from './site.js'

/** Beside React and the client, compressed. */
const SCRIPT_BYTES = 16_000
const STYLE_BYTES = 4_500

t.test('a server draws what waits for its data, and connects and loads nothing', async (t) => {
  const client = createMemoryCarillon([item('a', 1)])
  await client.inbox.load()
  client.calls.length = 0
  const html = renderToString(
    createElement(
      CarillonProvider,
      { client, locale: 'fr' },
      createElement(Bell),
      createElement(Inbox),
      createElement(Toasts),
      createElement(Hooks),
    ),
  )
  t.match(html, /data-carillon="skeleton"/)
  t.match(html, /Chargement des notifications/)
  t.match(html, /<i>idle, 0, joining<\/i>/)
  t.notMatch(html, /Notification a/, 'who is signed in is known to the browser alone')
  t.same(client.calls, [])
  t.same(client.listeners, { inbox: 0, state: 0, notifications: 0 })
  t.same(client.joined, { now: 0, ever: 0 })
})

t.test('outside of a provider it says what is missing', async (t) => {
  t.throws(() => renderToString(createElement(Inbox)), /no <CarillonProvider>/)
})

t.test('a page does not have to load much', async (t) => {
  const script = gzipSync(await bundleLibrary()).length
  const style = gzipSync(await readFile(`${PACKAGE}/styles.css`)).length
  t.ok(script <= SCRIPT_BYTES, `${script} bytes of script`)
  t.ok(style <= STYLE_BYTES, `${style} bytes of styles`)
})

function Hooks() {
  const { state } = useChannel('room:lounge')
  return createElement('i', null, `${useConnectionState()}, ${useUnread()}, ${state}`)
}
