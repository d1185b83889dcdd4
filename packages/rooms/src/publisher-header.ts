import type { PublicationInfo } from '@carillon/contracts'
import { checkData } from './publication.js'

/** Longest header of a publication that is written or believed. */
const MAX_HEADER = 4_096
const NOT_PRINTABLE = /[^\x20-\x7e]/g

/**
 * Who published, as the value of the header `Carillon-Publisher`: JSON of printable ASCII, so that nothing in it ends a
 * header line. An `info` that nobody would believe, or that makes it longer than 4,096 characters, is left out; when the
 * user's name alone is too long, nothing is sent at all.
 */
export function encodePublisher(info: PublicationInfo): string | undefined {
  const { user, client } = info
  const whole = shareable(info.info) ? asciiJson({ user, client, info: info.info }) : undefined
  if (whole !== undefined && whole.length <= MAX_HEADER) return whole
  const short = asciiJson({ user, client })
  return short.length <= MAX_HEADER ? short : undefined
}

/** Reads what `encodePublisher` wrote; undefined for anything else. Makes a new object of the known members only. */
export function decodePublisher(text: string | undefined): PublicationInfo | undefined {
  if (text === undefined || text.length > MAX_HEADER) return undefined
  const found = parsed(text)
  if (typeof found !== 'object' || found === null) return undefined
  const { user, client, info } = found as Record<string, unknown>
  if (typeof user !== 'string' || typeof client !== 'string') return undefined
  return shareable(info) ? { user, client, info } : { user, client }
}

/** Nested no deeper than data may be, and without names that poison receivers. */
function shareable(info: unknown): boolean {
  return info !== undefined && checkData({ info }) === undefined
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    NOT_PRINTABLE,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
