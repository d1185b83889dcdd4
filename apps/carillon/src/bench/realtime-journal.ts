/** What one client has seen of the numbered messages of its channels. */
export class Journal {
  readonly #seen = new Map<string, Uint16Array>()
  /** Times that it was told to fetch the state again. */
  resets = 0
  /** Messages that came with a smaller number than one before them. */
  disordered = 0
  #newest = new Map<string, number>()

  /** Numbers begin at 1. */
  note(channel: string, n: number): void {
    let seen = this.#seen.get(channel)
    if (seen === undefined || seen.length <= n) {
      const wider = new Uint16Array(Math.max(32, n * 2))
      wider.set(seen ?? [])
      seen = wider
      this.#seen.set(channel, seen)
    }
    seen[n] = (seen[n] ?? 0) + 1
    if (n < (this.#newest.get(channel) ?? 0)) this.disordered++
    else this.#newest.set(channel, n)
  }

  /** Of the first `upTo` messages of a channel: how many never came, and how many came again. */
  judge(channel: string, upTo: number): { lost: number; doubled: number } {
    const seen = this.#seen.get(channel)
    let lost = 0
    let doubled = 0
    for (let n = 1; n <= upTo; n++) {
      const times = seen?.[n] ?? 0
      if (times === 0) lost++
      else doubled += times - 1
    }
    return { lost, doubled }
  }
}
