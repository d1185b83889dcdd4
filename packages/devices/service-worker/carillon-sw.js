/**
 * Carillon's service worker for Web Push: one file without imports, served by the site itself, so that its scope is the
 * site. It shows each push once, acknowledges what became of it and keeps acknowledgements until the gateway has them.
 *
 * Settings stand in its address: `/carillon-sw.js?gateway=https://carillon.example&title=News`. `gateway` is the
 * site's own origin unless said; `title` is shown when a push can't be read.
 *
 * @typedef {{ id?: number, token: string, status: 'delivered' | 'opened' | 'clicked' | 'dismissed', at: string, action?: string }} Receipt
 * @typedef {{ [name: string]: unknown }} Fields
 * @typedef {{ shown: Fields, data: Fields, badge: number | undefined }} Push
 * @typedef {{ installation: string, device: { app?: string, locale?: string }, publicKey: string, token?: string }} Kept
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self))

const DATABASE = 'carillon'
const RETRY_TAG = 'carillon-receipts'
const UNREADABLE_TAG = 'carillon-unreadable'
const REQUEST_TIMEOUT_MS = 10_000
/** The gateway takes 500 in one request. */
const RECEIPTS_A_REQUEST = 100
/** The oldest go first: nobody has asked for them for a long time. */
const RECEIPTS_KEPT = 500
const TOKEN_CHARS = 256
const ACTION_CHARS = 64
/** As long as a push service may keep a push for a device that is off. */
const SEEN_MS = 28 * 86_400_000
const OPENED = ['https:', 'http:', 'tel:', 'sms:', 'mailto:']
/** Handed to the browser as they are, when their type is right. */
const TAKEN_OVER = {
  string: ['body', 'tag', 'icon', 'badge', 'image', 'lang', 'dir'],
  boolean: ['silent', 'requireInteraction', 'renotify'],
  number: ['timestamp'],
}

worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))
worker.addEventListener('push', (event) => event.waitUntil(onPush(event)))
worker.addEventListener('notificationclick', (event) => event.waitUntil(onClick(event)))
worker.addEventListener('notificationclose', (event) =>
  event.waitUntil(acknowledge(fieldsOf(event.notification.data).rt, 'dismissed')),
)
worker.addEventListener('pushsubscriptionchange', (event) =>
  /** @type {ExtendableEvent} */ (event).waitUntil(onSubscriptionChange(event)),
)
worker.addEventListener('message', (event) => event.waitUntil(onMessage(event)))
worker.addEventListener('sync', (event) => {
  const sync = /** @type {ExtendableEvent & { tag: string }} */ (event)
  if (sync.tag === RETRY_TAG) sync.waitUntil(flush())
})

// ——— showing

/** @param {PushEvent} event */
async function onPush(event) {
  const push = readPush(event)
  if (push === undefined) {
    // browsers want every push to be seen, and this one says only that it came
    await worker.registration.showNotification(setting('title') ?? 'New notification', {
      tag: UNREADABLE_TAG,
      data: { carillon: { navigate: '/' } },
    })
    return flush()
  }
  await show(push)
  await setBadge(push.badge)
  await acknowledge(push.data.rt, 'delivered')
}

/**
 * What the push says. Safari reads a declarative push by itself and hands over the notification that it is about to
 * show: shown again under the same tag it becomes ours, so that a click comes here and is acknowledged.
 * @param {PushEvent} event
 * @returns {Push | undefined}
 */
function readPush(event) {
  const proposed = /** @type {{ notification?: Fields, appBadge?: unknown }} */ (
    /** @type {unknown} */ (event)
  )
  const body = event.data === null ? { notification: proposed.notification } : parsed(event.data)
  const { notification: shown, app_badge: badge = proposed.appBadge } = fieldsOf(body)
  if (typeof shown !== 'object' || shown === null) return undefined
  const fields = /** @type {Fields} */ (shown)
  const count = badge === undefined || badge === null || badge === '' ? Number.NaN : Number(badge)
  return {
    shown: fields,
    data: fieldsOf(fields.data),
    badge: Number.isInteger(count) && count >= 0 ? count : undefined,
  }
}

/** @param {PushMessageData} data */
function parsed(data) {
  try {
    return data.json()
  } catch {
    return undefined
  }
}

/**
 * Shows it, in place of one with the same tag. The same `nid` again changes nothing on the screen but the words, and
 * does not come back when the person has put it away.
 * @param {Push} push
 */
async function show(push) {
  const { nid } = push.data
  const again = typeof nid === 'string' && (await wasSeen(nid))
  if (again) {
    const open = await worker.registration.getNotifications()
    if (!open.some(({ data }) => fieldsOf(data).nid === nid)) return
  }
  const { title } = push.shown
  const text = typeof title === 'string' && title !== '' ? title : (setting('title') ?? 'New notification')
  const options = optionsOf(push)
  if (again) Object.assign(options, { silent: true, renotify: false })
  try {
    await worker.registration.showNotification(text, options)
  } catch {
    // a browser may refuse one of the frills; the words are shown all the same
    const { body, tag, data } = options
    await worker.registration.showNotification(text, { body: body ?? '', tag: tag ?? '', data })
  }
  if (typeof nid === 'string') await markSeen(nid)
}

/**
 * @param {Push} push
 * @returns {NotificationOptions}
 */
function optionsOf({ shown, data }) {
  const options = /** @type {Fields} */ ({})
  for (const [type, names] of Object.entries(TAKEN_OVER)) {
    for (const name of names) {
      if (typeof shown[name] === type) options[name] = shown[name]
    }
  }
  options.tag ||= typeof data.nid === 'string' ? data.nid : ''
  if (options.tag === '') delete options.renotify
  const actions = (Array.isArray(shown.actions) ? shown.actions : [])
    .map(fieldsOf)
    .filter(({ action, title }) => typeof action === 'string' && typeof title === 'string')
  if (actions.length > 0) {
    options.actions = actions.map(({ action, title, icon }) =>
      typeof icon === 'string' ? { action, title, icon } : { action, title },
    )
  }
  const targets = Object.fromEntries(actions.map(({ action, navigate }) => [action, navigate]))
  options.data = { ...data, carillon: { navigate: shown.navigate, actions: targets } }
  return options
}

/** @param {number | undefined} count 0 takes it away */
async function setBadge(count) {
  if (count === undefined || !('setAppBadge' in worker.navigator)) return
  // refused where the site is not installed as an app
  await worker.navigator.setAppBadge(count).catch(() => undefined)
}

// ——— what the person did

/** @param {NotificationEvent} event */
async function onClick({ notification, action }) {
  notification.close()
  const data = fieldsOf(notification.data)
  const { navigate, actions } = fieldsOf(data.carillon)
  const target = targetOf(action === '' ? navigate : (fieldsOf(actions)[action] ?? navigate))
  const told = { type: 'carillon.clicked', nid: data.nid, action, url: target.href, data }
  await Promise.allSettled([
    open(target, told),
    acknowledge(data.rt, action === '' ? 'opened' : 'clicked', action),
  ])
}

/**
 * Pages, telephone numbers and addresses of mail; anything else (`javascript:`, `data:`, …) becomes the start page.
 * @param {unknown} wanted
 */
function targetOf(wanted) {
  const start = new URL('/', worker.location.origin)
  if (typeof wanted !== 'string' || !URL.canParse(wanted, start)) return start
  const target = new URL(wanted, start)
  return OPENED.includes(target.protocol) ? target : start
}

/**
 * An open page of the site that shows it already, else one that goes there, else a new window. What is elsewhere always
 * gets a window of its own.
 * @param {URL} target
 * @param {Fields} told
 */
async function open(target, told) {
  if (target.origin === worker.location.origin) {
    const all = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true })
    const there = all.find((client) => client.url === target.href)
    there?.postMessage(told)
    if (there) return there.focus()
    // a page of another worker can't be moved, and a focus used up on it could not open a window any more
    const own = await worker.clients.matchAll({ type: 'window' })
    const page = own.find(({ visibilityState }) => visibilityState === 'visible') ?? own[0]
    const moved = await page?.navigate(target.href).catch(() => null)
    moved?.postMessage(told)
    if (moved) return moved.focus()
  }
  return worker.clients.openWindow(target.href)
}

// ——— acknowledging

/**
 * Stored first, then sent with whatever else is waiting: once written, only the gateway's answer removes it.
 * @param {unknown} token
 * @param {Receipt['status']} status
 * @param {string} action The button that was pressed.
 */
async function acknowledge(token, status, action = '') {
  if (typeof token === 'string' && token !== '' && token.length <= TOKEN_CHARS) {
    const pressed = action === '' ? {} : { action: action.slice(0, ACTION_CHARS) }
    await keepReceipt({ token, status, at: new Date().toISOString(), ...pressed })
  }
  await flush()
}

/** Sends what is waiting, oldest first; one at a time, whichever events ask for it. */
async function flush() {
  const finished = await worker.navigator.locks.request(RETRY_TAG, async () => {
    for (;;) {
      const waiting = await oldestReceipts()
      if (waiting.length === 0) return true
      if (!(await post(waiting))) return false
      await within('receipts', 'readwrite', (receipts) => {
        for (const { id } of waiting) if (id !== undefined) receipts.delete(id)
      })
    }
  })
  // after the lock: a browser may take its time to answer
  if (!finished) await retryWhenOnline()
}

/**
 * True when the gateway has them, or said itself that it never will: a proxy's page says nothing about receipts.
 * @param {Receipt[]} waiting
 */
async function post(waiting) {
  const receipts = waiting.map(({ id: _ours, ...receipt }) => receipt)
  try {
    const answer = await send('POST', '/v1/receipts', { receipts })
    if (answer.ok) return true
    const own = answer.headers.get('content-type')?.includes('problem+json') ?? false
    return own && answer.status < 500 && answer.status !== 408 && answer.status !== 429
  } catch {
    return false
  }
}

/** Wakes this worker when there is a network again, where browsers can; else the next event does. */
async function retryWhenOnline() {
  const { sync } = /** @type {{ sync?: { register(tag: string): Promise<void> } }} */ (
    /** @type {unknown} */ (worker.registration)
  )
  await sync?.register(RETRY_TAG).catch(() => undefined)
}

/**
 * @param {'POST' | 'PUT'} method
 * @param {string} path
 * @param {object} body
 * @param {string} [token]
 */
function send(method, path, body, token) {
  return fetch(new URL(path, setting('gateway') ?? worker.location.origin), {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    credentials: 'omit',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  })
}

// ——— the subscription

/**
 * The browser has changed the subscription. Open pages sign the new one in; with a remembered token this worker does.
 * Without both, the next page does: it compares the subscription with what it registered last.
 * @param {Event} event
 */
async function onSubscriptionChange(event) {
  const kept = /** @type {Kept | undefined} */ (
    await within('kept', 'readonly', (store) => store.get('installation'))
  )
  if (kept === undefined) return
  const { newSubscription } = /** @type {{ newSubscription?: PushSubscription | null }} */ (
    /** @type {unknown} */ (event)
  )
  const subscription =
    newSubscription ??
    (await worker.registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: kept.publicKey,
    }))
  for (const client of await worker.clients.matchAll({ type: 'window', includeUncontrolled: true })) {
    client.postMessage({ type: 'carillon.subscription-changed' })
  }
  if (kept.token === undefined) return
  const { endpoint, keys } = subscription.toJSON()
  const device = { kind: 'webpush', endpoint, p256dh: keys?.p256dh, auth: keys?.auth, ...kept.device }
  await send('PUT', `/v1/me/devices/${encodeURIComponent(kept.installation)}`, device, kept.token)
}

/** @param {ExtendableMessageEvent} event */
async function onMessage({ data, ports }) {
  const { type, kept } = fieldsOf(data)
  if (type === 'carillon.remember')
    await within('kept', 'readwrite', (store) => store.put(kept, 'installation'))
  else if (type === 'carillon.forget') await within('kept', 'readwrite', (store) => store.clear())
  else if (type !== 'carillon.flush') return
  ports[0]?.postMessage({ type: 'carillon.done' })
  await flush()
}

// ——— what is stored: receipts that wait, ids that were seen, the installation

/** @param {Receipt} receipt */
async function keepReceipt(receipt) {
  await within('receipts', 'readwrite', (receipts) => receipts.add(receipt))
  const ids = await within('receipts', 'readonly', (receipts) => receipts.getAllKeys())
  const surplus = ids.slice(0, Math.max(0, ids.length - RECEIPTS_KEPT))
  if (surplus.length === 0) return
  await within('receipts', 'readwrite', (receipts) => {
    for (const id of surplus) receipts.delete(id)
  })
}

/** @returns {Promise<Receipt[]>} */
async function oldestReceipts() {
  return (await within('receipts', 'readonly', (receipts) => receipts.getAll(null, RECEIPTS_A_REQUEST))) ?? []
}

/** @param {string} nid */
async function wasSeen(nid) {
  return (await within('seen', 'readonly', (seen) => seen.getKey(nid))) !== undefined
}

/** @param {string} nid */
async function markSeen(nid) {
  const now = Date.now()
  await within('seen', 'readwrite', (seen) => {
    seen.put({ nid, at: now })
    const old = seen.index('at').openKeyCursor(IDBKeyRange.upperBound(now - SEEN_MS))
    old.onsuccess = () => {
      if (old.result === null) return
      seen.delete(old.result.primaryKey)
      old.result.continue()
    }
  })
}

/**
 * One transaction on one store; resolves with the result of the request that `work` returns, once it is on disk.
 * @template [T=void]
 * @param {'receipts' | 'seen' | 'kept'} name
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T> | void} work
 * @returns {Promise<T>}
 */
async function within(name, mode, work) {
  const database = await openDatabase()
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode)
      const request = work(transaction.objectStore(name))
      transaction.oncomplete = () => resolve(/** @type {T} */ (request?.result))
      transaction.onabort = () => reject(transaction.error)
    })
  } finally {
    database.close()
  }
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore('receipts', { keyPath: 'id', autoIncrement: true })
      request.result.createObjectStore('seen', { keyPath: 'nid' }).createIndex('at', 'at')
      request.result.createObjectStore('kept')
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** @param {'gateway' | 'title'} name */
function setting(name) {
  return new URL(worker.location.href).searchParams.get(name) || undefined
}

/**
 * @param {unknown} value
 * @returns {Fields}
 */
function fieldsOf(value) {
  return typeof value === 'object' && value !== null ? /** @type {Fields} */ (value) : {}
}
