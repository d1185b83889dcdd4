import { type ReactNode, StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Bell, CarillonProvider, Inbox, Toasts, useChannel, useUnread } from '../../src/index.js'
import { item, manyItems, someItems } from './items.js'
import { createMemoryCarillon, type MemoryCarillon } from './memory-carillon.js'

declare global {
  interface Window {
    carillon: MemoryCarillon
    item: typeof item
    /** Ids that the page was told of. */
    opened: string[]
    stolen?: number
  }
}

const query = new URLSearchParams(location.search)
const many = Number(query.get('many') ?? 0)
const server = query.has('none') ? [] : many > 0 ? manyItems(many) : someItems()
const client = createMemoryCarillon(server, Number(query.get('page') ?? 20))
window.carillon = client
window.item = item
window.opened = []
if (query.has('refused')) client.refuseNext()
if (query.has('held')) Object.assign(window, { release: client.hold() })
const theme = query.get('theme') === 'system' ? 'system' : query.get('theme') === 'dark' ? 'dark' : 'light'
document.documentElement.style.colorScheme = theme === 'system' ? 'light dark' : theme
const locale = query.get('locale') ?? 'en'
document.documentElement.lang = locale
document.documentElement.dir = locale === 'ar' ? 'rtl' : 'ltr'

function Room(): ReactNode {
  const { messages, memberCount, publish } = useChannel('room:lounge')
  return (
    <p>
      <button type="button" onClick={() => void publish({ text: 'Hello' })}>
        Say hello
      </button>
      <output id="room">{`${messages.length} messages, ${memberCount} here`}</output>
    </p>
  )
}

function Unread(): ReactNode {
  return <output id="unread">{useUnread()}</output>
}

function Page(): ReactNode {
  const [rooms, setRooms] = useState(true)
  const unstyled = query.has('unstyled')
  const own = query.has('own')
  const parts = (query.get('parts') ?? 'bell inbox toasts').split(' ')
  return (
    <CarillonProvider
      client={client}
      locale={locale}
      unstyled={unstyled}
      theme={theme}
      {...(own ? { messages: { notifications: 'Post' }, classNames: { item: 'mine' } } : {})}
    >
      <header style={{ display: 'flex', justifyContent: 'flex-end', alignItems: 'center', gap: 12 }}>
        <h1 style={{ marginInlineEnd: 'auto', font: '600 1.25rem system-ui' }}>Page</h1>
        <Unread />
        <button type="button" onClick={() => setRooms(!rooms)}>
          Rooms
        </button>
        {parts.includes('bell') && <Bell />}
      </header>
      <main style={{ maxInlineSize: 480, marginBlock: 16 }}>
        {rooms && (
          <>
            <Room />
            <Room />
          </>
        )}
        {parts.includes('inbox') && (
          <Inbox
            onOpen={({ id }) => window.opened.push(id)}
            loadMore={query.has('button') ? 'button' : 'scroll'}
            {...(own
              ? {
                  renderItem: ({ item, tabIndex }) => (
                    <a href="#own" tabIndex={tabIndex}>{`Own ${item.title}`}</a>
                  ),
                }
              : {})}
          />
        )}
      </main>
      {parts.includes('toasts') && <Toasts durationMs={Number(query.get('toast') ?? 60_000)} />}
    </CarillonProvider>
  )
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Page />
  </StrictMode>,
)
