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

function Hooks() {
  const { state } = useChannel('room:lounge')
  return createElement('i', null, `${useConnectionState()}, ${useUnread()}, ${state}`)
}
