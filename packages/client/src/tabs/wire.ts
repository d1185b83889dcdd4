import { CarillonError, isUnauthorized, UnauthorizedError } from '../errors.js'
import type { Host } from '../host/host.js'
import type { Call, Hello, HostEvent, HostPort, TokenAnswer } from '../host/messages.js'

/** From a tab to a host that is elsewhere. */
export type TabMessage =
  | { kind: 'hello'; hello: Hello }
  | { kind: 'call'; id: number; call: Call }
  | { kind: 'answer'; id: string; answer: TokenAnswer }
  | { kind: 'bye' }
/** From a host to a tab. */
export type HostMessage =
  /** `lock`: held as long as the host lives, where that is not known otherwise. */
  | { kind: 'welcome'; lock?: string }
  | { kind: 'event'; event: HostEvent }
  | { kind: 'result'; id: number; value?: unknown; failure?: Failure }

interface Failure {
  name: string
  message: string
  code: string | undefined
  status: number | undefined
}

/** A host that is elsewhere, for one tab. */
export class RemoteHost implements HostPort {
  readonly #post: (message: TabMessage) => void
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>()
  #lastCall = 0

  constructor(post: (message: TabMessage) => void) {
    this.#post = post
  }

  call(call: Call): Promise<unknown> {
    this.#lastCall += 1
    const id = this.#lastCall
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      this.#post({ kind: 'call', id, call })
    })
  }

  answer(id: string, answer: TokenAnswer): void {
    this.#post({ kind: 'answer', id, answer })
  }

  close(): void {
    this.#post({ kind: 'bye' })
  }

  settle({ id, value, failure }: Extract<HostMessage, { kind: 'result' }>): void {
    const waiting = this.#calls.get(id)
    this.#calls.delete(id)
    if (failure === undefined) waiting?.resolve(value)
    else waiting?.reject(errorOf(failure))
  }
}

/** A tab that is elsewhere, for a host: gives what takes the tab's messages. */
export function serveTab(
  host: Host,
  tab: string,
  post: (message: HostMessage) => void,
  lock?: string,
): (message: TabMessage) => void {
  let port: HostPort | undefined
  return (message) => {
    switch (message.kind) {
      case 'hello':
        post({ kind: 'welcome', ...(lock === undefined ? {} : { lock }) })
        port = host.attach(tab, message.hello, (event) => post({ kind: 'event', event }))
        return
      case 'call':
        void port?.call(message.call).then(
          (value) => post({ kind: 'result', id: message.id, value }),
          (error: unknown) => post({ kind: 'result', id: message.id, failure: failureOf(error) }),
        )
        return
      case 'answer':
        port?.answer(message.id, message.answer)
        return
      case 'bye':
        port?.close()
    }
  }
}

function failureOf(error: unknown): Failure {
  const { name, message, code, status } = error as Failure
  return { name, message, code, status }
}

function errorOf(failure: Failure): Error {
  const { message, code, status } = failure
  if (isUnauthorized(failure)) return new UnauthorizedError(message)
  return new CarillonError(code ?? 'INTERNAL', message, status)
}
