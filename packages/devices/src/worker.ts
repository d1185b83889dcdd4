/** What the worker keeps for a subscription that changes while no page is open. */
export interface Kept {
  installation: string
  device: { app: string | undefined; locale: string | undefined }
  publicKey: string
  token?: string
}

/** Messages to the worker; each resolves when the worker has done it. */
export interface WorkerWords {
  remember(kept: Kept): Promise<void>
  forget(): Promise<void>
  /** Sends acknowledgements that wait; does not wait for the gateway. */
  flush(): Promise<void>
}

export function wordsTo(registration: ServiceWorkerRegistration): WorkerWords {
  const say = (message: Record<string, unknown>) =>
    new Promise<void>((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => resolve()
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
