import { createDeviceCalls } from './device-calls.js'
import { WebPushError } from './errors.js'
import {
  hasChanged,
  installationId,
  lastRegistered,
  type Registered,
  rememberRegistered,
} from './registration-memory.js'
import { startWorker, subscribed, type WorkerWords, wordsTo } from './worker.js'

export interface WebPushOptions {
  /** Who is signed in, as your server calls them. Another one than last time starts without the other's pushes. */
  user: string
  /** The person's token of the edge (`POST /v1/users/:id/token`), asked for at each call. */
  token: () => Promise<string> | string
  /** The VAPID public key of the tenant's account for Web Push, base64url. Another one makes a new subscription. */
  publicKey: string
  /** Where the API is. The page's own origin unless said; another one must allow this origin. */
  gateway?: string
  /** Where the site serves the worker. `/carillon-sw.js` unless said. */
  worker?: string
  /** What is shown when a push can't be read. */
  fallbackTitle?: string
  app?: string
  locale?: string
  /**
   * Lets the worker keep the token, to sign a changed subscription in while no page is open. It then lies in IndexedDB
   * until it is replaced or the person signs out. False unless said: the next page does it.
   */
  rememberToken?: boolean
}

/** `unsupported` here; `ask`: nobody was asked; `denied` by the person; `off`: allowed, not signed in; `on`. */
export type WebPushState = 'unsupported' | 'ask' | 'denied' | 'off' | 'on'

export interface WebPush {
  state(): Promise<WebPushState>
  /**
   * Asks for permission, subscribes and registers. Call it when the person has pressed something: browsers refuse a
   * question that comes by itself. @throws WebPushError
   */
  enable(): Promise<void>
  /** Takes the notification with this `nid` off the screen of this browser. */
  clear(nid: string): Promise<void>
  /**
   * Unsubscribes, takes everything off the screen and tells the gateway. False when the gateway could not be told: no
   * push comes any more all the same, and it learns that from the push service.
   */
  signOut(): Promise<boolean>
}

/**
 * Starts the service worker and, where this person's browser is registered already, brings the gateway up to date: a
 * subscription that changed, another key, or a day gone by. Never asks for permission.
 * @throws WebPushError `NO_WORKER`, `GATEWAY_REFUSED`, `GATEWAY_UNREACHABLE`
 */
export async function registerWebPush(options: WebPushOptions): Promise<WebPush> {
  if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window)) return nowhere()
  const gateway = options.gateway ?? location.origin
  const worker = new URL(options.worker ?? '/carillon-sw.js', location.href)
  if (gateway !== location.origin) worker.searchParams.set('gateway', gateway)
  if (options.fallbackTitle !== undefined) worker.searchParams.set('title', options.fallbackTitle)
  const registration = await startWorker(worker)
  const storage = localStorage
  const installation = installationId(storage)
  const calls = createDeviceCalls({ gateway, installation, token: options.token })
  const words = wordsTo(registration)

  const bringUpToDate = async (): Promise<void> => {
    const subscription = await subscribed(registration, options.publicKey)
    const { endpoint, keys } = subscription.toJSON()
    const of = { app: options.app, locale: options.locale }
    const now: Registered = { user: options.user, endpoint: endpoint ?? '', ...of, at: Date.now() }
    await words.remember({
      installation,
      device: of,
      publicKey: options.publicKey,
      ...(options.rememberToken === true ? { token: await options.token() } : {}),
    })
    if (!hasChanged(lastRegistered(storage), now)) return
    await calls.put({
      kind: 'webpush',
      endpoint: now.endpoint,
      p256dh: keys?.p256dh ?? '',
      auth: keys?.auth ?? '',
      ...(of.app === undefined ? {} : { app: of.app }),
      ...(of.locale === undefined ? {} : { locale: of.locale }),
    })
    rememberRegistered(storage, now)
  }

  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    if (data?.type !== 'carillon.subscription-changed') return
    // what fails here is made good by the next page
    void bringUpToDate().catch((error: unknown) => console.warn('Web Push', error))
  })
  await words.flush()
  const last = lastRegistered(storage)
  if (last !== undefined && last.user !== options.user) await forget({ registration, words, storage })
  else if (last !== undefined && Notification.permission === 'granted') await bringUpToDate()

  return {
    async state() {
      if (Notification.permission === 'default') return 'ask'
      if (Notification.permission === 'denied') return 'denied'
      const subscription = await registration.pushManager.getSubscription()
      return subscription !== null && lastRegistered(storage)?.user === options.user ? 'on' : 'off'
    },
    async enable() {
      if ((await Notification.requestPermission()) !== 'granted') {
        throw new WebPushError('PERMISSION_DENIED', 'The person does not want notifications.')
      }
      await bringUpToDate()
    },
    async clear(nid) {
      for (const notification of await registration.getNotifications()) {
        if (notification.data?.nid === nid) notification.close()
      }
    },
    async signOut() {
      await forget({ registration, words, storage })
      try {
        await calls.remove()
        return true
      } catch (error) {
        if (error instanceof WebPushError) return false
        throw error
      }
    },
  }
}

/** No push comes any more, and nothing of a person stays on the screen. */
async function forget(of: {
  registration: ServiceWorkerRegistration
  words: WorkerWords
  storage: Storage
}): Promise<void> {
  const { registration, words, storage } = of
  const subscription = await registration.pushManager.getSubscription()
  await subscription?.unsubscribe()
  rememberRegistered(storage, undefined)
  await words.forget()
  for (const notification of await registration.getNotifications()) {
    if (notification.data?.carillon !== undefined) notification.close()
  }
  // refused where the site is not installed as an app
  if ('clearAppBadge' in navigator) await navigator.clearAppBadge().catch(() => undefined)
}

function nowhere(): WebPush {
  return {
    state: async () => 'unsupported',
    enable: () =>
      Promise.reject(new WebPushError('UNSUPPORTED', 'This browser has no Web Push, or not on this page.')),
    clear: async () => undefined,
    signOut: async () => true,
  }
}
