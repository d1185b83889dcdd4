import type { SimulatedMessage } from './inbox.js'

type Listener = (message: SimulatedMessage) => void

/** Hands one stream of arrivals to many listeners; it is open while somebody listens. */
export interface FollowHub {
  /** Calls for each arrival from now on, or only for those of one address, until disposed. */
  follow(listener: Listener, to?: string): Promise<AsyncDisposable>
}

/** `open` begins the stream; what it returns ends it. */
export function createFollowHub(open: (listener: Listener) => Promise<AsyncDisposable>): FollowHub {
  const everything = new Set<Listener>()
  const byAddress = new Map<string, Set<Listener>>()
  let opened: Promise<AsyncDisposable> | undefined
  let followers = 0

  const tell: Listener = (message) => {
    for (const listener of everything) listener(message)
    for (const listener of byAddress.get(message.to) ?? []) listener(message)
  }
  const add = (listener: Listener, to: string | undefined) => {
    if (to === undefined) return void everything.add(listener)
    const there = byAddress.get(to) ?? new Set()
    byAddress.set(to, there.add(listener))
  }
  const remove = (listener: Listener, to: string | undefined) => {
    if (to === undefined) return void everything.delete(listener)
    const there = byAddress.get(to)
    there?.delete(listener)
    if (there?.size === 0) byAddress.delete(to)
  }
  return {
    async follow(listener, to) {
      // one function may follow twice; each is ended for itself
      const own: Listener = (message) => listener(message)
      add(own, to)
      followers++
      let ended = false
      const end = async () => {
        if (ended) return
        ended = true
        remove(own, to)
        if (--followers > 0) return
        const last = opened
        opened = undefined
        await (await last?.catch(() => undefined))?.[Symbol.asyncDispose]()
      }
      try {
        opened ??= open(tell)
        await opened
      } catch (error) {
        await end()
        throw error
      }
      return { [Symbol.asyncDispose]: end }
    },
  }
}
