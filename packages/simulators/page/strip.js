import { listDeliveries } from './api.js'
import { timeOf } from './messages.js'

const LOOK_MS = 1_000
/** What a notification's deliveries, and what was done with them, lead to appears within this. */
const SHOWS_WITHIN_MS = 30_000
const SOON_MS = 200
const UNSETTLED = new Set(['queued', 'sending', 'retrying'])
const SAID = new Set(['opened', 'clicked', 'dismissed', 'bounced', 'complained', 'unsubscribed'])
const KINDS = { fcm: 'Android', apns: 'iPhone', webpush: 'Desktop' }

/**
 * The strips of deliveries under notifications: who was asked, how often, with what answer, when again. One that is
 * open is read again while anything of it is unsettled, and for a while after something happened. `nameOf(delivery)` says
 * where a delivery goes, if known.
 */
export function createStrips(nameOf) {
  const strips = new Map()
  setInterval(() => {
    for (const strip of strips.values()) {
      if (strip.element.isConnected && strip.element.open && strip.unsettled()) void strip.read()
    }
  }, LOOK_MS)

  return {
    /** The strip of a notification, as an element for its card. */
    of(nid) {
      const strip = createStrip(nid, nameOf)
      strips.set(nid, strip)
      return strip.element
    },
    /** Opens one, and closes those that were opened for the person and not by them. */
    open(nid) {
      for (const [id, strip] of strips) strip.openForNow(id === nid)
    },
    /** Something happened to this notification. */
    touch(nid) {
      strips.get(nid)?.soon()
    },
  }
}

function createStrip(nid, nameOf) {
  const element = document.createElement('details')
  element.className = 'strip'
  const summary = document.createElement('summary')
  summary.textContent = 'Deliveries'
  const rows = document.createElement('ul')
  element.append(summary, rows)
  let touched = Date.now()
  let deliveries = []
  let byUs = false
  let timer
  let reading = false

  const read = async () => {
    if (reading) return
    reading = true
    try {
      deliveries = await listDeliveries(nid)
      rows.replaceChildren(...deliveries.map((delivery) => rowOf(delivery, nameOf(delivery))))
      summary.textContent = summaryOf(deliveries, nameOf)
    } catch (error) {
      summary.textContent = `Deliveries: ${error.message}`
    } finally {
      reading = false
    }
  }
  element.addEventListener('toggle', () => {
    if (element.open) void read()
  })
  summary.addEventListener('click', () => {
    byUs = false
  })
  return {
    element,
    read,
    unsettled: () =>
      Date.now() - touched < SHOWS_WITHIN_MS || deliveries.some(({ status }) => UNSETTLED.has(status)),
    soon() {
      touched = Date.now()
      clearTimeout(timer)
      timer = setTimeout(() => element.open && void read(), SOON_MS)
    },
    openForNow(open) {
      if (open && !element.open) {
        byUs = true
        element.open = true
      } else if (!open && byUs) {
        byUs = false
        element.open = false
      }
    },
  }
}

function rowOf(delivery, name) {
  const row = document.createElement('li')
  row.dataset.status = delivery.status
  const where = document.createElement('span')
  where.className = 'where'
  where.textContent = name ?? KINDS[delivery.address.split(' ')[0]] ?? delivery.channel
  where.title = delivery.address
  const status = document.createElement('b')
  status.className = 'status'
  status.textContent = delivery.status
  if (delivery.reason) status.title = [delivery.reason, delivery.detail].filter(Boolean).join(': ')
  const said = saidOf(delivery).map((word) => {
    const chip = document.createElement('b')
    chip.className = 'said'
    chip.textContent = word
    return chip
  })
  row.append(where, status, ...said, attemptsOf(delivery))
  return row
}

/** `1 retry: UNAVAILABLE → 2 accepted through backup → next in 3 s`. */
function attemptsOf({ status, reason, detail, timeline = [] }) {
  const list = document.createElement('ol')
  list.className = 'attempts'
  const step = (text, { tone, title }) => {
    const item = document.createElement('li')
    item.dataset.tone = tone
    item.textContent = text
    item.title = title
    list.append(item)
  }
  for (const { at, what, why, attempt, account } of timeline) {
    if (what === 'attempt') {
      const through = account && account !== 'default' ? ` through ${account}` : ''
      // the verdict, our reason for it, the provider's own word
      const [verdict = '', ...reasons] = (why ?? '').split(': ')
      const tone = verdict === 'accepted' ? 'good' : verdict === 'no answer is known' ? 'plain' : 'bad'
      step(
        `${attempt} ${[verdict, tone === 'good' ? '' : (reasons.at(-1) ?? '')].join(' ').trim()}${through}`,
        {
          tone,
          title: `${timeOf(Date.parse(at))} ${why ?? ''}`,
        },
      )
    }
    if (what === 'next attempt') {
      const seconds = Math.round((Date.parse(at) - Date.now()) / 1000)
      step(seconds > 0 ? `next in ${seconds} s` : 'next now', {
        tone: 'plain',
        title: `at ${timeOf(Date.parse(at))}: ${why ?? ''}`,
      })
    }
  }
  const ended = status === 'failed' || status === 'skipped' || status === 'expired'
  if (ended && list.children.length === 0) {
    step([reason, detail].filter(Boolean).join(': '), { tone: 'bad', title: reason ?? '' })
  }
  return list
}

function saidOf({ timeline = [] }) {
  return [...new Set(timeline.map(({ what }) => what).filter((what) => SAID.has(what)))]
}

function summaryOf(deliveries, nameOf) {
  const counts = new Map()
  for (const { status } of deliveries) counts.set(status, (counts.get(status) ?? 0) + 1)
  const states = [...counts].map(([status, count]) => `${count} ${status}`)
  const said = deliveries.flatMap((delivery) =>
    saidOf(delivery).map((what) => `${what} on ${nameOf(delivery) ?? delivery.channel}`),
  )
  return [...states, ...said].join(' · ') || 'No deliveries yet'
}
