/**
 * Parts rows into waves: the first of every story, then the second of every story, and so on. Whoever publishes wave
 * after wave keeps the order of each story, and lets no story wait for the end of another. Pure.
 */
export function wavesOf<R extends { story: string }>(rows: readonly R[]): R[][] {
  const waves: R[][] = []
  const depth = new Map<string, number>()
  for (const row of rows) {
    const wave = depth.get(row.story) ?? 0
    depth.set(row.story, wave + 1)
    waves[wave] ??= []
    waves[wave].push(row)
  }
  return waves
}
