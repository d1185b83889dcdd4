import type { Delivery } from './delivery-buffer.js'

export interface BisectResult {
  /** Messages whose handler throws even when they are alone. */
  poison: { delivery: Delivery; error: unknown }[]
  /** Not decided: the search was given up, since nothing at all went well. */
  open: Delivery[]
  /** Whether any part went well: then it is the messages, not the world. */
  anySuccess: boolean
}

/**
 * Halves a batch that throws until the messages that throw alone are found; everything else is handled and
 * settled by `attempt` on the way. Gives up after about log2(n) failures in a row without a success: then
 * something that all of them need is broken.
 */
export async function bisect(
  batch: readonly Delivery[],
  attempt: (part: readonly Delivery[]) => Promise<{ ok: true } | { ok: false; error: unknown }>,
): Promise<BisectResult> {
  const result: BisectResult = { poison: [], open: [], anySuccess: false }
  const patience = Math.ceil(Math.log2(batch.length + 1)) + 2
  let failures = 0
  const parts = halves(batch)
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (!result.anySuccess && failures >= patience) {
      result.open.push(...part)
      continue
    }
    const tried = await attempt(part)
    if (tried.ok) {
      result.anySuccess = true
    } else {
      failures++
      if (part.length === 1) result.poison.push({ delivery: part[0] as Delivery, error: tried.error })
      else parts.push(...halves(part))
    }
  }
  if (!result.anySuccess) {
    result.open.push(...result.poison.map(({ delivery }) => delivery))
    result.poison = []
  }
  return result
}

/** The second half first: parts are taken from the end. */
function halves(part: readonly Delivery[]): (readonly Delivery[])[] {
  if (part.length === 1) return [part]
  const middle = part.length >> 1
  return [part.slice(middle), part.slice(0, middle)]
}
