/** What a provider does instead of its usual answer. */
export type FaultReply =
  | { status: number; headers?: Record<string, string>; body?: unknown }
  /** Never answers. */
  | 'hang'
  /** Cuts the connection without an answer. */
  | 'reset'
  /** Refuses the stream unprocessed (HTTP/2). */
  | 'refuse'
  /** Says it is going away and still answers (HTTP/2). */
  | 'goaway'
  /** Answers as usual, later. */
  | { latencyMs: number }

export interface FaultRule {
  /** The address (token, subscription id, mail address, path). Absent: every one. */
  match?: (target: string) => boolean
  /** How often it applies; absent: until removed. */
  times?: number
  reply: FaultReply
}

/** The rules of one simulator, tried in order; the first that matches applies. */
export interface Faults {
  readonly rules: FaultRule[]
  /** The reply of the first matching rule, counting it; undefined for the usual answer. Waits out a latency. */
  take(target: string): Promise<Exclude<FaultReply, { latencyMs: number }> | undefined>
  /** Answers `outage` to everything until `heal()`. */
  break(): void
  heal(): void
  readonly broken: boolean
}

export function createFaults(outage: FaultReply): Faults {
  const rules: FaultRule[] = []
  let broken = false
  return {
    rules,
    get broken() {
      return broken
    },
    async take(target) {
      const rule = rules.find((one) => (one.times ?? 1) > 0 && (one.match?.(target) ?? true))
      if (rule?.times !== undefined) rule.times--
      const reply = rule?.reply ?? (broken ? outage : undefined)
      if (typeof reply === 'object' && 'latencyMs' in reply) {
        await new Promise((resolve) => setTimeout(resolve, reply.latencyMs))
        return undefined
      }
      return reply
    },
    break() {
      broken = true
    },
    heal() {
      broken = false
      rules.length = 0
    },
  }
}
