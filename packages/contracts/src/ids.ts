/**
 * Derived ids: the same event, workflow, recipient, step and address give the same id in every process and on
 * every pass, so a repetition meets its own rows (docs/decisions/0003-derived-ids.md).
 *
 * Layout (UUID version 8, RFC 9562 §5.8): 48 bits milliseconds of the event's first-seen time, 4 bits version,
 * 12 bits hash, 2 bits variant, 62 bits hash. The time leads so that ids sort by first-seen time and choose a
 * partition; it is the database's first-seen time, never the event's own `time` attribute.
 *
 * Canonical input of the hash: `<kind>` and each part as `<number of UTF-16 units>:<part>`, joined without a
 * separator. SHA-256 over its UTF-8 bytes; the bits are taken from the front.
 */

/** SHA-256 of a string's UTF-8 bytes. Passed in, so that this package needs no platform. */
export type Sha256 = (input: string) => Uint8Array

/** The canonical input for a hash: injective, since each part carries its length. */
export function canonicalInput(kind: string, parts: readonly string[]): string {
  let input = `${kind.length}:${kind}`
  for (const part of parts) input += `${part.length}:${part}`
  return input
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const hex = (byte: number | undefined): string => HEX[byte ?? 0] as string

/** Formats 16 bytes as UUID version 8. The version and variant bits are overwritten. */
function formatUuid8(b: Uint8Array): string {
  return (
    `${hex(b[0])}${hex(b[1])}${hex(b[2])}${hex(b[3])}-${hex(b[4])}${hex(b[5])}-` +
    `${hex(((b[6] ?? 0) & 0x0f) | 0x80)}${hex(b[7])}-${hex(((b[8] ?? 0) & 0x3f) | 0x80)}${hex(b[9])}-` +
    `${hex(b[10])}${hex(b[11])}${hex(b[12])}${hex(b[13])}${hex(b[14])}${hex(b[15])}`
  )
}

/** UUID v8 with `timeMs` in front and the first 10 bytes of `hash` behind it. */
export function timedUuid(timeMs: number, hash: Uint8Array): string {
  const bytes = new Uint8Array(16)
  let rest = Math.max(0, Math.floor(timeMs))
  for (let index = 5; index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes.set(hash.subarray(0, 10), 6)
  return formatUuid8(bytes)
}

/** UUID v8 from the hash alone, for things that have no moment (users, devices). */
export function hashUuid(hash: Uint8Array): string {
  return formatUuid8(hash.subarray(0, 16))
}

/** Milliseconds in front of a timed id. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** Lowest possible timed id of a moment: the bound of a partition or of a time range. */
export function lowestIdAt(timeMs: number): string {
  return `${Math.max(0, Math.floor(timeMs))
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})(.{4})$/, '$1-$2')}-0000-0000-000000000000`
}

/** Full hash that identifies an event; its first 16 bytes are the key in `event_keys`. */
export function eventHash(sha256: Sha256, event: { tenant: string; source: string; id: string }): Uint8Array {
  return sha256(canonicalInput('event', [event.tenant, event.source, event.id]))
}

/** Row id of an event. `hash` is its `eventHash`. */
export function eventRowId(firstSeenMs: number, hash: Uint8Array): string {
  return timedUuid(firstSeenMs, hash)
}

/** Id of a run and of the notification that it shows. `eventRow` is the event's row id. */
export function runId(
  sha256: Sha256,
  run: { firstSeenMs: number; eventRow: string; workflow: string; recipient: string },
): string {
  return timedUuid(
    run.firstSeenMs,
    sha256(canonicalInput('run', [run.eventRow, run.workflow, run.recipient])),
  )
}

/** Id of the run that carries a digest: named by the run that opened it and the step. It carries that run's time. */
export function digestId(sha256: Sha256, digest: { run: string; step: number }): string {
  return timedUuid(timeOfId(digest.run), sha256(canonicalInput('digest', [digest.run, String(digest.step)])))
}

/** Id of a delivery: one run, one step, one address. It carries its run's time. */
export function deliveryId(sha256: Sha256, delivery: { run: string; step: number; address: string }): string {
  return timedUuid(
    timeOfId(delivery.run),
    sha256(canonicalInput('delivery', [delivery.run, String(delivery.step), delivery.address])),
  )
}

/** Internal id of a user: what stands in subjects and rows instead of the outside's id. */
export function userId(sha256: Sha256, tenant: string, externalId: string): string {
  return hashUuid(sha256(canonicalInput('user', [tenant, externalId])))
}

/** Internal id of a device: one installation of one user's app, or one address of a kind. */
export function deviceId(sha256: Sha256, tenant: string, kind: string, token: string): string {
  return hashUuid(sha256(canonicalInput('device', [tenant, kind, token])))
}
