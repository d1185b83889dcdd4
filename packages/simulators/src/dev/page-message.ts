import { parseRecord, record, type ShownMessage, type SimulatedMessage } from '../inbox.js'
import { textEncoding } from './text-encoding.js'

/** A message as the page shows it: without its payload, which is fetched by its own address. */
export interface PageMessage extends ShownMessage {
  hasHtml: boolean
  /** Small facts, like a sound or a channel, in the provider's words. */
  facts: { label: string; value: string }[]
  /** The number on the app's icon. */
  badge?: number
  /** The card of a Live Activity, which updates replace. */
  activity: boolean
  /** The server that took it, where the provider has several. */
  server?: string
}

export function pageMessage(message: SimulatedMessage): PageMessage {
  const { raw, html, ...shown } = message
  const { server } = record(raw)
  const { badge, facts } = FACTS[message.provider](record(raw), message)
  const activity = message.tag?.startsWith('activity:') ?? false
  return {
    ...shown,
    ...(activity ? { body: stateInWords(message.body) } : {}),
    hasHtml: html !== undefined,
    facts: facts.flatMap(([label, value]) =>
      value === undefined || value === null || value === '' ? [] : [{ label, value: String(value) }],
    ),
    ...(typeof badge === 'number' ? { badge } : {}),
    activity,
    ...(typeof server === 'string' ? { server } : {}),
  }
}

/** The state that an app would draw: `minutes 4 · street Main`; words stay as they are. */
function stateInWords(body: string): string {
  const state = Object.entries(parseRecord(body))
  return state.length === 0 ? body : state.map(([name, value]) => `${name} ${value}`).join(' · ')
}

interface Found {
  badge?: unknown
  facts: [label: string, value: unknown][]
}

type Raw = Record<string, unknown>

const FACTS: Readonly<Record<SimulatedMessage['provider'], (raw: Raw, message: SimulatedMessage) => Found>> =
  {
    fcm(raw) {
      const android = record(raw.android)
      const shown = record(android.notification)
      return {
        badge: shown.notification_count,
        facts: [
          ['channel', shown.channel_id],
          ['sound', shown.sound],
          ['priority', android.priority],
          ['TTL', android.ttl],
          ['collapse key', android.collapse_key],
        ],
      }
    },
    apns(raw) {
      const headers = record(raw.headers)
      const aps = record(record(raw.payload).aps)
      const sound = record(aps.sound)
      return {
        badge: aps.badge,
        facts: [
          ['interruption', aps['interruption-level']],
          ['sound', sound.name ?? aps.sound],
          ['critical', sound.critical === 1 ? 'yes' : undefined],
          ['thread', aps['thread-id']],
          ['category', aps.category],
          ['event', aps.event],
          ['collapse id', headers['apns-collapse-id']],
        ],
      }
    },
    webpush(raw, { collapseKey }) {
      const shown = record(raw.notification)
      return {
        badge: raw.app_badge,
        facts: [
          ['stays until clicked', shown.requireInteraction === true ? 'yes' : undefined],
          ['sound', shown.silent === true ? 'off' : undefined],
          ['topic', collapseKey],
        ],
      }
    },
    smtp: (raw) => ({ facts: [['through', raw.server]] }),
    sms(raw, { body, title }) {
      const { encoding, units } = textEncoding(body)
      return {
        facts: [
          ['from', title],
          ['segments', raw.num_segments],
          ['encoding', encoding],
          [encoding === 'GSM-7' ? 'septets' : 'units', units],
        ],
      }
    },
    webhook(raw) {
      const headers = record(raw.headers)
      // what is not signed is refused and never arrives
      const signature = headers['webhook-signature'] === undefined ? undefined : 'verified'
      return {
        facts: [
          ['signature', signature],
          ['webhook-id', headers['webhook-id']],
        ],
      }
    },
  }
