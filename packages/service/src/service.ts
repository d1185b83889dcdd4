/** A running role. It closes only what it opened itself, so that one process can share its connections. */
export interface Service extends AsyncDisposable {
  readonly name: string
  /** Stops accepting, finishes what is in flight, flushes. Safe to call twice. */
  drain(): Promise<void>
}

/** Several services as one; drained and disposed in reverse order of starting. */
export function composeServices(name: string, services: readonly Service[]): Service {
  const reversed = [...services].reverse()
  return {
    name,
    async drain() {
      for (const service of reversed) await service.drain()
    },
    async [Symbol.asyncDispose]() {
      for (const service of reversed) await service[Symbol.asyncDispose]()
    },
  }
}
