import { HEADERS, type PublicationInfo } from '@carillon/contracts'
import { decodePublisher } from '@carillon/rooms'
import { RawJson } from '../protocol/raw-json.js'
import type { ClientInfo } from '../protocol/replies.js'

/** The header of stored messages that says it, as they give it back. */
export const PUBLISHER = HEADERS.publisher.toLowerCase()

/** Who published a message, from its header; undefined when there is none or it can't be read. */
export function publisherInfo(header: string | undefined): ClientInfo | undefined {
  const info = header === undefined ? undefined : decodePublisher(header)
  return info === undefined ? undefined : clientInfo(info)
}

/** Somebody in a room as clients of the protocol see them. */
export function clientInfo({ user, client, info }: PublicationInfo): ClientInfo {
  return { user, client, ...(info === undefined ? {} : { chan_info: new RawJson(JSON.stringify(info)) }) }
}
