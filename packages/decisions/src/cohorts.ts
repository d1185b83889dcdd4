/**
 * Where a person stands in an experiment: 0 up to 100, the same for ever, and independent between experiments. FNV-1a
 * over the UTF-16 units of `<experiment>/<user>`, then the finaliser of MurmurHash3, which spreads what differs little.
 */
export function placeIn(experiment: string, userId: string): number {
  const name = `${experiment}/${userId}`
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * 100
}
