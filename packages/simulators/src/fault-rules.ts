import type { FaultMatch } from './fault-match.js'
import type { FaultReply, FaultRule } from './faults.js'

/** A rule given as data that says nothing sensible. */
export class FaultRuleInvalid extends Error {
  readonly code = 'FAULT_RULE_INVALID'
  /** The part that is wrong, like `match.percent`. */
  readonly field: string

  constructor(field: string, problem: string) {
    super(`${field} ${problem}`)
    this.name = 'FaultRuleInvalid'
    this.field = field
  }
}

/** A rule as data, as the control server takes and shows it. */
export interface FaultRuleData extends FaultRule {
  match?: FaultMatch
}

const WORDS: readonly unknown[] = ['hang', 'reset', 'fin', 'refuse', 'goaway']
const MAX_MS = 600_000

/**
 * Reads a rule from JSON: `{ match: { target | prefix, percent, seed, of }, after, times, reply }`.
 * @throws FaultRuleInvalid
 */
export function parseFaultRule(value: unknown): FaultRuleData {
  const rule = fields(value, 'rule', ['id', 'match', 'after', 'times', 'reply'])
  return {
    ...(rule.id === undefined ? {} : { id: text(rule.id, 'id') }),
    ...(rule.match === undefined ? {} : { match: parseMatch(rule.match) }),
    ...(rule.after === undefined ? {} : { after: whole(rule.after, 'after') }),
    ...(rule.times === undefined ? {} : { times: whole(rule.times, 'times') }),
    reply: parseFaultReply(rule.reply),
  }
}

/** @throws FaultRuleInvalid */
export function parseFaultReply(value: unknown): FaultReply {
  if (WORDS.includes(value)) return value as FaultReply
  if (typeof value !== 'object')
    throw new FaultRuleInvalid('reply', `must be an object or ${WORDS.join(', ')}`)
  const reply = fields(value, 'reply', ['status', 'headers', 'body', 'latencyMs', 'dripMs'])
  if (reply.latencyMs !== undefined) return { latencyMs: milliseconds(reply.latencyMs, 'reply.latencyMs') }
  if (reply.dripMs !== undefined) return { dripMs: milliseconds(reply.dripMs, 'reply.dripMs') }
  const status = whole(reply.status, 'reply.status')
  if (status < 100 || status > 599) throw new FaultRuleInvalid('reply.status', 'must be from 100 to 599')
  return {
    status,
    ...(reply.headers === undefined ? {} : { headers: parseHeaders(reply.headers) }),
    ...(reply.body === undefined ? {} : { body: reply.body }),
  }
}

function parseMatch(value: unknown): FaultMatch {
  const match = fields(value, 'match', ['target', 'prefix', 'percent', 'seed', 'of'])
  const { percent, of } = match
  if (percent !== undefined && !(typeof percent === 'number' && percent >= 0 && percent <= 100)) {
    throw new FaultRuleInvalid('match.percent', 'must be from 0 to 100')
  }
  if (of !== undefined && of !== 'targets' && of !== 'requests') {
    throw new FaultRuleInvalid('match.of', 'must be targets or requests')
  }
  return {
    ...(match.target === undefined ? {} : { target: text(match.target, 'match.target') }),
    ...(match.prefix === undefined ? {} : { prefix: text(match.prefix, 'match.prefix') }),
    ...(percent === undefined ? {} : { percent }),
    ...(match.seed === undefined ? {} : { seed: text(match.seed, 'match.seed') }),
    ...(of === undefined ? {} : { of }),
  }
}

function parseHeaders(value: unknown): Record<string, string> {
  const given = Object.entries(fields(value, 'reply.headers'))
  return Object.fromEntries(given.map(([name, one]) => [name, text(one, `reply.headers.${name}`)]))
}

function fields(value: unknown, field: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FaultRuleInvalid(field, 'must be an object')
  }
  const strange = known && Object.keys(value).find((key) => !known.includes(key))
  if (strange !== undefined) throw new FaultRuleInvalid(`${field}.${strange}`, 'is not known')
  return value as Record<string, unknown>
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new FaultRuleInvalid(field, 'must be text')
  return value
}

function whole(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw new FaultRuleInvalid(field, 'must be a whole number, 0 or more')
}

function milliseconds(value: unknown, field: string): number {
  const ms = whole(value, field)
  if (ms > MAX_MS) throw new FaultRuleInvalid(field, `must be at most ${MAX_MS}`)
  return ms
}
