/** Counts what is under way, so that disposal can wait for it. */
export interface InFlight {
  run<T>(work: () => Promise<T>): Promise<T>
  /** Resolves once nothing is under way. */
  idle(): Promise<void>
}

export function createInFlight(): InFlight {
  const running = new Set<Promise<unknown>>()
  return {
    run(work) {
      const promise = work()
      running.add(promise)
      const done = () => void running.delete(promise)
      promise.then(done, done)
      return promise
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
  }
}
