import { PublishError } from './errors.js'

const HOLD_MS = 100
const MAX_SUBJECTS = 10_000

/**
 * Subjects that were full a moment ago. Their messages are refused here for 100 ms instead of costing the server
 * a batch each, so that a full subject takes no time from the others.
 */
export class FullSubjects {
  readonly #until = new Map<string, { at: number; message: string }>()

  /** The answer for a message on `subject` now, or undefined when it may be tried. */
  refusal(subject: string, now: number): PublishError | undefined {
    if (this.#until.size === 0) return undefined
    const held = this.#until.get(subject)
    if (held === undefined) return undefined
    if (held.at > now) return new PublishError('FULL', held.message, 10077)
    this.#until.delete(subject)
    return undefined
  }

  note(subject: string, error: PublishError): void {
    if (this.#until.size >= MAX_SUBJECTS) this.#until.clear()
    this.#until.set(subject, { at: Date.now() + HOLD_MS, message: error.message })
  }
}
