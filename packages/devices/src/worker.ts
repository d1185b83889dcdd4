import { WebPushError } from './errors.js'

/** A worker starts in milliseconds; on a slow phone that is busy, in seconds. */
const ANSWER_MS = 5_000

/** What the worker keeps for a subscription that changes while no page is open. */
export interface Kept {
  installation: string
  device: { app: string | undefined; locale: string | undefined }
  publicKey: string
  token?: string
}

/** Messages to the worker; each resolves when the worker has done it. @throws WebPushError `NO_WORKER` */
export interface WorkerWords {
  remember(kept: Kept): Promise<void>
  forget(): Promise<void>
  /** Sends acknowledgements that wait; does not wait for the gateway. */
  flush(): Promise<void>
}

/** Registers the worker and waits until it runs, also for a scope that this page is not in. @throws WebPushError `NO_WORKER` */
export async function startWorker(url: URL): Promise<ServiceWorkerRegistration> {
  try {
    const registration = await navigator.serviceWorker.register(url)
    if (registration.active === null) await activated(registration.waiting ?? registration.installing)
    return registration
  } catch (cause) {
    throw new WebPushError('NO_WORKER', `There is no service worker at ${url.pathname}.`, { cause })
  }
}

function activated(worker: ServiceWorker | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (worker === null || worker.state === 'redundant')
        reject(new Error('The service worker did not install.'))
      else if (worker.state === 'activated') resolve()
    }
    worker?.addEventListener('statechange', look)
    look()
  })
}

export function wordsTo(registration: ServiceWorkerRegistration): WorkerWords {
  const say = (message: Record<string, unknown>) =>
    new Promise<void>((resolve, reject) => {
      const { port1, port2 } = new MessageChannel()
      const silent = new WebPushError(
        'NO_WORKER',
        "The service worker does not answer: it is not Carillon's.",
      )
      const timer = setTimeout(() => reject(silent), ANSWER_MS)
      port1.onmessage = () => {
        clearTimeout(timer)
        resolve()
      }
      registration.active?.postMessage(message, [port2])
    })
  return {
    remember: (kept) => say({ type: 'carillon.remember', kept }),
    forget: () => say({ type: 'carillon.forget' }),
    flush: () => say({ type: 'carillon.flush' }),
  }
}

/** The subscription of this browser under this key: the present one, or a new one in place of another key's. */
export async function subscribed(
  registration: ServiceWorkerRegistration,
  publicKey: string,
): Promise<PushSubscription> {
  const present = await registration.pushManager.getSubscription()
  if (present !== null && isUnder(present, publicKey)) return present
  await present?.unsubscribe()
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey })
}

function isUnder({ options }: PushSubscription, publicKey: string): boolean {
  const bytes = new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0))
  const key = btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
  return key === publicKey.replaceAll('=', '')
}
