/**
 * What a handler decides about a message. `done` it took effect. `retry` trouble of ours that passes: it comes
 * again after the time, keeping one of the consumer's places. `dead` it can never be processed.
 */
export type Outcome = { kind: 'done' } | { kind: 'retry'; afterMs: number } | { kind: 'dead'; reason: string }

export const DONE: Outcome = { kind: 'done' }

/** Comes again after `afterMs`, spread by up to a quarter so that a crowd does not come back at once. */
export function retryAfter(afterMs: number): Outcome {
  return { kind: 'retry', afterMs }
}

/** Goes to the dead letters with this reason, a sentence for an operator. */
export function dead(reason: string): Outcome {
  return { kind: 'dead', reason }
}
