import { setTimeout as pause } from 'node:timers/promises'
import {
  askSubject,
  createdFrame,
  type Frame,
  type InboxItem,
  type InboxReply,
  liveSubject,
  marksFrame,
  returnedFrame,
  userId,
} from '@carillon/contracts'
import { ask, createWindowPublisher, streamState, subscribeCore } from '@carillon/jetstream'
import { inboxPage, markEngaged, openDatabase, returnSnoozed } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { type Json, list, text, useEdge } from './support.js'

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)
const DEVICES = 6
const OPERATIONS = 60
const NOTIFICATIONS = 30

/** What a client does with pages and frames: merge by id, the higher revision wins, what is removed stays away. */
class Client {
  readonly items = new Map<string, InboxItem>()
  readonly early = new Map<string, Partial<InboxItem>>()
  readonly removed = new Set<string>()

  constructor(page: readonly InboxItem[]) {
    for (const item of page) this.items.set(item.id, item)
  }

  apply(frame: Frame): void {
    if (frame.type === 'delivery.updated' || this.removed.has(frame.id)) return
    if (frame.type === 'notification.removed') {
      this.removed.add(frame.id)
      this.items.delete(frame.id)
      return
    }
    const known = this.items.get(frame.id)
    if (frame.type === 'notification.created') {
      if (known === undefined) this.add(frame.notification)
      return
    }
    const { changes } = frame
    const whole = changes.title === undefined ? undefined : (changes as InboxItem)
    // the whole of what isn't held counts, though newer marks were heard already
    if (known === undefined && whole !== undefined) {
      this.add(whole)
      return
    }
    const newest = (known ?? this.early.get(frame.id))?.revision ?? -1
    if (newest >= (changes.revision ?? 0)) return
    if (known === undefined) this.early.set(frame.id, changes)
    else this.items.set(frame.id, { ...known, ...changes })
  }

  /** What the inbox shows, newest first. */
  shown(): InboxItem[] {
    const kept = [...this.items.values()].filter(
      (item) => item.archivedAt === null && item.snoozedUntil === null,
    )
    return kept.sort((a, b) => (a.id < b.id ? 1 : -1))
  }

  private add(item: InboxItem): void {
    const early = this.early.get(item.id)
    this.items.set(item.id, (early?.revision ?? -1) > item.revision ? { ...item, ...early } : item)
  }
}

/** Which of two states of a notification is the newer: what was removed has no other after it. */
function revisionOf(frame: Frame): number {
  if (frame.type === 'notification.removed') return Number.POSITIVE_INFINITY
  return frame.type === 'notification.updated' ? (frame.changes.revision ?? 0) : 0
}

/**
 * The one gap there is (docs/decisions/0020): what was put away again before its return was told, on a page that was
 * read in between. The page lacks it rightly; then the late frame of its return brings it.
 */
function gapOf(page: readonly InboxItem[], before: readonly Frame[], missed: readonly Frame[]): Set<string> {
  const newest = (frames: readonly Frame[], id: string) =>
    Math.max(-1, ...frames.filter((frame) => frame.id === id).map(revisionOf))
  const late = missed.flatMap((frame) =>
    frame.type === 'notification.updated' &&
    frame.changes.title !== undefined &&
    !page.some(({ id }) => id === frame.id) &&
    newest(before, frame.id) > newest(missed, frame.id)
      ? [frame.id]
      : [],
  )
  return new Set(late)
}

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const edge = await useEdge(t, { CARILLON_LIMIT_USER: '1000000' })
const worker = openDatabase({ url: edge.workerUrl, max: 6 })
const frames = createWindowPublisher(edge.connection, { stream: 'LIVE' })
t.teardown(async () => {
  await frames[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
})
const admin = await edge.key('acme', 'admin')
await edge.call(admin, 'PUT /v1/users/ada', {})
const token = text((await edge.call(admin, 'POST /v1/users/ada/token', {})).body.token)
const ada = { id: userId(sha256, 'acme', 'ada'), externalId: 'ada' }
const whose = { tenant: 'acme', userId: ada.id }

/** Everything that was told, in the stream's order. The stream itself keeps the last 200. */
const heard: { sequence: number; frame: Frame }[] = []
const hearing = subscribeCore(edge.connection, liveSubject('acme', 'user', ada.id), (message) => {
  heard.push({ sequence: message.sequence ?? 0, frame: JSON.parse(message.text()) as Frame })
})
t.teardown(() => hearing.stop())

const read = async (filter: string): Promise<Json> =>
  (await edge.call(token, `GET /v1/inbox?limit=200&filter=${filter}`)).body
const itemsOf = (page: Json): InboxItem[] => list(page.notifications) as unknown as InboxItem[]
/** Between a change and its frames a process may be slow, and others overtake it. */
const publishLate = async (ms: number, ...messages: Parameters<typeof frames.publishAll>[0]) => {
  await pause(ms)
  await publish(...messages)
}
const publish = async (...messages: Parameters<typeof frames.publishAll>[0]) => {
  for (const outcome of await frames.publishAll(messages)) if (!outcome.ok) throw outcome.error
}

t.test('many devices at once: counts are exact, and every client ends as the database', async (t) => {
  t.comment(`SEED=${SEED}`)
  const random = randomOf(SEED)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  /** Those that may be marked, and those that everybody was told of, which may be put away too. */
  const stored: string[] = []
  const told: string[] = []
  const pages: { from: number; page: InboxItem[] }[] = []

  /** As the dispatcher does: the row first, its frame some time later. */
  const appear = async (minute: number): Promise<void> => {
    const id = await edge.notify('acme', 'ada', minute)
    const rows = await worker.inTransaction((tx) => inboxPage(tx, { ...whose, limit: 200, filter: 'all' }))
    const born = rows.find((row) => row.id === id)
    stored.push(id)
    if (born !== undefined) await publishLate(random() * 30, createdFrame(whose, born))
    told.push(id)
  }

  const some = (from: readonly string[]) => [...new Set([pick(from), pick(from), pick(from)])]
  const askInbox = async (method: string, params: unknown): Promise<void> => {
    const question = { method, params, user: ada }
    const options = { timeoutMs: 30_000 }
    const reply = (await ask(edge.connection, askSubject('inbox', 'acme'), question, options)) as InboxReply
    // a moment soon may be over before the question is read
    if (!reply.ok && reply.code !== 'SNOOZE_INVALID')
      throw new Error(`${method}: ${reply.code} ${reply.detail}`)
  }
  const marks = async (): Promise<void> => {
    const mark = pick(['seen', 'read', 'read'])
    const set = random() < 0.6
    if (random() < 0.5) await askInbox(`inbox.${mark}`, { ids: some(stored), set })
    else await edge.call(token, `${set ? 'PUT' : 'DELETE'} /v1/inbox/${pick(stored)}/${mark}`)
  }
  const archives = () => askInbox('inbox.archived', { ids: some(told), set: random() < 0.5 })
  const snoozes = async (): Promise<void> => {
    const until = pick([400, 700, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString()))
    if (random() < 0.3) await edge.call(token, `DELETE /v1/inbox/${pick(told)}/snoozed`)
    else await askInbox('inbox.snoozed', { ids: some(told), until })
  }
  const removes = () => (random() < 0.3 ? edge.call(token, `DELETE /v1/inbox/${pick(told)}`) : marks())
  const opensPush = async (): Promise<void> => {
    const engaged = await worker.inTransaction((tx) =>
      markEngaged(tx, [
        { runId: pick(stored), seenAtMs: Date.now(), readAtMs: random() < 0.5 ? Date.now() : null },
      ]),
    )
    await publishLate(random() * 30, ...engaged.map((run) => marksFrame(run, run)))
  }
  const readsAll = () => (random() < 0.2 ? askInbox('inbox.read-all', {}) : marks())
  const loads = async (): Promise<void> => {
    const { lastSequence } = await streamState(edge.connection, 'LIVE')
    const page = await read('all')
    const rows = itemsOf(page)
    t.equal(page.unread, rows.filter((item) => item.readAt === null).length, 'the count is that of the rows')
    pages.push({ from: lastSequence, page: rows })
  }

  const work = [marks, marks, marks, archives, snoozes, snoozes, removes, opensPush, readsAll, loads]
  const device = async (): Promise<void> => {
    for (let n = 0; n < OPERATIONS; n++) await pick(work)()
  }
  /** As the dispatchers do, several at once. */
  const stop = new AbortController()
  const wake = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const back = await worker.inTransaction((tx) => returnSnoozed(tx, 10))
      await publishLate(random() * 30, ...back.map((row) => returnedFrame(row, row)))
      await pause(5)
    }
  }

  for (let minute = 0; minute < 10; minute++) await appear(minute)
  const waking = [wake(), wake()]
  const appearing = async (): Promise<void> => {
    for (let minute = 10; minute < NOTIFICATIONS; minute++) await appear(minute)
  }
  await Promise.all([appearing(), ...Array.from({ length: DEVICES }, device)])
  await eventually(async () => {
    const soon = `SELECT FROM runs WHERE snoozed_until < now() + interval '1 minute'`
    return (await worker.query({ text: soon })).rowCount === 0
  })
  stop.abort()
  await Promise.all(waking)

  const all = itemsOf(await read('all'))
  const archived = itemsOf(await read('archived'))
  const snoozed = itemsOf(await read('snoozed'))
  t.same(
    itemsOf(await read('unread')),
    all.filter((item) => item.readAt === null),
  )
  const truth = new Map([...all, ...archived, ...snoozed].map((item) => [item.id, item]))
  t.equal(truth.size, all.length + archived.length + snoozed.length, 'nothing is in two lists')

  const { lastSequence } = await streamState(edge.connection, 'LIVE')
  await eventually(() => heard.at(-1)?.sequence === lastSequence)
  t.equal(heard.length, lastSequence)
  t.comment(`${pages.length} pages, ${heard.length} frames, ${truth.size} left`)
  for (const { from, page } of pages) {
    const missed = heard.filter(({ sequence }) => sequence > from).map(({ frame }) => frame)
    const gap = gapOf(
      page,
      heard.filter(({ sequence }) => sequence <= from).map(({ frame }) => frame),
      missed,
    )
    // also as if every process had been slower or faster than it was
    const overtaken = missed.map((frame) => ({ frame, place: random() })).sort((a, b) => a.place - b.place)
    for (const order of [missed, overtaken.map(({ frame }) => frame)]) {
      const client = new Client(page)
      for (const frame of order) client.apply(frame)
      t.same(
        client.shown().filter(({ id }) => !gap.has(id)),
        all,
        `the client that began after ${from} shows what the database has`,
      )
      for (const [id, item] of client.items)
        if (!gap.has(id)) t.same(item, truth.get(id), 'and so it does of what was put away')
    }
  }
})
