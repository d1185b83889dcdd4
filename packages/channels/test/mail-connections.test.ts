import t from 'tap'
import { openSender } from '../src/index.js'
import { HASTY, PATIENT, words } from './fixtures.js'
import { meet, to, wordOf } from './mail-server.js'
import { type Answer, type Asked, type ScriptedSmtp, startScriptedSmtp } from './scripted-smtp.js'

t.test('a connection that closes in the middle of a batch doubles nothing and loses nothing', async (t) => {
  const kinds = new Set<string>()
  for (const seed of [1, 2, 3, 4]) {
    const chance = random(seed)
    const moods: Partial<Record<Asked, () => Answer | undefined>> = {
      MAIL: () =>
        pick(chance(), [
          [0.05, { close: true }],
          [0.1, { line: '421 4.3.2 too many', close: true }],
        ]),
      RCPT: () =>
        pick(chance(), [
          [0.04, { close: true }],
          [0.08, { line: '250 ok', close: true }],
          [0.12, '451 later'],
        ]),
      DATA: () =>
        pick(chance(), [
          [0.04, { close: true }],
          [0.06, { line: '354 go', close: true }],
        ]),
      CONTENT: () =>
        pick(chance(), [
          [0.06, { close: true }],
          [0.2, { line: '250 taken, goodbye', close: true }],
          [0.25, '452 disk full'],
        ]),
    }
    const { server, send } = await meet(t, (asked) => moods[asked]?.())
    const batch = Array.from({ length: 150 }, (_, index) => to(`u${index}@mail.example`))
    const verdicts = await send(...batch)
    const wrong = batch.flatMap(({ deliveryId }, index) => {
      const times = countOf(server, deliveryId)
      const verdict = verdicts[index]
      const fine =
        verdict?.kind === 'accepted' ? times === 1 : verdict?.kind === 'retry' ? times === 0 : times <= 1
      return fine ? [] : [`${wordOf(verdict)}, yet taken ${times} times`]
    })
    t.same(wrong, [], `seed ${seed}`)
    for (const { kind } of verdicts) kinds.add(kind)
    t.ok(server.connections > 5)
  }
  t.same([...kinds].sort(), ['accepted', 'retry', 'unknown'], 'all of it happened')
})

t.test('a mail in whose middle the line breaks may have arrived, one before it can not', async (t) => {
  let at: Asked = 'QUIT'
  let how: Answer = 'silence'
  const hasty = (requestMs: number) => meet(t, (asked) => (asked === at ? how : undefined), {}, requestMs)
  const { send } = await hasty(500)
  // with time enough to come so far that the mail itself is being sent
  const { send: sendWhole } = await hasty(HASTY.requestMs)
  for (const [asked, kind] of [
    ['EHLO', 'retry'],
    ['MAIL', 'retry'],
    ['RCPT', 'retry'],
    ['DATA', 'retry'],
    ['CONTENT', 'unknown'],
  ] as const) {
    at = asked
    how = { close: true }
    // what is kept open is used up first, so that EHLO is asked again
    const own = asked === 'EHLO' ? (await hasty(500)).send : asked === 'CONTENT' ? sendWhole : send
    t.match(await own(to('ana@mail.example')), [{ kind }], `${asked} cut`)
    if (asked === 'EHLO') continue
    how = 'silence'
    t.match(await own(to('ana@mail.example')), [{ kind }], `${asked} without an answer`)
  }
})

t.test('what its time is over for leaves the queue, and does not go out behind its verdict', async (t) => {
  const server = await startScriptedSmtp((asked) => (asked === 'CONTENT' ? 'silence' : undefined))
  t.teardown(() => server[Symbol.asyncDispose]())
  const credentials = { host: '127.0.0.1', port: server.port, plaintext: true, from: 'bells@a.example' }
  for (const by of ['deadline', 'caller'] as const) {
    const sender = openSender('smtp', credentials, {
      mailRelays: 'private',
      timeouts: { ...PATIENT, batchMs: by === 'deadline' ? 5000 : PATIENT.batchMs },
    })
    const before = server.mails.length
    const caller = new AbortController()
    const batch = Array.from({ length: 40 }, (_, index) => to(`u${index}@mail.example`))
    const sending = sender.send(batch, caller.signal)
    if (by === 'caller') {
      while (server.mails.length < before + 5) await new Promise((resolve) => setImmediate(resolve))
      caller.abort()
    }
    const verdicts = words(await sending)
    t.same(
      verdicts.filter((verdict) => verdict !== 'retry NOT_SENT'),
      Array(5).fill('unknown DEADLINE'),
      `${by}: one on each connection may have arrived`,
    )
    await sender[Symbol.asyncDispose]()
    t.equal(server.mails.length - before, 5, `${by}: no other was sent`)
  }
})

t.test('a server that takes two connections gets its mails over two', async (t) => {
  let greeted = 0
  const { server, send } = await meet(t, (asked) =>
    asked === 'GREETING' && ++greeted > 2
      ? { line: '421 4.7.0 too many connections', close: true }
      : undefined,
  )
  const batch = Array.from({ length: 30 }, (_, index) => to(`u${index}@mail.example`))
  const verdicts = await send(...batch)
  const taken = verdicts.filter(({ kind }) => kind === 'accepted').length
  t.same([...new Set(verdicts.map(({ kind }) => kind))].sort(), ['accepted', 'retry'])
  t.equal(server.mails.length, taken)
  t.ok(verdicts.every((verdict) => verdict.kind !== 'retry' || (verdict.afterMs ?? 0) >= 30_000))
})

function countOf(server: ScriptedSmtp, deliveryId: string): number {
  return server.mails.filter(({ messageId, taken }) => taken && messageId.includes(deliveryId)).length
}

/** The first answer whose bound is above the number drawn. */
function pick(drawn: number, answers: [number, Answer][]): Answer | undefined {
  return answers.find(([below]) => drawn < below)?.[1]
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
