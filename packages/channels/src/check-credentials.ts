import { type CredentialCheck, notNow, wrong } from './check-credentials-outcome.js'
import { trySms, trySmtp } from './check-credentials-post.js'
import { lookAtWebPush, tryApns, tryFcm } from './check-credentials-push.js'
import { ChannelError } from './errors.js'
import type { Provider } from './message.js'
import { type ChannelSettings, timeoutsOf } from './settings.js'
import { readWebhookCredentials } from './webhook/credentials.js'

type Try = (value: unknown, settings: ChannelSettings, signal: AbortSignal) => Promise<CredentialCheck>

const TRIES: Readonly<Record<Provider, Try>> = {
  fcm: tryFcm,
  apns: tryApns,
  webpush: lookAtWebPush,
  smtp: trySmtp,
  sms: trySms,
  async webhook(value) {
    readWebhookCredentials(value)
    return { ok: true, tried: false }
  },
}

/**
 * Reads credentials as their sender would and asks the provider whether it would let us in, delivering to nobody.
 * Web push and webhooks have nobody to ask, so only the shape counts. Never throws; settles within the settings'
 * `batchMs` and soon after `signal` aborts. A provider that is down is `temporary`, never wrong.
 */
export async function checkCredentials(
  provider: Provider,
  credentials: unknown,
  settings: ChannelSettings,
  signal: AbortSignal,
): Promise<CredentialCheck> {
  if (!Object.hasOwn(TRIES, provider)) {
    return wrong('PROVIDER_UNKNOWN', `There is no provider "${provider}".`)
  }
  if (signal.aborted) return notNow('ABORTED')
  const stop = new AbortController()
  const late = new Promise<CredentialCheck>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(notNow(signal.aborted ? 'ABORTED' : 'TIMEOUT')))
  })
  const abort = () => stop.abort()
  const deadline = setTimeout(abort, timeoutsOf(settings).batchMs)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([
      late,
      attempt(TRIES[provider], { credentials, settings, signal: stop.signal }),
    ])
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', abort)
  }
}

interface Attempt {
  credentials: unknown
  settings: ChannelSettings
  signal: AbortSignal
}

async function attempt(ask: Try, { credentials, settings, signal }: Attempt): Promise<CredentialCheck> {
  try {
    return await ask(credentials, settings, signal)
  } catch (error) {
    if (!(error instanceof ChannelError)) return notNow('UNEXPECTED')
    return error.code === 'EGRESS_REFUSED'
      ? wrong(error.code, `${error.message} Set an address that may be reached from here.`)
      : wrong(error.code, error.message)
  }
}
