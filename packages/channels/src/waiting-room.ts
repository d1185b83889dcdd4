import { type AbortCallbacks, createAbortCallbacks } from './abort-callbacks.js'

/** A queue for something that there is little of. First come, first served. */
export interface WaitingRoom<T> {
  /** What `take` gives, now or when it is there; undefined once the signal aborts or the room is closed. */
  enter(signal: AbortSignal): T | undefined | Promise<T | undefined>
  /** Something was given back: whoever waits is served as far as `take` gives. */
  serve(): void
  /** Sends everybody away, and who comes later. */
  close(): void
}

/** `take` gives a place or undefined while there is none. */
export function createWaitingRoom<T>(take: () => T | undefined): WaitingRoom<T> {
  const waiting = new Set<(given: T | undefined) => void>()
  const aborts: AbortCallbacks = createAbortCallbacks()
  let closed = false
  return {
    enter(signal) {
      if (closed || signal.aborted) return undefined
      const place = waiting.size === 0 ? take() : undefined
      if (place !== undefined) return place
      return new Promise((resolve) => {
        const leave = () => give(undefined)
        const give = (given: T | undefined) => {
          waiting.delete(give)
          aborts.remove(signal, leave)
          resolve(given)
        }
        waiting.add(give)
        aborts.add(signal, leave)
      })
    },
    serve() {
      for (const give of waiting) {
        const place = take()
        if (place === undefined) return
        give(place)
      }
    },
    close() {
      closed = true
      for (const give of waiting) give(undefined)
    },
  }
}
