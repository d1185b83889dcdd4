import { Host, type HostOptions } from '../host/host.js'
import type { Guest, Place } from './place.js'
import { type HostMessage, RemoteHost, serveTab, type TabMessage } from './wire.js'

/** What goes over the channel that all tabs of a person hear. */
type Broadcast =
  | { from: string; to: 'host'; message: TabMessage }
  | { from: string; to: string; message: HostMessage }
  /** This tab holds the connection from now on. */
  | { from: string; to: 'all' }

/**
 * The host is in one of the tabs: the one that holds a lock. The browser gives it to another tab when that one closes,
 * crashes or is discarded.
 */
export function electedPlace(guest: Guest, options: Omit<HostOptions, 'takesOver'>, group: string): Place {
  const channel = new BroadcastChannel(`carillon.${group}`)
  const leaving = new AbortController()
  const locks = lockNames(group)
  let host: Host | undefined
  let remote: { id: string; port: RemoteHost } | undefined
  let knewHost = false
  /** Who said last that it holds the connection. */
  let announced: string | undefined
  const served = new Map<string, (message: TabMessage) => void>()
  const post = (message: Broadcast) => {
    if (!leaving.signal.aborted) channel.postMessage(message)
  }
  const sayHello = () =>
    post({ from: guest.id, to: 'host', message: { kind: 'hello', hello: guest.hello() } })

  const becomeHost = () => {
    guest.lost()
    remote = undefined
    host = new Host({ ...options, takesOver: knewHost })
    guest.found(host.attach(guest.id, guest.hello(), (event) => guest.hear(event)))
    post({ from: guest.id, to: 'all' })
  }
  const serve = (tab: string, message: TabMessage) => {
    if (host === undefined) return
    const here = host
    let take = served.get(tab)
    if (take === undefined) {
      take = serveTab(here, tab, (answer) => post({ from: guest.id, to: tab, message: answer }))
      served.set(tab, take)
      whenGone(locks.tab(tab), leaving.signal, () => {
        served.delete(tab)
        here.detach(tab)
      })
    }
    take(message)
  }
  const hear = (from: string, message: HostMessage) => {
    if (message.kind === 'welcome') {
      // an earlier hello may reach the same host as well, and an earlier host may answer late
      if (host !== undefined || remote?.id === from || (announced ?? from) !== from) return
      const port = new RemoteHost((said) => post({ from: guest.id, to: 'host', message: said }))
      remote = { id: from, port }
      knewHost = true
      return guest.found(port)
    }
    if (remote?.id !== from) return
    if (message.kind === 'event') guest.hear(message.event)
    else remote.port.settle(message)
  }

  channel.onmessage = ({ data }: MessageEvent<Broadcast>) => {
    if (data.to === 'host') serve(data.from, data.message as TabMessage)
    else if (data.to === guest.id && 'message' in data) hear(data.from, data.message as HostMessage)
    else if (data.to === 'all') {
      guest.lost()
      remote = undefined
      announced = data.from
      sayHello()
    }
  }
  // this lock tells the host that the tab lives
  hold(locks.tab(guest.id), leaving.signal, sayHello)
  hold(locks.host, leaving.signal, becomeHost)

  return {
    close() {
      if (leaving.signal.aborted) return
      remote?.port.close()
      leaving.abort()
      channel.close()
      host?.close()
    },
  }
}

export function lockNames(group: string): { host: string; tab: (id: string) => string } {
  return { host: `carillon.${group}.host`, tab: (id) => `carillon.${group}.tab.${id}` }
}

/** Holds a lock from when it is had until `signal`. */
export function hold(name: string, signal: AbortSignal, had: () => void): void {
  const held = navigator.locks.request(name, { signal }, () => {
    if (signal.aborted) return undefined
    had()
    return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  })
  // rejected when it is given up before it was had
  held.catch(() => undefined)
}

/** Runs when whoever holds a lock is gone. */
export function whenGone(name: string, signal: AbortSignal, run: () => void): void {
  const gone = navigator.locks.request(name, { signal }, () => {
    if (!signal.aborted) run()
  })
  gone.catch(() => undefined)
}
