/** Calls back when a signal aborts. However many wait for one signal, it has one listener: adding is linear in those. */
export interface AbortCallbacks {
  add(signal: AbortSignal, callback: () => void): void
  remove(signal: AbortSignal, callback: () => void): void
}

export function createAbortCallbacks(): AbortCallbacks {
  const waiting = new WeakMap<AbortSignal, Set<() => void>>()
  return {
    add(signal, callback) {
      const known = waiting.get(signal)
      if (known) {
        known.add(callback)
        return
      }
      const callbacks = new Set([callback])
      waiting.set(signal, callbacks)
      signal.addEventListener(
        'abort',
        () => {
          for (const one of callbacks) one()
        },
        { once: true },
      )
    },
    remove: (signal, callback) => void waiting.get(signal)?.delete(callback),
  }
}
