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

/** A provider account that can be asked. */
export interface ReadyAccount {
  kind: 'ready'
  id: string
  tenant: string
  provider: Provider
  /** The version of its credentials: what goes wrong counts against these alone. */
  updatedAt: Date
  settings: Record<string, unknown>
  /** What its quota is counted by: accounts of one Firebase project share it. */
  quota: string
  sender: Sender
}

/** A provider account that is ready to send, or why it is not. */
export type OpenAccount =
  | ReadyAccount
  | { kind: 'held'; id: string; provider: Provider; untilMs: number; reason: string }
  | { kind: 'broken'; id: string; provider: Provider; reason: string }

/** The accounts of a batch's tenants, read once per batch. */
export interface Accounts {
  /** In the order in which they are to be used; none when the tenant has no credentials for it. */
  of(tenant: string, address: Address['kind'], app: string | undefined): readonly OpenAccount[]
  /** Secrets that sign the tenant's webhooks, newest first. */
  webhookSecrets(tenant: string): string[]
}

export interface AccountDeps {
  database: Database
  registry: Registry
  masterKey: Buffer
  /** The version of each sender that is open, by account and connections. */
  versions: Map<string, { name: string; updatedMs: number }>
  now: () => number
}

/**
 * Whose connections: the lane `high` has its own, so that a one-time code doesn't stand in line behind the streams of a
 * broadcast.
 */
export type Connections = 'urgent' | 'shared'

/** New credentials are another version of an account: its sender opens when it is first met, and the old one's closes. */
export async function readAccounts(
  tenants: readonly string[],
  wanted: { channel: DeliveryChannel; connections: Connections },
  deps: AccountDeps,
): Promise<Accounts> {
  const rows = await loadProviders(deps.database, [...new Set(tenants)], wanted.channel)
  const opened = new Map<string, OpenAccount[]>()
  return {
    of(tenant, address, app) {
      const provider = providerOf(address)
      const name = `${tenant} ${provider} ${app ?? ''}`
      const known = opened.get(name)
      if (known !== undefined) return known
      const candidates = rows.filter((row) => row.tenant === tenant && row.kind === provider)
      // credentials of the app itself, else those for all of the tenant's apps
      const own = candidates.filter((row) => row.app === app)
      const used = own.length > 0 ? own : candidates.filter((row) => row.app === 'default')
      const accounts = used.map((row) =>
        openAccount(row, { provider, connections: wanted.connections }, deps),
      )
      opened.set(name, accounts)
      return accounts
    },
    webhookSecrets(tenant) {
      const row = rows.find((candidate) => candidate.tenant === tenant && candidate.kind === 'webhook')
      if (row === undefined) return []
      return secretsOf(row, deps.masterKey)
    },
  }
}

function openAccount(
  row: ProviderAccount,
  wanted: { provider: Provider; connections: Connections },
  deps: AccountDeps,
): OpenAccount {
  const { id } = row
  const { provider, connections } = wanted
  if (row.status === 'paused') {
    return {
      kind: 'held',
      id,
      provider,
      untilMs: deps.now() + PAUSED_LOOK_MS,
      reason: 'the provider is paused',
    }
  }
  const held = row.heldUntil?.getTime() ?? 0
  if (held > deps.now()) {
    return { kind: 'held', id, provider, untilMs: held, reason: row.heldReason ?? 'the provider is on hold' }
  }
  const version = `${row.tenant}/${id}/${row.updatedAt.getTime()}/${connections}`
  try {
    const known = deps.registry.get(provider, version)
    const sender = known ?? deps.registry.open(provider, version, unseal(row, deps.masterKey))
    if (known === undefined) closeOlder(row, { ...wanted, version }, deps)
    const { tenant, updatedAt, settings } = row
    return { kind: 'ready', id, tenant, provider, updatedAt, settings, quota: sender.quota ?? id, sender }
  } catch (error) {
    return {
      kind: 'broken',
      id,
      provider,
      reason: `the ${provider} credentials can't be used: ${messageOf(error)}`,
    }
  }
}

/** What it has in flight ends first. A batch that read the old row a moment ago is told to try again. */
function closeOlder(
  row: ProviderAccount,
  { provider, connections, version }: { provider: Provider; connections: Connections; version: string },
  { registry, versions }: AccountDeps,
): void {
  const updatedMs = row.updatedAt.getTime()
  const name = `${row.id} ${connections}`
  const older = versions.get(name)
  if (older !== undefined && older.updatedMs > updatedMs) return
  versions.set(name, { name: version, updatedMs })
  if (older !== undefined) void registry.close(provider, older.name)
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
