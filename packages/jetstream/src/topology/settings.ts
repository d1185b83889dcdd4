import { durationToNanos, sizeToBytes } from './units.js'

/** A value as the server has it in a stream's or consumer's configuration. */
export type Setting = string | number | boolean | readonly Setting[] | { readonly [name: string]: Setting }
export type Settings = Record<string, Setting>

interface SettingRule {
  /** What to write, for the message when it is wrong. */
  expects: string
  /** The server's value of what the file says, or undefined when that is wrong. */
  read(value: unknown): Setting | undefined
  /** The name the server uses, where it is another. */
  serverName?: string
}

const duration: SettingRule = { expects: 'a duration such as "30s" or "7d"', read: durationToNanos }
const size: SettingRule = { expects: 'a size such as "64KiB" or "20GiB"', read: sizeToBytes }
const count: SettingRule = {
  expects: 'a whole number',
  read: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
}
const flag: SettingRule = {
  expects: 'true or false',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
}
const text: SettingRule = {
  expects: 'a text',
  read: (value) => (typeof value === 'string' && value !== '' ? value : undefined),
}
const texts: SettingRule = {
  expects: 'a list of texts',
  read: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '')
      ? (value as string[])
      : undefined,
}
const oneOf = (...words: string[]): SettingRule => ({
  expects: `one of ${words.join(', ')}`,
  read: (value) => (words.includes(value as string) ? (value as string) : undefined),
})
const replicas: SettingRule = { ...count, serverName: 'num_replicas' }
const republish: SettingRule = {
  expects: '{ src, dest }',
  read: (value) => {
    const { src, dest } = (value ?? {}) as { src?: unknown; dest?: unknown }
    return typeof src === 'string' && typeof dest === 'string' ? { src, dest } : undefined
  },
}

/** Every setting a stream may have in topology.yaml. */
export const STREAM_SETTINGS: Readonly<Record<string, SettingRule>> = {
  subjects: texts,
  description: text,
  storage: oneOf('file', 'memory'),
  retention: oneOf('limits', 'workqueue', 'interest'),
  discard: oneOf('old', 'new'),
  discard_new_per_subject: flag,
  persist_mode: oneOf('default', 'async'),
  compression: oneOf('none', 's2'),
  replicas,
  duplicate_window: duration,
  max_age: duration,
  max_bytes: size,
  max_msg_size: size,
  max_msgs: count,
  max_msgs_per_subject: count,
  max_consumers: count,
  allow_atomic: flag,
  allow_direct: flag,
  allow_msg_ttl: flag,
  deny_delete: flag,
  deny_purge: flag,
  republish,
}

/** Every setting a durable may have. */
export const CONSUMER_SETTINGS: Readonly<Record<string, SettingRule>> = {
  description: text,
  filter_subject: text,
  filter_subjects: texts,
  ack_wait: duration,
  max_deliver: count,
  max_ack_pending: count,
  deliver_policy: oneOf('all', 'new', 'last'),
  replicas,
}

/** What the server fills in for what a stream does not say. */
export const STREAM_DEFAULTS: Settings = {
  storage: 'file',
  retention: 'limits',
  discard: 'old',
  discard_new_per_subject: false,
  persist_mode: 'default',
  compression: 'none',
  num_replicas: 1,
  duplicate_window: 120_000_000_000,
  max_age: 0,
  max_bytes: -1,
  max_msg_size: -1,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  max_consumers: -1,
}

/** What the server fills in for what a durable does not say; pull and explicit acknowledgement are ours. */
export const CONSUMER_DEFAULTS: Settings = {
  deliver_policy: 'all',
  ack_policy: 'explicit',
  replay_policy: 'instant',
  ack_wait: 30_000_000_000,
  max_deliver: -1,
  max_ack_pending: 1_000,
  max_waiting: 512,
  num_replicas: 0,
}

/** Settings the server refuses to change on a living stream, in any direction. */
const STREAM_IMMUTABLE = new Set([
  'storage',
  'retention',
  'persist_mode',
  'max_consumers',
  'allow_msg_counter',
])
/** Settings that can be switched on and never off. */
const STREAM_ONE_WAY = new Set([
  'deny_delete',
  'deny_purge',
  'sealed',
  'allow_msg_ttl',
  'allow_msg_schedules',
])
const CONSUMER_IMMUTABLE = new Set(['deliver_policy', 'ack_policy', 'replay_policy', 'max_waiting'])

/** Whether the server refuses to change a setting of a stream or durable that exists. */
export function isImmutable(kind: 'stream' | 'consumer', setting: string, to: unknown): boolean {
  if (kind === 'consumer') return CONSUMER_IMMUTABLE.has(setting)
  return STREAM_IMMUTABLE.has(setting) || (STREAM_ONE_WAY.has(setting) && to !== true)
}
