import { getSession, listInbox, markRead, userHeaders } from './api.js'
import { createCard } from './messages.js'
import { createList } from './panels.js'
import { isWebUrl, openUrl } from './receipts.js'
import { openStream } from './stream.js'

/**
 * The person's own inbox, as any app would show it: one SSE connection, resumed after a drop; on `ready` and `reset`
 * the list is read, and both are merged by id, so each notification stands there once.
 */
export function startInbox({ panel, bells, strips, onWhy, onState, onProblem }) {
  const list = createList(panel.part('.messages'), (count) => panel.setFilled(count > 0))
  const read = async (card) => {
    await markRead(card.id)
    card.element.classList.remove('unread')
  }
  const show = (item, fresh) => {
    const unread = !item.readAt && !item.seenAt
    const known = list.get(item.id)
    if (known) {
      known.element.classList.toggle('unread', unread)
      return
    }
    const leads = (label, url) => ({ label: `${label} ↗`, kind: 'action', act: () => openUrl(url) })
    const at = Date.parse(item.createdAt) || Date.now()
    const card = createCard({
      ...{
        id: item.id,
        at,
        title: item.title,
        body: item.body,
        imageUrl: item.picture,
        url: item.url,
        fresh,
      },
      async onOpen() {
        openUrl(item.url)
        await read(card).catch(onProblem)
      },
      buttons: [
        ...(item.actions ?? []).filter(({ url }) => isWebUrl(url)).map(({ label, url }) => leads(label, url)),
        { label: 'Mark read', kind: 'plain', done: 'Read', act: () => read(card) },
        { label: 'Why?', kind: 'plain', act: () => onWhy(item.id) },
      ],
    })
    card.element.classList.toggle('unread', unread)
    card.element.querySelector('article').append(strips.of(item.id))
    list.add(card)
    if (fresh) bells.arrived('inbox', Date.now(), (ms) => card.measured(ms))
    // the newest tells its story by itself
    if ([...list.cards()].every((other) => other.at <= at)) strips.open(item.id)
  }

  const reload = async () => {
    const items = await listInbox()
    panel.setEmpty('Nothing yet. Ring, and it appears here.')
    for (const item of items.toReversed()) if (!item.archivedAt) show(item, false)
  }

  const onFrame = (frame) => {
    if (frame.type === 'notification.created') show(frame.notification, true)
    if (frame.type === 'notification.removed') list.remove(frame.id)
    if (frame.type === 'notification.updated') {
      const { archivedAt, snoozedUntil, title } = frame.changes
      if (archivedAt || snoozedUntil) list.remove(frame.id)
      // what was put off comes back whole
      else if (title !== undefined) show(frame.changes, false)
      if (frame.changes.readAt || frame.changes.seenAt) list.get(frame.id)?.element.classList.remove('unread')
    }
  }

  return openStream('/v1/sse?channel=user', {
    headers: userHeaders,
    onState(state) {
      onState(state)
      if (state === 'refused') void getSession({ fresh: true }).catch(() => undefined)
    },
    onEvent({ event, data }) {
      if (event === 'ready' || event === 'reset') {
        void reload().catch((error) => panel.setEmpty(`The inbox can't be read: ${error.message}`))
      } else if (event === 'message') onFrame(JSON.parse(data))
    },
  })
}
