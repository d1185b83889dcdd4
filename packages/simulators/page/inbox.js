import { getSession, listInbox, markRead, userHeaders } from './api.js'
import { createCard } from './messages.js'
import { openStream } from './stream.js'

/**
 * The person's own inbox, as any app would show it: one SSE connection, resumed after a drop; on `ready` and `reset`
 * the list is read, and both are merged by id, so each notification stands there once.
 */
export function startInbox({ panel, bells, onWhy, onState }) {
  const show = (item, fresh) => {
    const unread = !item.readAt && !item.seenAt
    const known = panel.get(item.id)
    if (known) {
      known.element.classList.toggle('unread', unread)
      return
    }
    const at = Date.parse(item.createdAt) || Date.now()
    const card = createCard({
      id: item.id,
      at,
      title: item.title,
      body: item.body,
      fresh,
      buttons: [
        {
          label: 'Mark read',
          done: 'Read',
          act: async () => {
            await markRead(item.id)
            card.element.classList.remove('unread')
          },
        },
        { label: 'Why?', act: () => onWhy(item.id) },
      ],
    })
    card.element.classList.toggle('unread', unread)
    panel.add(card)
    if (fresh) bells.arrived('inbox', Date.now(), (ms) => card.measured(ms))
  }

  const reload = async () => {
    const items = await listInbox()
    panel.setEmpty('Nothing yet. Ring, and it appears here.')
    for (const item of items) if (!item.archivedAt) show(item, false)
  }

  const onFrame = (frame) => {
    if (frame.type === 'notification.created') show(frame.notification, true)
    if (frame.type === 'notification.removed') panel.remove(frame.id)
    if (frame.type === 'notification.updated') {
      if (frame.changes.archivedAt) panel.remove(frame.id)
      if (frame.changes.readAt || frame.changes.seenAt)
        panel.get(frame.id)?.element.classList.remove('unread')
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
