import { CHANNEL_PERMISSIONS, type ChannelRule, isToken } from '@carillon/contracts'
import { RoomError } from './errors.js'
import type { CompiledRule, RuleCompiler } from './rule-compiler.js'

/** A change of rules is known everywhere after this long at the latest, while rules can be read. */
const KEPT_MS = 10_000
/** Rules that can't be read again stay in force for so long. */
const STALE_MS = 300_000
/** How soon reading is tried again after a failure. */
const AGAIN_MS = 1_000
const MAX_TENANTS = 10_000

export interface RuleBookDeps {
  compiler: RuleCompiler
  /** All rules of a tenant. */
  read: (tenant: string) => Promise<readonly ChannelRule[]>
  now: () => number
}

/** The rules in force, each compiled at most once for each change. */
export interface RuleBook {
  /** The rule of a namespace, by default the one for namespaces without. Rejects with what `read` rejected with. */
  ruleOf(tenant: string, namespace: string): Promise<CompiledRule>
  /** The next question is asked anew: for whoever has just changed a rule. */
  forget(tenant: string): void
}

interface Page {
  readAt: number
  until: number
  rules: Map<string, Entry>
}

/** Compiled when its namespace is first asked about: a tenant has many that nobody speaks in. */
interface Entry {
  text: string
  given: ChannelRule
  compiled: CompiledRule | undefined
}

/** Rules of many tenants, each kept for 10 s; questions asked meanwhile share one reading. */
export function createRuleBook(deps: RuleBookDeps): RuleBook {
  const { compiler, read, now } = deps
  const pages = new Map<string, Page>()
  const underWay = new Map<string, Promise<Page>>()

  /** `isNewest`: no rule was changed here since it was asked for. */
  const readPage = async (tenant: string, isNewest: () => boolean): Promise<Page> => {
    const before = pages.get(tenant)
    const readAt = now()
    try {
      const found = await read(tenant)
      const page: Page = { readAt, until: readAt + KEPT_MS, rules: new Map() }
      for (const given of found) {
        const text = JSON.stringify(given)
        const known = before?.rules.get(given.namespace)
        page.rules.set(given.namespace, known?.text === text ? known : { text, given, compiled: undefined })
      }
      if (!isNewest()) return page
      pages.delete(tenant)
      if (pages.size >= MAX_TENANTS) pages.delete(pages.keys().next().value as string)
      pages.set(tenant, page)
      return page
    } catch (error) {
      if (before === undefined || now() - before.readAt > STALE_MS) throw error
      before.until = now() + AGAIN_MS
      return before
    }
  }

  const pageOf = (tenant: string): Promise<Page> => {
    const running = underWay.get(tenant)
    if (running !== undefined) return running
    const isNewest = (): boolean => underWay.get(tenant) === reading
    const reading: Promise<Page> = readPage(tenant, isNewest).finally(() => {
      if (isNewest()) underWay.delete(tenant)
    })
    underWay.set(tenant, reading)
    return reading
  }

  return {
    async ruleOf(tenant, namespace) {
      const kept = pages.get(tenant)
      const page = kept !== undefined && kept.until > now() ? kept : await pageOf(tenant)
      const entry = page.rules.get(namespace)
      if (entry === undefined) return compiler.byDefault(namespace)
      entry.compiled ??= compiler.compileSafely(entry.given)
      return entry.compiled
    },
    forget(tenant) {
      underWay.delete(tenant)
      const page = pages.get(tenant)
      if (page !== undefined) page.until = 0
    },
  }
}

/**
 * Reads the answer to `ask.channel-rules.<tenant>`: `{ rules: ChannelRule[] }`.
 * @throws RoomError `RULES_UNREADABLE`
 */
export function readChannelRules(answer: unknown): ChannelRule[] {
  const rules = isObject(answer) ? answer.rules : undefined
  if (!Array.isArray(rules)) throw unreadable()
  return rules.map(readRule)
}

function readRule(value: unknown): ChannelRule {
  if (!isObject(value)) throw unreadable()
  const { namespace, authorise, allow, joins, schema } = value
  if (typeof namespace !== 'string' || !isToken(namespace) || !Array.isArray(allow)) throw unreadable()
  if (typeof authorise !== 'boolean' || typeof joins !== 'boolean') throw unreadable()
  if (schema !== null && !isObject(schema)) throw unreadable()
  const held = CHANNEL_PERMISSIONS.filter((permission) => allow.includes(permission))
  return { namespace, authorise, allow: held, joins, schema }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(): RoomError {
  return new RoomError('RULES_UNREADABLE', 'The rules of channels could not be read.')
}
