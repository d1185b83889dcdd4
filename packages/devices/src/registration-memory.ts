/** What was registered last, to see whether it has to be said again. */
export interface Registered {
  user: string
  endpoint: string
  app: string | undefined
  locale: string | undefined
  /** Milliseconds since the epoch. */
  at: number
}

const INSTALLATION = 'carillon.installation'
const REGISTERED = 'carillon.registered'
/** So that the gateway knows which browsers still live. */
const SAY_AGAIN_MS = 86_400_000

/** The name of this browser's installation: made once, the same for everybody who signs in here. */
export function installationId(storage: Storage): string {
  const known = storage.getItem(INSTALLATION)
  if (known !== null) return known
  const made = crypto.randomUUID()
  storage.setItem(INSTALLATION, made)
  return made
}

/** What was registered last; undefined when nothing is, or nobody can tell. */
export function lastRegistered(storage: Storage): Registered | undefined {
  const text = storage.getItem(REGISTERED)
  if (text === null) return undefined
  try {
    return JSON.parse(text) as Registered
  } catch {
    return undefined
  }
}

export function rememberRegistered(storage: Storage, registered: Registered | undefined): void {
  if (registered === undefined) storage.removeItem(REGISTERED)
  else storage.setItem(REGISTERED, JSON.stringify(registered))
}

/** True when the gateway may not know `now` or was told more than a day ago. */
export function hasChanged(before: Registered | undefined, now: Registered): boolean {
  return (
    before === undefined ||
    before.user !== now.user ||
    before.endpoint !== now.endpoint ||
    before.app !== now.app ||
    before.locale !== now.locale ||
    now.at - before.at >= SAY_AGAIN_MS
  )
}
