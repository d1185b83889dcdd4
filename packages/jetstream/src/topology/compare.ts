import { CONSUMER_DEFAULTS, type Setting, type Settings, STREAM_DEFAULTS } from './settings.js'

export interface Difference {
  setting: string
  /** On the server; undefined when it does not say. */
  from: Setting | undefined
  /** In the topology. */
  to: Setting | undefined
}

/** Differences between the server's configuration and ours, without what the server fills in by itself. */
export function compare(kind: 'stream' | 'consumer', actual: Settings, desired: Settings): Difference[] {
  const defaults = kind === 'stream' ? STREAM_DEFAULTS : CONSUMER_DEFAULTS
  const from = normalise(actual, defaults)
  const to = normalise(desired, defaults)
  const differences: Difference[] = []
  for (const setting of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (canonical(from[setting]) !== canonical(to[setting])) {
      differences.push({ setting, from: from[setting], to: to[setting] })
    }
  }
  return differences.sort((a, b) => (a.setting < b.setting ? -1 : 1))
}

/** Fills defaults in and drops what says nothing: false, empty, and the server's own metadata. */
function normalise(settings: Settings, defaults: Settings): Settings {
  const result: Settings = { ...defaults }
  for (const [name, value] of Object.entries(settings)) {
    const cleaned = name === 'metadata' ? withoutServerMetadata(value) : value
    if (name in defaults || !isEmpty(cleaned)) result[name] = cleaned
    else delete result[name]
  }
  return result
}

function withoutServerMetadata(value: Setting): Setting {
  if (typeof value !== 'object' || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('_nats.')))
}

function isEmpty(value: Setting): boolean {
  if (typeof value === 'object') return Object.keys(value).length === 0
  return value === false || value === '' || value === 0
}

/** The same text for the same value, whatever the order of keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
