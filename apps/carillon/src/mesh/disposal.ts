/** What was opened, closed in reverse order. The platform's AsyncDisposableStack is not in Node 20. */
export class Disposal implements AsyncDisposable {
  #closers: (() => unknown)[] = []

  use<T extends AsyncDisposable>(resource: T): T {
    this.#closers.push(() => resource[Symbol.asyncDispose]())
    return resource
  }

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Hands everything over: disposing this one afterwards closes nothing. */
  move(): Disposal {
    const moved = new Disposal()
    moved.#closers = this.#closers
    this.#closers = []
    return moved
  }

  /** Closes all, also after one of them failed; throws the first failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closers = this.#closers.reverse()
    this.#closers = []
    let failure: { error: unknown } | undefined
    for (const close of closers) {
      try {
        await close()
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }
}
