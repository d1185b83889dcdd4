import { randomUUID } from 'node:crypto'

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
  silent: boolean
  collapseKey?: string
  html?: string
  /** Decoded payload or headers, for tests and for "raw" views. */
  raw: unknown
}

export interface Inbox {
  /** Newest last; at most 500 are kept. */
  list(): readonly SimulatedMessage[]
  add(message: Omit<SimulatedMessage, 'id' | 'at'>): SimulatedMessage
  /** Calls for each arrival; returns how to stop. */
  onMessage(listener: (message: SimulatedMessage) => void): () => void
  clear(): void
}

const KEPT = 500

export function createInbox(): Inbox {
  let messages: SimulatedMessage[] = []
  const listeners = new Set<(message: SimulatedMessage) => void>()
  return {
    list: () => messages,
    add(message) {
      const arrived = { ...message, id: randomUUID(), at: Date.now() }
      messages = [...messages.slice(1 - KEPT), arrived]
      for (const listener of listeners) listener(arrived)
      return arrived
    },
    onMessage(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    clear() {
      messages = []
    },
  }
}

/** The fields of a message that came in a device's data. */
export function fromData(data: Record<string, unknown>): Partial<SimulatedMessage> {
  const text = (key: string) => (typeof data[key] === 'string' ? data[key] : undefined)
  const found = { url: text('url'), nid: text('nid'), did: text('did'), rt: text('rt') }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
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
