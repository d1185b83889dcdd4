/** Which targets a rule is about: all of what is given has to fit. Nothing given: every target. */
export interface FaultMatch {
  /** The whole address: token, subscription id, mail address, number or path. */
  target?: string
  /** The beginning of the address. */
  prefix?: string
  /** How many in a hundred, 0 to 100; chosen by a hash, so the same run chooses the same ones. */
  percent?: number
  /** Another seed chooses others. */
  seed?: string
  /**
   * What `percent` chooses from. `targets` (default): an address is always or never hit. `requests`: the n-th request
   * to an address is, whatever order addresses come in.
   */
  of?: 'targets' | 'requests'
}

/** True when the rule is about the target; `nth` counts the requests to it from 1. */
export function matches(match: FaultMatch, target: string, nth: () => number): boolean {
  if (match.target !== undefined && match.target !== target) return false
  if (match.prefix !== undefined && !target.startsWith(match.prefix)) return false
  if (match.percent === undefined) return true
  const chosenBy = match.of === 'requests' ? `${target}#${nth()}` : target
  return shareOf(`${match.seed ?? ''}:${chosenBy}`) < match.percent
}

/** A number from 0 up to 100 that depends on nothing but the text: FNV-1a, mixed so that neighbours differ. */
function shareOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000) * 100
}
