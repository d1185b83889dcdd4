/** Every bell of one person, in the order of the panels. */
export const BELLS = [
  { key: 'inbox', name: 'Browser inbox' },
  { key: 'fcm', name: 'Android' },
  { key: 'smtp', name: 'Mailbox' },
  { key: 'apns', name: 'iPhone' },
  { key: 'webpush', name: 'Desktop' },
  { key: 'sms', name: 'Text message' },
  { key: 'webhook', name: 'Webhook' },
]
const LATE_MS = 1_000

/** The strip of bells: which rang since the last ring, and after how many milliseconds. */
export function createBells(list, announce) {
  const outputs = new Map()
  for (const { key, name } of BELLS) {
    const item = document.createElement('li')
    item.className = 'bell'
    const label = document.createElement('span')
    label.textContent = name
    const output = document.createElement('output')
    output.textContent = '–'
    item.append(label, output)
    list.append(item)
    outputs.set(key, { item, output, name })
  }
  /** Milliseconds on the server's clock; undefined until the ring was accepted. */
  let rungAt
  /** First arrival of each bell since the ring, with what shows it. */
  let arrivals = new Map()
  let active = false

  const show = (key) => {
    const { at, onMeasured } = arrivals.get(key)
    if (rungAt === undefined) return
    const { item, output, name } = outputs.get(key)
    const ms = Math.max(0, Math.round(at - rungAt))
    item.classList.add('rang')
    item.classList.toggle('late', ms > LATE_MS)
    output.textContent = `${ms.toLocaleString('en')} ms`
    onMeasured(ms)
    announce(`${name} rang after ${ms} milliseconds`)
  }

  return {
    /** Called before the ring is sent: what arrives from now on belongs to it. */
    begin() {
      active = true
      rungAt = undefined
      arrivals = new Map()
      for (const { item, output } of outputs.values()) {
        item.classList.remove('rang', 'late')
        output.textContent = '…'
      }
    },
    accepted(at) {
      rungAt = at
      for (const key of arrivals.keys()) show(key)
    },
    failed() {
      active = false
      for (const { output } of outputs.values()) output.textContent = '–'
    },
    /** One arrival; `onMeasured(ms)` is called when it is the first of its bell since the ring. */
    arrived(key, at, onMeasured) {
      if (!active || arrivals.has(key) || (rungAt !== undefined && at < rungAt - 50)) return
      arrivals.set(key, { at, onMeasured })
      show(key)
    },
  }
}
