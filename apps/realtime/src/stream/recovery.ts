/** Where a client stands in a channel. */
export interface Position {
  epoch: string
  offset: number
}

/** Why a client has to fetch the state again. */
export type ResetReason =
  /** The stream was made anew or its server restarted: sequences may have been given out again. */
  | 'epoch'
  /** Frames after the client's position were evicted, or nobody can tell that they were not. */
  | 'evicted'
  /** The client claims a position that the stream has not reached. */
  | 'ahead'
  /** The client's cursor says nothing of this channel, or can't be read. */
  | 'unknown'

/** What the stream says of itself. */
export interface StreamHead {
  epoch: string
  firstSequence: number
  lastSequence: number
  /** Most messages kept per subject; 0 or less for no limit. */
  maxPerSubject: number
  /** Whether messages may have gone since the last head other than by a newer one of their own subject. */
  shrinks: boolean
}

/**
 * Whether a read after `offset` that gave `count` messages is complete. Evicted messages leave no trace in what
 * remains, so completeness is proven from both sides: the stream still begins at or before the next sequence, and
 * fewer messages came back than the subject may hold, hence at least one at or before the offset is still kept or
 * none was ever dropped. `head` must have been taken after the read.
 */
export function judgeRead(offset: number, count: number, head: StreamHead): ResetReason | undefined {
  if (offset > head.lastSequence) return 'ahead'
  if (offset < head.firstSequence - 1) return 'evicted'
  if (head.maxPerSubject > 0 && count >= head.maxPerSubject) return 'evicted'
  return undefined
}
