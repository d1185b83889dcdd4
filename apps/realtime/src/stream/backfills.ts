import type { EncodedFrame } from './encoded-frame.js'
import type { LiveSource, StoredBody } from './live-source.js'
import { judgeRead, type ResetReason } from './recovery.js'

/** Frames after an offset, complete up to `covered`, or the reason why nobody can give them. */
export type Backfill = { frames: EncodedFrame[]; covered: number } | { lost: ResetReason }

/** Most messages that one read gives. */
export const MAX_READ = 1_000

/** What was missed of one channel, read once for all who can use it. */
export class Backfills {
  readonly #read: (offset: number) => Promise<Backfill>
  #underWay: { from: number; done: Promise<Backfill> } | undefined
  /** Nobody who stands here or further back can be given all that came after. */
  #evictedUpTo = -1

  constructor(read: (offset: number) => Promise<Backfill>) {
    this.#read = read
  }

  /** One read at a time. What is lost for who stands further back need not be lost here. */
  async after(offset: number): Promise<Backfill> {
    while (this.#underWay !== undefined) {
      const { from, done } = this.#underWay
      const result = await done
      if (from === offset || (from < offset && !('lost' in result))) return result
    }
    if (offset <= this.#evictedUpTo) return { lost: 'evicted' }
    const done = this.#read(offset).finally(() => {
      this.#underWay = undefined
    })
    this.#underWay = { from: offset, done }
    const result = await done
    if ('lost' in result && result.lost === 'evicted') {
      this.#evictedUpTo = Math.max(this.#evictedUpTo, offset)
    }
    return result
  }

  /** The channel has begun again. */
  forget(): void {
    this.#evictedUpTo = -1
  }
}

/** Everything that a stored subject has after an offset, or why nobody can tell that it is everything. */
export async function readAfter(
  source: Pick<LiveSource, 'head' | 'read'>,
  wanted: { subject: string; offset: number; epoch: string },
): Promise<{ messages: StoredBody[] } | { lost: ResetReason }> {
  const { subject, offset, epoch } = wanted
  const before = await source.head()
  if (before.epoch !== epoch) return { lost: 'epoch' }
  const limit = before.maxPerSubject > 0 ? Math.min(before.maxPerSubject, MAX_READ) : MAX_READ
  const messages = await source.read(subject, offset + 1, limit)
  const after = await source.head()
  if (after.epoch !== epoch) return { lost: 'epoch' }
  const lost = judgeRead(offset, messages.length, { ...after, maxPerSubject: limit })
  return lost === undefined ? { messages } : { lost }
}
