import type { Verdict } from './verdict.js'

/**
 * What trying credentials came to. `tried`: the provider was asked, not only the shape looked at. `temporary`: the
 * provider could not be asked, which says nothing about the credentials. `reason` is a stable word, `remedy` a
 * sentence for people; neither holds a secret.
 */
export type CredentialCheck =
  | { ok: true; tried: boolean }
  | { ok: false; reason: string; remedy: string; temporary: boolean }

/** The provider was asked and let us in. */
export const LET_IN: CredentialCheck = { ok: true, tried: true }

/** These credentials will never send as they are. */
export function wrong(reason: string, remedy: string): CredentialCheck {
  return { ok: false, reason, remedy, temporary: false }
}

/** The provider could not be asked. */
export function notNow(reason: string): CredentialCheck {
  return {
    ok: false,
    reason,
    remedy:
      'The provider gave no usable answer. Try again later; nothing is known to be wrong with these credentials.',
    temporary: true,
  }
}

/** A verdict that isn't about the address: `config` is wrong, by the word's own remedy or `otherwise`; else not now. */
export function fromVerdict(
  verdict: Verdict,
  remedies: Readonly<Record<string, string>>,
  otherwise: string,
): CredentialCheck {
  if (verdict.kind === 'accepted') return LET_IN
  if (verdict.kind !== 'config') return notNow(verdict.reason)
  const remedy = Object.hasOwn(remedies, verdict.reason) ? remedies[verdict.reason] : undefined
  return wrong(verdict.reason, remedy ?? otherwise)
}
