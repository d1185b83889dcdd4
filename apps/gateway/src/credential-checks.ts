import {
  ChannelError,
  type ChannelSettings,
  checkCredentials,
  openSender,
  type Provider,
} from '@carillon/channels'
import { HttpProblem } from '@carillon/service'

/** What trying credentials came to. `skipped`: there was nobody to ask. */
export interface Checked {
  checked: 'ok' | 'refused' | 'unreachable' | 'skipped'
  reason: string | null
  remedy: string | null
}

/** Reads credentials, and asks their provider whether it would let us in. Nobody gets a message. */
export interface CredentialChecks {
  /** @throws ChannelError `CREDENTIALS_INVALID` with the field */
  assertShape(kind: Provider, credentials: unknown): Promise<void>
  /** Never throws, and settles within nine seconds: somebody waits for the answer. */
  tryOut(kind: Provider, credentials: unknown): Promise<Checked>
}

/** A provider that takes longer than this is called unreachable. */
const TIMEOUTS = { connectMs: 4_000, requestMs: 5_000, batchMs: 8_000 } as const
const GIVE_UP_MS = 9_000

export const UNTRIED: Checked = { checked: 'skipped', reason: null, remedy: null }

/** `settings`: the reach of the delivery workers, so that both meet the same providers. */
export function createCredentialChecks(settings: ChannelSettings): CredentialChecks {
  const reach = { ...settings, timeouts: { ...TIMEOUTS, ...settings.timeouts } }
  return {
    async assertShape(kind, credentials) {
      // senders connect when they send: opening one only reads
      await openSender(kind, credentials, reach)[Symbol.asyncDispose]()
    },
    async tryOut(kind, credentials) {
      const check = await checkCredentials(kind, credentials, reach, AbortSignal.timeout(GIVE_UP_MS))
      if (check.ok) return { ...UNTRIED, checked: check.tried ? 'ok' : 'skipped' }
      const { reason, remedy } = check
      return { checked: check.temporary ? 'unreachable' : 'refused', reason, remedy }
    },
  }
}

/** @throws HttpProblem 422 when the provider said no */
export function assertLetIn({ checked, reason, remedy }: Checked): void {
  if (checked !== 'refused') return
  throw new HttpProblem(422, 'CREDENTIALS_REFUSED', `The provider refuses them (${reason}). ${remedy}`, {
    field: 'credentials',
    errors: [{ field: 'credentials', detail: remedy ?? '' }],
  })
}

/** Sealed credentials that no key of ours opens are as good as refused. */
export function unopened(error: unknown): Checked {
  if (!(error instanceof ChannelError)) throw error
  return { checked: 'refused', reason: error.code, remedy: 'Put the credentials again.' }
}
