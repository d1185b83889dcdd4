import type { Sha256 } from './ids.js'

/** What parses a cursor relies on it. */
const EPOCH_LENGTH = 6

/**
 * The epoch of LIVE's offsets: another one whenever a sequence could have been given out twice, that is with another
 * stream and with another run of its server. `createdAt`: milliseconds.
 */
export function liveEpoch(sha256: Sha256, stream: { createdAt: number; serverId: string }): string {
  let epoch = ''
  for (const byte of sha256(`${stream.createdAt}:${stream.serverId}`).subarray(0, EPOCH_LENGTH)) {
    epoch += LETTERS[byte % LETTERS.length]
  }
  return epoch
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
