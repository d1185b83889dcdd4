export type SimulatedProvider = 'fcm' | 'apns' | 'webpush' | 'smtp' | 'sms' | 'webhook'

/** What a simulated phone, browser, mailbox or receiver got. */
export interface SimulatedMessage {
  /** Ours, unique per arrival. */
  id: string
  /** Milliseconds. */
  at: number
  provider: SimulatedProvider
  /** The device's name, or the mail address, number or path. */
  device: string
  /** Token, subscription id, mail address, number or path. */
  to: string
  title: string
  body: string
  subtitle?: string
  imageUrl?: string
  url?: string
  actions?: { id: string; title: string; url?: string }[]
  /** Carillon's ids and receipt token, as the device finds them in the payload. */
  nid?: string
  did?: string
  rt?: string
  /** Shows nothing. */
  silent: boolean
  /** What it replaces in the provider's store. */
  collapseKey?: string
  /** What it replaces on the screen. */
  tag?: string
  /** The notification that it takes off the screen. */
  clears?: string
  html?: string
  /** Decoded payload or headers, for tests and for "raw" views. */
  raw: unknown
}

/** A message as a screen keeps it. */
export type ShownMessage = Omit<SimulatedMessage, 'raw' | 'html'>

/** A message on its way to a device. */
export type Arriving = Omit<SimulatedMessage, 'id' | 'at'>

export interface Inbox {
  /** Newest last; at most 500 are kept, unless another number was asked for. A copy. */
  list(): readonly SimulatedMessage[]
  /** `arrive` is called before the listeners. */
  add(message: Arriving, arrive?: (message: SimulatedMessage) => void): SimulatedMessage
  /** Calls for each arrival; returns how to stop. */
  onMessage(listener: (message: SimulatedMessage) => void): () => void
  clear(): void
  /** Arrivals ever. */
  readonly total: number
}

export interface InboxOptions {
  now: () => number
  /** How many are kept. Default 500. */
  keep?: number | undefined
  /** What an earlier inbox held. */
  saved?: readonly SimulatedMessage[] | undefined
}

const KEPT = 500

export function createInbox(options: InboxOptions): Inbox {
  const keep = options.keep ?? KEPT
  const started = options.now().toString(36)
  const listeners = new Set<(message: SimulatedMessage) => void>()
  let messages: SimulatedMessage[] = [...(options.saved ?? [])]
  let listed: readonly SimulatedMessage[] | undefined
  let total = 0
  return {
    get total() {
      return total
    },
    list() {
      listed ??= messages.slice(-keep)
      return listed
    },
    add(message, arrive) {
      const arrived = { ...message, id: `${started}-${total++}`, at: options.now() }
      messages.push(arrived)
      // cut rarely, so that an arrival costs the same whatever is kept
      if (messages.length >= keep * 2) messages = messages.slice(-keep)
      listed = undefined
      arrive?.(arrived)
      for (const listener of listeners) listener(arrived)
      return arrived
    },
    onMessage(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    clear() {
      messages = []
      listed = undefined
    },
  }
}

/** The fields of a message that came in a device's data. */
export function fromData(data: Record<string, unknown>): Partial<Arriving> {
  const found: Partial<Arriving> = {}
  if (typeof data.url === 'string') found.url = data.url
  if (typeof data.nid === 'string') found.nid = data.nid
  if (typeof data.did === 'string') found.did = data.did
  if (typeof data.rt === 'string') found.rt = data.rt
  if (typeof data.clear === 'string') found.clears = data.clear
  return found
}

/** The buttons that came in a device's data as JSON; none when it is no list. */
export function actionsFrom(data: Record<string, unknown>): Pick<Arriving, 'actions'> {
  if (typeof data.actions !== 'string') return {}
  try {
    const list: unknown = JSON.parse(data.actions)
    return Array.isArray(list) && list.length > 0 ? { actions: list } : {}
  } catch {
    // an app that can't read its buttons shows none
    return {}
  }
}

/** JSON of an object, or an empty object for anything else. */
export function parseRecord(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return record(value)
  } catch {
    return {}
  }
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
