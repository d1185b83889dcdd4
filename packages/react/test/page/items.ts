import type { InboxItem } from '@carillon/client'

const MINUTE = 60_000

/** A notification that came `minutes` ago. */
export function item(id: string, minutes: number, changes: Partial<InboxItem> = {}): InboxItem {
  return {
    id,
    workflow: 'ride-accepted',
    category: 'rides',
    title: `Notification ${id}`,
    subtitle: null,
    body: 'Something happened that is worth a sentence.',
    picture: null,
    url: null,
    actions: [],
    data: null,
    lane: 'normal',
    createdAt: new Date(Date.now() - minutes * MINUTE).toISOString(),
    seenAt: null,
    readAt: null,
    archivedAt: null,
    snoozedUntil: null,
    revision: 1,
    ...changes,
  }
}

const long = new Date(0).toISOString()
const read = { readAt: long, seenAt: long }

/** What a day looks like: every piece a notification can have. */
export function someItems(): InboxItem[] {
  return [
    item('driver', 0, {
      title: 'Mira is on her way',
      subtitle: 'Blue Škoda · W 4711 B',
      body: 'She is at the opera and will be with you in four minutes.',
      picture: '/picture.svg',
      url: '/rides/9',
      actions: [
        { id: 'track', label: 'Follow the ride', url: '/rides/9/map' },
        { id: 'call', label: 'Call', url: null },
        { id: 'evil', label: 'Steal', url: 'javascript:window.stolen=1' },
      ],
    }),
    item('invoice', 12, {
      title: 'Your receipt for Tuesday',
      body: 'Vienna, 14.20 €',
      url: 'https://example.com/r',
    }),
    item('evil', 44, {
      title: 'A title that leads nowhere good',
      body: 'Its address would run code.',
      url: ' java\nscript:window.stolen=1',
      picture: 'javascript:window.stolen=1',
    }),
    item('shared', 130, { title: 'Bob shared a ride with you', url: '#shared', ...read }),
    item('rated', 60 * 26, {
      title: 'Thank you for rating',
      body: 'Your opinion helps the next person. It takes a lot of words to say so, more than three lines have room for, so that it is cut where it would push the next notification out of sight, and whoever wants to know it all opens it.',
      ...read,
    }),
    item('archived', 60 * 50, { title: 'Long done', archivedAt: long, ...read }),
    item('old', 60 * 24 * 40, { title: 'Welcome to Carillon', body: 'Every bell rings.', ...read }),
  ]
}

/** Many, the newest first. */
export function manyItems(count: number): InboxItem[] {
  return Array.from({ length: count }, (_, index) =>
    item(`n${index + 1}`, index * 7, index % 3 === 0 ? {} : read),
  )
}
