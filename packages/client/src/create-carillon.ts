import type { Carillon, CarillonOptions } from './api.js'
import { CarillonError } from './errors.js'
import { createMemory, NO_MEMORY } from './memory.js'
import { createDatabaseStorage } from './storage.js'
import { watchPage } from './tab/page.js'
import { Tab } from './tab/tab.js'
import { electedPlace } from './tabs/elected-place.js'
import { ownPlace } from './tabs/own-place.js'
import type { Place } from './tabs/place.js'
import { workerPlace } from './tabs/worker-place.js'

/**
 * Makes a client. Nothing is sent before `connect()` or the first operation.
 * @throws TypeError when `url` is none
 */
export function createCarillon(options: CarillonOptions): Carillon {
  const url = new URL(options.url).origin
  const tab = new Tab(options.getToken)
  let place: Place | undefined = findPlace(tab, { ...options, url }, (other) => {
    place = other
  })
  const stopWatching = watchPage({
    wake: () => void tab.call({ name: 'wake', args: [] }),
    networkLost: () => void tab.call({ name: 'networkLost', args: [] }),
  })
  return {
    connect: () => tab.want(true),
    disconnect: () => tab.want(false),
    get state() {
      return tab.state
    },
    get error() {
      return tab.error
    },
    onState: (listener) => tab.states.add(listener),
    inbox: tab.inbox,
    channel: (name, wishes) => tab.channel(name, wishes),
    onNotification: (listener) => tab.arrivals.add(listener),
    registerWebPush: async (wishes) => {
      if (options.user === undefined) throw new CarillonError('NOT_AVAILABLE', 'Web Push needs `user`.')
      // most pages never do
      const { registerWebPush } = await import('@carillon/devices')
      return registerWebPush({ ...wishes, user: options.user, token: options.getToken, gateway: url })
    },
    signOut: async () => void (await tab.call({ name: 'signOut', args: [] })),
    async dispose() {
      stopWatching()
      tab.dispose()
      place?.close()
      place = undefined
    },
  }
}

function findPlace(tab: Tab, options: CarillonOptions, moved: (place: Place) => void): Place {
  const { url, user, transports, pageSize } = options
  const group = user === undefined ? undefined : `${url} ${user}`
  const storage = options.storage === false ? undefined : (options.storage ?? createDatabaseStorage())
  const hostOptions = {
    url,
    transports,
    pageSize,
    WebSocket: options.WebSocket,
    EventSource: options.EventSource,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    now: options.now ?? Date.now,
    memory: storage === undefined || group === undefined ? NO_MEMORY : createMemory(storage, group),
  } satisfies Parameters<typeof ownPlace>[1]
  const shares = options.shareTabs !== false && group !== undefined && canShare()
  if (!shares) return ownPlace(tab, hostOptions)
  const elect = () => electedPlace(tab, hostOptions, group)
  if (!fitsWorker(options)) return elect()
  const wishes = { url, transports, pageSize, group, keeps: storage !== undefined }
  return workerPlace(tab, wishes, () => moved(elect()))
}

function canShare(): boolean {
  return typeof document !== 'undefined' && 'locks' in navigator && typeof BroadcastChannel !== 'undefined'
}

/** What was given as functions can't be handed to a worker. */
function fitsWorker(options: CarillonOptions): boolean {
  const { fetch: ownFetch, WebSocket: ownSocket, EventSource: ownSource, now, storage } = options
  const own = [ownFetch, ownSocket, ownSource, now]
  const plain = own.every((one) => one === undefined) && (storage === undefined || storage === false)
  return plain && typeof SharedWorker !== 'undefined' && options.transports !== 'sse'
}
