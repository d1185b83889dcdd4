import { setTimeout as sleep } from 'node:timers/promises'
import { api } from './api.js'
import type { Wire } from './connection.js'
import { ApiError, PublishError } from './errors.js'
import type { FullSubjects } from './full-subjects.js'
import {
  type OutgoingMessage,
  type PublishOutcome,
  transmitBatch,
  transmitOne,
  unsendable,
} from './transmit.js'

/** Below this many messages single publishes are faster: an atomic batch has a fixed cost of about 3.5 ms. */
const ATOMIC_FROM = 12
const ATOMIC_DISABLED = 10174
const INCOMPLETE = 10176
/** Up to this many subjects are parted without asking whether the stream itself is full. */
const FEW_SUBJECTS = 4
/** What the server adds to each message in its count of bytes, at most. */
const STORED_OVERHEAD_BYTES = 300
const RETRY_MIN_MS = 25
const RETRY_MAX_MS = 1_000

export interface GroupContext {
  wire: Wire
  stream: string
  full: FullSubjects
  /** For one acknowledgement. */
  timeoutMs: number
  /** When to stop repeating what is unknown or unavailable, in epoch milliseconds. */
  giveUpAt: number
  /** Streams that don't take atomic batches. */
  singlesOnly: Set<string>
}

/**
 * Publishes up to 1,000 messages of one stream, in order, and tells each message's outcome. A refusal is narrowed
 * down: "full" to the subjects that are full, anything else to the bad message; what is unknown or unavailable is
 * repeated until `giveUpAt`.
 */
export async function publishGroup(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
): Promise<PublishOutcome[]> {
  const outcomes = new Array<PublishOutcome>(messages.length)
  const good: number[] = []
  const now = Date.now()
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index] as OutgoingMessage
    const error = unsendable(context.wire, message) ?? context.full.refusal(message.subject, now)
    if (error === undefined) good.push(index)
    else outcomes[index] = { ok: false, error }
  }
  await publishIndexes(context, messages, good, outcomes)
  return outcomes
}

async function publishIndexes(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
  outcomes: PublishOutcome[],
): Promise<void> {
  if (indexes.length === 0) return
  if (indexes.length < ATOMIC_FROM || context.singlesOnly.has(context.stream)) {
    await publishSingly(context, messages, indexes, outcomes)
    return
  }
  const batch = indexes.map((index) => messages[index] as OutgoingMessage)
  const outcome = await repeatBatch(context, batch)
  if (outcome.ok) {
    const first = (outcome.sequence ?? 0) - indexes.length + 1
    indexes.forEach((index, place) => {
      outcomes[index] = { ok: true, sequence: first + place }
    })
    return
  }
  const { error } = outcome
  if (error.serverCode === ATOMIC_DISABLED) {
    context.singlesOnly.add(context.stream)
    await publishSingly(context, messages, indexes, outcomes)
  } else if (error.code === 'FULL') {
    await publishBySubject(context, messages, indexes, outcomes, error)
  } else if (error.transient && error.serverCode !== INCOMPLETE) {
    for (const index of indexes) outcomes[index] = outcome
  } else {
    await publishHalves(context, messages, indexes, outcomes)
  }
}

/** Repeats what is unknown or unavailable. A batch abandoned by a change of leader comes back as incomplete: repeated once, since a message that is refused on arrival looks the same. */
async function repeatBatch(
  context: GroupContext,
  batch: readonly OutgoingMessage[],
): Promise<PublishOutcome> {
  let incomplete = 0
  for (let attempt = 0; ; attempt++) {
    const outcome = await transmitBatch(context.wire, batch, context)
    if (outcome.ok || !worthRepeating(outcome.error)) return outcome
    if (outcome.error.serverCode === INCOMPLETE && ++incomplete > 1) return outcome
    const verdict = await beforeRepeating(context, outcome.error, attempt)
    if (verdict !== undefined) return { ok: false, error: verdict }
  }
}

async function publishSingly(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
  outcomes: PublishOutcome[],
): Promise<void> {
  let open = indexes
  for (let attempt = 0; open.length > 0; attempt++) {
    await transmitAll(context, messages, open, outcomes)
    const again = open.filter((index) => {
      const outcome = outcomes[index] as PublishOutcome
      if (!outcome.ok && outcome.error.code === 'FULL')
        context.full.note(messages[index]?.subject ?? '', outcome.error)
      return !outcome.ok && worthRepeating(outcome.error)
    })
    if (again.length === 0) return
    const first = outcomes[again[0] as number] as PublishOutcome & { ok: false }
    const verdict = await beforeRepeating(context, first.error, attempt)
    if (verdict !== undefined) {
      if (verdict.code === 'NO_STREAM')
        for (const index of again) outcomes[index] = { ok: false, error: verdict }
      return
    }
    open = again
  }
}

function transmitAll(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
  outcomes: PublishOutcome[],
): Promise<void> {
  return new Promise((resolve) => {
    let open = indexes.length
    const options = { timeoutMs: context.timeoutMs, stream: context.stream, withId: false }
    for (const index of indexes) {
      transmitOne(context.wire, messages[index] as OutgoingMessage, options, (outcome) => {
        outcomes[index] = outcome
        if (--open === 0) resolve()
      })
    }
  })
}

/** One full subject refuses only its own messages: subjects are parted until the full ones stand alone. */
async function publishBySubject(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
  outcomes: PublishOutcome[],
  error: PublishError,
): Promise<void> {
  const bySubject = new Map<string, number[]>()
  for (const index of indexes) {
    const subject = messages[index]?.subject ?? ''
    const group = bySubject.get(subject)
    if (group === undefined) bySubject.set(subject, [index])
    else group.push(index)
  }
  const groups = [...bySubject.values()]
  if (groups.length === 1) {
    context.full.note(messages[indexes[0] as number]?.subject ?? '', error)
    for (const index of indexes) outcomes[index] = { ok: false, error }
    return
  }
  if (groups.length > FEW_SUBJECTS && (await isWholeStreamFull(context, messages, indexes))) {
    for (const index of indexes) {
      context.full.note(messages[index]?.subject ?? '', error)
      outcomes[index] = { ok: false, error }
    }
    return
  }
  const middle = groups.length >> 1
  for (const half of [groups.slice(0, middle), groups.slice(middle)]) {
    await publishIndexes(context, messages, half.flat(), outcomes)
  }
}

interface StreamRoom {
  config: { max_msgs?: number; max_bytes?: number }
  state: { messages: number; bytes: number }
}

/** With the whole stream full no subject has room: parting hundreds of them would only cost the server. */
async function isWholeStreamFull(
  { wire, stream }: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
): Promise<boolean> {
  try {
    const { config, state } = await api<StreamRoom>(wire, `STREAM.INFO.${stream}`)
    const { max_msgs: maxMessages = -1, max_bytes: maxBytes = -1 } = config
    const smallest = Math.min(...indexes.map((index) => messages[index]?.body.length ?? 0))
    const noMessages = maxMessages > 0 && state.messages >= maxMessages
    return noMessages || (maxBytes > 0 && state.bytes + smallest + STORED_OVERHEAD_BYTES >= maxBytes)
  } catch (error) {
    if (error instanceof ApiError) return false
    throw error
  }
}

async function publishHalves(
  context: GroupContext,
  messages: readonly OutgoingMessage[],
  indexes: readonly number[],
  outcomes: PublishOutcome[],
): Promise<void> {
  const middle = indexes.length >> 1
  await publishIndexes(context, messages, indexes.slice(0, middle), outcomes)
  await publishIndexes(context, messages, indexes.slice(middle), outcomes)
}

function worthRepeating(error: PublishError): boolean {
  return error.code === 'TIMEOUT' || error.code === 'UNAVAILABLE'
}

/** Waits before the next attempt; returns the error to give up with when there is none. */
async function beforeRepeating(
  context: GroupContext,
  error: PublishError,
  attempt: number,
): Promise<PublishError | undefined> {
  const { wire, stream } = context
  if (error.serverCode === 503 && wire.connected && (await isMissing(wire, stream))) {
    return new PublishError('NO_STREAM', `There is no stream ${stream}. Run: carillon topology apply`, 10059)
  }
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempt)
  const waitMs = ceiling / 2 + Math.random() * (ceiling / 2)
  if (wire.closed || Date.now() + waitMs >= context.giveUpAt) return error
  await sleep(waitMs)
  return undefined
}

async function isMissing(wire: Wire, stream: string): Promise<boolean> {
  try {
    await api(wire, `STREAM.INFO.${stream}`)
    return false
  } catch (error) {
    return error instanceof ApiError && error.code === 'NOT_FOUND'
  }
}
