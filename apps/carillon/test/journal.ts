/** What a load client knows of its own events: written before a send and after its answer, never from what is seen. */
export interface Journal {
  attempted: Set<string>
  acknowledged: Set<string>
}

export function createJournal(): Journal {
  return { attempted: new Set(), acknowledged: new Set() }
}

/** One journaled send, and whether it was acknowledged: an answer that never comes, or a refusal, leaves the id attempted and nothing more. */
export async function attempt(journal: Journal, id: string, send: () => Promise<unknown>): Promise<boolean> {
  journal.attempted.add(id)
  const acknowledged = await send().then(
    () => true,
    () => false,
  )
  if (acknowledged) journal.acknowledged.add(id)
  return acknowledged
}

/** Lost = acknowledged − observed, unexpected = observed − attempted, doubled = observed more than once. */
export function compare(journal: Journal, observed: readonly string[]) {
  const seen = new Set(observed)
  const counts = new Map<string, number>()
  for (const id of observed) counts.set(id, (counts.get(id) ?? 0) + 1)
  return {
    lost: [...journal.acknowledged].filter((id) => !seen.has(id)),
    unexpected: [...seen].filter((id) => !journal.attempted.has(id)),
    doubled: [...counts].filter(([, count]) => count > 1).map(([id]) => id),
    recovered: [...seen].filter((id) => journal.attempted.has(id) && !journal.acknowledged.has(id)).length,
  }
}
