import {
  type AuthoriseAnswer,
  type AuthoriseQuestion,
  authoriseSubject,
  type ChannelPermission,
  type ChannelRule,
  parseChannelName,
} from '@carillon/contracts'
import { type CompiledRule, grantsOf, permissionsOf, type RuleBook } from '@carillon/rooms'
import { AccessError, type Grant } from './grant.js'
import type { ChannelToken, Identity } from './identity.js'
import { createSilences } from './silences.js'

export interface AccessDeps {
  rules: RuleBook
  verifyChannel: (token: string) => Promise<ChannelToken>
  /** Asks the services of a namespace. @throws when none answers */
  ask: (subject: string, question: AuthoriseQuestion) => Promise<unknown>
  now: () => number
}

/** Who may do what in which channel: from the token, from a token for the channel, or from a service that knows. */
export interface ChannelAccess {
  /**
   * Lets a user into a channel.
   * @throws AccessError `CHANNEL_UNKNOWN`, `CHANNEL_DENIED`, or `UNAVAILABLE`: ask again
   * @throws TokenError the channel's own token is no good
   */
  enter(identity: Identity, name: string, token?: string): Promise<Grant>
  /**
   * What a token for the channel lets do there, be it only publishing.
   * @throws AccessError, TokenError
   */
  granted(identity: Identity, name: string, token: string): Promise<Grant>
  /**
   * Whether a user may publish this; `grant` is what they came in with, if they are in.
   * @throws AccessError also `CHANNEL_DATA_INVALID`
   */
  mayPublish(identity: Identity, name: string, data: unknown, grant?: Grant): Promise<Grant>
}

const DEFAULT_ANSWER_SECONDS = 300
const MAX_ANSWER_SECONDS = 86_400
const NONE: ReadonlySet<ChannelPermission> = new Set()
/** What a service says of somebody goes with everything they do: so much JSON at most, else it is left out. */
const MAX_INFO_LENGTH = 1_024

type EntryRule = Pick<ChannelRule, 'authorise' | 'allow' | 'joins'>
const UNREADABLE: EntryRule = { authorise: false, allow: [], joins: false }

export function createChannelAccess(deps: AccessDeps): ChannelAccess {
  const granted = (identity: Identity, name: string): ReadonlySet<ChannelPermission> =>
    identity.claims === undefined ? NONE : grantsOf(identity.claims)(name)

  const ruleOf = async (tenant: string, namespace: string): Promise<CompiledRule> => {
    try {
      return await deps.rules.ruleOf(tenant, namespace)
    } catch (cause) {
      throw new AccessError('UNAVAILABLE', "The channels' rules can't be read.", { cause })
    }
  }

  /** Whom a token lets in needs no rule, so that a gateway that is away keeps nobody out: they get what it says. */
  const ruleForEntry = async (tenant: string, namespace: string, letIn: boolean): Promise<EntryRule> => {
    try {
      return (await ruleOf(tenant, namespace)).rule
    } catch (error) {
      if (letIn) return UNREADABLE
      throw error
    }
  }

  const silent = createSilences(deps.now)
  const asked = async (
    identity: Identity,
    name: ParsedName,
    question: AuthoriseQuestion,
  ): Promise<AuthoriseAnswer> => {
    const subject = authoriseSubject(identity.tenant, name.namespace)
    const asker = `${subject} ${identity.userId}`
    if (silent.has(asker)) throw unanswered(name)
    try {
      return readAnswer(await deps.ask(subject, question))
    } catch (cause) {
      if ((cause as { code?: unknown }).code === 'TIMEOUT') silent.add(asker)
      throw unanswered(name, cause)
    }
  }

  const byToken = async (identity: Identity, name: ParsedName, token: string): Promise<Partial<Grant>> => {
    const read = await deps.verifyChannel(token)
    const fits =
      read.tenant === identity.tenant && read.externalId === identity.externalId && read.channel === name.name
    if (!fits) throw denied(name)
    return {
      permissions: read.permissions,
      info: read.info,
      endsAtMs: read.expiresAtMs,
    }
  }

  const byService = async (identity: Identity, name: ParsedName): Promise<Partial<Grant>> => {
    const question = { channel: name.name, user: identity.externalId, action: 'subscribe' } as const
    const answer = await asked(identity, name, question)
    if (!answer.allow) throw denied(name)
    const seconds = Math.min(answer.expiresInSeconds ?? DEFAULT_ANSWER_SECONDS, MAX_ANSWER_SECONDS)
    return {
      permissions: new Set(['subscribe', ...permissionsOf(answer.permissions ?? [])]),
      info: answer.info,
      endsAtMs: deps.now() + seconds * 1_000,
    }
  }

  const tokenGrant = async (identity: Identity, channel: string, token: string): Promise<Grant> => {
    const name = parsed(channel)
    const { permissions = NONE, info, endsAtMs } = await byToken(identity, name, token)
    return { ...name, permissions, joins: false, info, endsAtMs }
  }

  return {
    granted: tokenGrant,
    async enter(identity, channel, token) {
      const name = parsed(channel)
      const claimed = granted(identity, channel)
      const letIn = token !== undefined || claimed.has('subscribe')
      const rule = await ruleForEntry(identity.tenant, name.namespace, letIn)
      let found: Partial<Grant> = { permissions: claimed }
      if (token !== undefined) found = await byToken(identity, name, token)
      else if (!letIn && rule.authorise) found = await byService(identity, name)
      if (found.permissions?.has('subscribe') !== true) throw denied(name)
      return {
        ...name,
        permissions: new Set([...found.permissions, ...rule.allow]),
        joins: rule.joins,
        info: found.info,
        endsAtMs: found.endsAtMs,
      }
    },
    async mayPublish(identity, channel, data, grant) {
      const name = parsed(channel)
      const compiled = await ruleOf(identity.tenant, name.namespace)
      const { rule } = compiled
      const allowed = grant?.permissions.has('publish') === true || granted(identity, channel).has('publish')
      if (!allowed && !rule.authorise) throw denied(name)
      checkData(compiled, data)
      if (!allowed) {
        const question = { channel, user: identity.externalId, action: 'publish', data } as const
        if (!(await asked(identity, name, question)).allow) throw denied(name)
      }
      return grant ?? { ...name, permissions: NONE, joins: false, info: undefined, endsAtMs: undefined }
    },
  }
}

interface ParsedName extends NonNullable<ReturnType<typeof parseChannelName>> {
  name: string
}

function parsed(channel: string): ParsedName {
  const name = parseChannelName(channel)
  if (name === undefined) throw new AccessError('CHANNEL_UNKNOWN', 'There is no such channel.')
  return { ...name, name: channel }
}

function unanswered(name: ParsedName, cause?: unknown): AccessError {
  return new AccessError('UNAVAILABLE', `Nobody could say who may be in ${name.name}.`, { cause })
}

function denied(name: ParsedName): AccessError {
  return new AccessError('CHANNEL_DENIED', `${name.name} is not open to you.`)
}

function checkData(rule: CompiledRule, data: unknown): void {
  const problem = rule.validate(data)
  if (problem !== undefined) {
    const path = problem.path === '' ? 'The data' : problem.path
    throw new AccessError('CHANNEL_DATA_INVALID', `${path} ${problem.message}.`, { field: problem.path })
  }
}

/** A service is another program: what does not look like an answer allows nothing. */
function readAnswer(value: unknown): AuthoriseAnswer {
  const { allow, permissions, expiresInSeconds, info } = (value ?? {}) as Record<string, unknown>
  const seconds = typeof expiresInSeconds === 'number' && expiresInSeconds > 0 ? expiresInSeconds : undefined
  return {
    allow: allow === true,
    permissions: [...permissionsOf(permissions ?? [])],
    ...(seconds === undefined ? {} : { expiresInSeconds: seconds }),
    ...(isShort(info) ? { info } : {}),
  }
}

function isShort(info: unknown): boolean {
  return info !== undefined && JSON.stringify(info).length <= MAX_INFO_LENGTH
}
