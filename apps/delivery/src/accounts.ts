import {
  type Address,
  openCredentials,
  type Provider,
  providerOf,
  type Registry,
  type Sender,
} from '@carillon/channels'
import type { DeliveryChannel } from '@carillon/contracts'
import { type Database, loadProviders, type ProviderAccount } from '@carillon/postgres'
import { messageOf } from '@carillon/service'

/** A provider account that is ready to send, or why it is not. */
export type OpenAccount =
  | { kind: 'ready'; id: string; tenant: string; provider: Provider; sender: Sender }
  | { kind: 'held'; id: string; provider: Provider; untilMs: number; reason: string }
  | { kind: 'missing'; reason: string }

/** The accounts of a batch's tenants, read once per batch. */
export interface Accounts {
  for(tenant: string, address: Address['kind'], app: string | undefined): OpenAccount
  /** Secrets that sign the tenant's webhooks, newest first. */
  webhookSecrets(tenant: string): string[]
}

export interface AccountDeps {
  database: Database
  registry: Registry
  masterKey: Buffer
  now: () => number
}

/** New credentials are another account version: the old sender is closed when it is met again. */
export async function readAccounts(
  tenants: readonly string[],
  channel: DeliveryChannel,
  deps: AccountDeps,
): Promise<Accounts> {
  const rows = await loadProviders(deps.database, [...new Set(tenants)], channel)
  const opened = new Map<string, OpenAccount>()
  return {
    for(tenant, address, app) {
      const provider = providerOf(address)
      const name = `${tenant} ${provider} ${app ?? ''}`
      const known = opened.get(name)
      if (known !== undefined) return known
      const account = openAccount(rows, { tenant, provider, app }, deps)
      opened.set(name, account)
      return account
    },
    webhookSecrets(tenant) {
      const row = rows.find((candidate) => candidate.tenant === tenant && candidate.kind === 'webhook')
      if (row === undefined) return []
      return secretsOf(row, deps.masterKey)
    },
  }
}

function openAccount(
  rows: readonly ProviderAccount[],
  wanted: { tenant: string; provider: Provider; app: string | undefined },
  deps: AccountDeps,
): OpenAccount {
  const candidates = rows.filter((row) => row.tenant === wanted.tenant && row.kind === wanted.provider)
  // credentials of the app itself, else those for all of the tenant's apps
  const row =
    candidates.find((candidate) => candidate.app === wanted.app) ??
    candidates.find(({ app }) => app === 'default')
  if (row === undefined)
    return { kind: 'missing', reason: `the tenant has no ${wanted.provider} credentials` }
  const held = row.heldUntil?.getTime() ?? 0
  if (row.status === 'paused') {
    return {
      kind: 'held',
      id: row.id,
      provider: wanted.provider,
      untilMs: deps.now() + PAUSED_LOOK_MS,
      reason: 'the provider is paused',
    }
  }
  if (held > deps.now()) {
    return {
      kind: 'held',
      id: row.id,
      provider: wanted.provider,
      untilMs: held,
      reason: row.heldReason ?? 'the provider is on hold',
    }
  }
  const version = `${row.tenant}/${row.id}/${row.updatedAt.getTime()}`
  try {
    const sender =
      deps.registry.get(wanted.provider, version) ??
      deps.registry.open(wanted.provider, version, unseal(row, deps.masterKey))
    return { kind: 'ready', id: row.id, tenant: row.tenant, provider: wanted.provider, sender }
  } catch (error) {
    return {
      kind: 'missing',
      reason: `the ${wanted.provider} credentials can't be used: ${messageOf(error)}`,
    }
  }
}

/** None when the credentials don't open: asking for the account then says why. */
function secretsOf(row: ProviderAccount, masterKey: Buffer): string[] {
  try {
    const { secrets } = unseal(row, masterKey) as { secrets?: unknown }
    return Array.isArray(secrets) ? secrets.filter((secret) => typeof secret === 'string') : []
  } catch {
    return []
  }
}

/** How soon a paused provider is looked at again. */
const PAUSED_LOOK_MS = 15_000

function unseal(row: ProviderAccount, masterKey: Buffer): unknown {
  return openCredentials(masterKey, row.credentials, { tenant: row.tenant, provider: row.kind })
}
