import { isUuid } from '@carillon/contracts'
import type { DeadLetterPlace, DeliveryKey } from '@carillon/postgres'

/** How dead letters are named: rows are found by two ids, the outside sees one. */

const BYTES = 32

/** 43 characters that stay the same however often it fails. */
export function deadLetterId({ runId, id }: DeliveryKey): string {
  return Buffer.from((runId + id).replaceAll('-', ''), 'hex').toString('base64url')
}

/** Undefined for what never was an id. */
export function parseDeadLetterId(text: string): DeliveryKey | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== BYTES) return undefined
  const key = { runId: uuidOf(bytes.subarray(0, 16)), id: uuidOf(bytes.subarray(16)) }
  // two texts of one id would be sent off twice in one request
  return isUuid(key.runId) && isUuid(key.id) && deadLetterId(key) === text ? key : undefined
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** `next` of a page, and back. */
export function placeText({ atMicros, id }: DeadLetterPlace): string {
  return `${atMicros}.${id}`
}

export function parsePlace(text: string): DeadLetterPlace {
  const cut = text.indexOf('.')
  return { atMicros: Number(text.slice(0, cut)), id: text.slice(cut + 1) }
}
