import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultMatch, matches } from './fault-match.js'

/** What a provider does instead of its usual answer. */
export type FaultReply =
  | StatusReply
  /** Never answers. */
  | 'hang'
  /** Cuts the connection without an answer. */
  | 'reset'
  /** Ends the connection (FIN, no GOAWAY) without an answer to anything in flight on it. */
  | 'fin'
  /** Refuses the stream unprocessed (HTTP/2). */
  | 'refuse'
  /** Says it is going away and still answers (HTTP/2). */
  | 'goaway'
  /** Answers as usual, later. */
  | { latencyMs: number }
  /** Answers as usual, a byte at a time, each after `dripMs`. */
  | { dripMs: number }

export interface StatusReply {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

/** What is left to do once a latency was waited out. */
export type TakenFault = Exclude<FaultReply, { latencyMs: number }>

export interface FaultRule {
  /** Names it in lists. */
  id?: string
  /** The address (token, subscription id, mail address, path). Absent: every one. */
  match?: ((target: string) => boolean) | FaultMatch
  /** How many matching requests are still let through first. Default 0. */
  after?: number
  /** How often it applies; absent: until removed. */
  times?: number
  reply: FaultReply
}

/** The rules of one simulator, tried in order; the first that matches applies. */
export interface Faults {
  readonly rules: FaultRule[]
  /** Milliseconds that every answer takes longer, faulty ones too. Default 0. */
  latencyMs: number
  /** The reply of the first matching rule, counting it; undefined for the usual answer. Waits out a latency. */
  take(target: string): Promise<TakenFault | undefined>
  /** Answers `outage`, or what is given, to everything until `heal()`. */
  break(outage?: FaultReply): void
  /** Ends the outage and forgets the rules. */
  heal(): void
  readonly broken: boolean
}

export function createFaults(outage: FaultReply): Faults {
  const rules: FaultRule[] = []
  const requests = new WeakMap<FaultRule, Map<string, number>>()
  let broken: FaultReply | undefined

  const next = (rule: FaultRule, target: string): number => {
    const counts = requests.get(rule) ?? new Map<string, number>()
    requests.set(rule, counts)
    const nth = (counts.get(target) ?? 0) + 1
    counts.set(target, nth)
    return nth
  }
  const applies = (rule: FaultRule, target: string): boolean => {
    if ((rule.times ?? 1) <= 0) return false
    const { match } = rule
    const fits =
      match === undefined ||
      (typeof match === 'function' ? match(target) : matches(match, target, () => next(rule, target)))
    if (!fits) return false
    if (rule.after === undefined || rule.after <= 0) return true
    rule.after--
    return false
  }
  return {
    rules,
    latencyMs: 0,
    get broken() {
      return broken !== undefined
    },
    async take(target) {
      if (rules.length === 0 && broken === undefined) return undefined
      const rule = rules.find((one) => applies(one, target))
      if (rule?.times !== undefined) rule.times--
      const reply = rule?.reply ?? broken
      if (typeof reply === 'object' && 'latencyMs' in reply) {
        await sleep(reply.latencyMs)
        return undefined
      }
      return reply
    },
    break(other = outage) {
      broken = other
    },
    heal() {
      broken = undefined
      rules.length = 0
    },
  }
}
