/**
 * What one attempt came to. The kind is the decision; the reason is for people and rows, a stable word where the
 * provider has one.
 *
 * - `accepted`: the provider took it. It says nothing about a screen.
 * - `address`: this address is dead. With `suspend`, hold it instead of removing it; with `stopped`, its person asked for
 *   no more. `at` is the provider's moment
 *   in milliseconds: remove only an address that was registered before.
 * - `message`: this content can never be sent. Dead letter; the address is fine.
 * - `config`: these credentials or this app are wrong. Hold (provider, credentials) and alert.
 * - `retry`: certainly not processed; send again, not before `afterMs` when given.
 * - `unknown`: it may have been delivered. Send again only with the same ids and collapse key.
 */
export type Verdict =
  | { kind: 'accepted'; providerId?: string }
  | { kind: 'address'; reason: string; suspend?: boolean; stopped?: boolean; at?: number }
  | { kind: 'message'; reason: string }
  | { kind: 'config'; reason: string }
  | { kind: 'retry'; reason: string; afterMs?: number }
  | { kind: 'unknown'; reason: string }
