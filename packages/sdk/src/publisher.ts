import type { EventInput } from './event.js'

export interface Published {
  id: string
  source: string
}

/**
 * Publishes domain events, over NATS or over HTTP alike. A promise that resolves means: on disk in JetStream. Retries
 * keep the id, so an event that was stored although the answer got lost rings once.
 */
export interface Publisher extends AsyncDisposable {
  publish<T>(event: EventInput<T>): Promise<Published>
  /** All or an error; events that were stored before it are known by their ids when the call is repeated. */
  publishAll(events: readonly EventInput[]): Promise<Published[]>
}
