import t from 'tap'
import { openSender, type Verdict } from '../src/index.js'
import { never, outgoing, words } from './fixtures.js'
import { type Answer, type Asked, type ScriptedSmtp, startScriptedSmtp } from './scripted-smtp.js'

const timeouts = { connectMs: 3000, requestMs: 2000, batchMs: 8000 }
const to = (email: string, message = {}) => outgoing({ kind: 'email', email }, message)

/** A server that answers as told, and a sender to it without TLS. */
async function meet(
  t: { teardown(end: () => Promise<void>): void },
  answer: (asked: Asked, line: string) => Answer | undefined,
  more: object = {},
  requestMs = timeouts.requestMs,
) {
  const server = await startScriptedSmtp(answer)
  const sender = openSender(
    'smtp',
    { host: '127.0.0.1', port: server.port, plaintext: true, from: 'bells@a.example', ...more },
    { timeouts: { ...timeouts, requestMs } },
  )
  t.teardown(async () => {
    await sender[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  return { server, send: (...batch: ReturnType<typeof to>[]) => sender.send(batch, never()) }
}

t.test('each refusal is the sender’s, the mailbox’s, the mail’s or the hour’s', async (t) => {
  const cases: [Asked, string, string, object?][] = [
    ['GREETING', '421 4.3.2 busy', 'retry'],
    ['GREETING', '554 5.7.1 not from your network', 'config'],
    ['AUTH', '535 5.7.8 wrong password', 'config', { user: 'u', password: 'p' }],
    ['AUTH', '534 5.7.9 mechanism too weak', 'config', { user: 'u', password: 'p' }],
    ['AUTH', '454 4.7.0 directory away', 'retry', { user: 'u', password: 'p' }],
    ['MAIL', '530 5.7.0 log in first', 'config'],
    ['MAIL', '550 5.7.1 you may not send as bells@a.example', 'config'],
    ['MAIL', '552 5.3.4 too big', 'message'],
    ['MAIL', '451 4.3.0 later', 'retry'],
    ['RCPT', '450 4.2.0 greylisted', 'retry'],
    ['RCPT', '451 4.7.1 greylisted', 'retry'],
    ['RCPT', '452 4.2.2 mailbox full today', 'retry'],
    ['RCPT', '421 4.7.0 slow down', 'retry'],
    ['RCPT', '550 5.1.1 no such user', 'address'],
    ['RCPT', '550 no such user', 'address'],
    ['RCPT', '551 user not local', 'address'],
    ['RCPT', '553 mailbox name not allowed', 'address'],
    ['RCPT', '550-5.2.1 first line\r\n550 5.2.1 mailbox disabled', 'address'],
    ['RCPT', '554 5.1.1 no such user', 'address'],
    ['RCPT', '552 5.2.2 mailbox full', 'address suspend'],
    ['RCPT', '552 full', 'address suspend'],
    ['RCPT', '550 5.2.2 over quota', 'address suspend'],
    ['RCPT', '554 5.7.1 blocked by policy', 'message'],
    ['RCPT', '550 5.7.1 blocked by policy', 'message'],
    ['DATA', '451 4.3.0 disk', 'retry'],
    ['DATA', '554 5.6.0 no valid recipients', 'message'],
    ['CONTENT', '451 4.3.0 scanner away', 'retry'],
    ['CONTENT', '452 4.3.1 disk full', 'retry'],
    ['CONTENT', '552 5.3.4 too big', 'message'],
    ['CONTENT', '552 too big', 'message'],
    ['CONTENT', '554 5.7.1 spam', 'message'],
    ['CONTENT', '550 5.7.26 not authenticated', 'message'],
    ['CONTENT', '552 5.2.2 over quota after all', 'address suspend'],
  ]
  let now: [Asked, string] = ['QUIT', '']
  const answer = (asked: Asked) => (asked === now[0] ? now[1] : undefined)
  const plain = await meet(t, answer)
  const signedIn = await meet(t, answer, { user: 'u', password: 'p' })
  for (const [asked, line, expected, credentials] of cases) {
    now = [asked, line]
    // a connection of its own where the refusal comes before the mail
    const { send } = credentials === undefined ? plain : signedIn
    const one = asked === 'GREETING' ? (await meet(t, answer)).send : send
    const [verdict] = await one(to('ana@mail.example'))
    t.equal(wordOf(verdict), expected, `${asked} ${line}`)
    if (verdict?.kind === 'retry') t.ok((verdict.afterMs ?? 0) >= 30_000, 'not before half a minute')
  }
  now = ['QUIT', '']
  t.same(words(await plain.send(to('ana@mail.example'))), ['accepted'], 'and the sender goes on')
})

t.test('a greylisted mail is the same mail when it comes again', async (t) => {
  const seen = new Set<string>()
  const { server, send } = await meet(t, (asked, line) => {
    if (asked !== 'RCPT' || seen.has(line)) return undefined
    seen.add(line)
    return '451 4.7.1 greylisted, come back in a minute'
  })
  const one = to('ana@mail.example')
  t.same(await send(one), [{ kind: 'retry', reason: 'SMTP_451 4.7.1', afterMs: 60_000 }])
  t.same(words(await send({ ...one, attempt: 2 })), ['accepted'])
  t.match(server.mails, [{ messageId: `<${one.deliveryId}@a.example>`, taken: true }])
})

t.test('every recipient has a mail and a verdict of his own', async (t) => {
  const { server, send } = await meet(t, (asked, line) => {
    if (asked !== 'RCPT') return undefined
    if (line.includes('gone')) return '550 5.1.1 no such user'
    if (line.includes('full')) return '552 5.2.2 full'
    return line.includes('later') ? '450 4.2.0 later' : undefined
  })
  const names = ['a', 'gone1', 'b', 'full1', 'later1', 'c', 'gone2', 'd']
  const verdicts = await send(...names.map((name) => to(`${name}@mail.example`)))
  t.same(verdicts.map(wordOf), [
    'accepted',
    'address',
    'accepted',
    'address suspend',
    'retry',
    'accepted',
    'address',
    'accepted',
  ])
  t.equal(server.mails.length, 4)
  t.ok(server.mails.every(({ recipients }) => recipients === 1))
})

t.test('a connection that closes in the middle of a batch doubles nothing and loses nothing', async (t) => {
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
    const kinds = new Set(verdicts.map(({ kind }) => kind))
    t.same([...kinds].sort(), ['accepted', 'retry', 'unknown'], 'all of it happened')
    t.ok(server.connections > 5)
  }
})

t.test('a mail in whose middle the line breaks may have arrived, one before it can not', async (t) => {
  let at: Asked = 'QUIT'
  let how: Answer = 'silence'
  const hasty = () => meet(t, (asked) => (asked === at ? how : undefined), {}, 500)
  const { send } = await hasty()
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
    const own = asked === 'EHLO' ? (await hasty()).send : send
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
      timeouts: { connectMs: 3000, requestMs: 6000, batchMs: by === 'deadline' ? 1500 : 9000 },
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

t.test('nothing is said in the clear to a server that can not be trusted', async (t) => {
  const talk = async (answer: (asked: Asked) => Answer | undefined) => {
    const { server, send } = await meet(t, answer, { plaintext: false, user: 'u', password: 'secret' })
    const verdicts = await send(to('ana@mail.example'))
    t.same(
      server.commands.filter((line) => !/^(EHLO|STARTTLS|QUIT)/.test(line) && /^[\x20-\x7e]*$/.test(line)),
      [],
    )
    return verdicts
  }
  t.match(await talk(() => undefined), [{ kind: 'config', reason: 'TLS_FAILED' }], 'no TLS there')
  const today = (asked: Asked) => (asked === 'STARTTLS' ? '454 4.7.0 TLS not available today' : undefined)
  t.match(await talk(today), [{ kind: 'retry' }], 'not today')
  const broken = (asked: Asked) =>
    asked === 'STARTTLS' ? { line: '220 go', close: true as const } : undefined
  t.match(await talk(broken), [{ kind: 'retry' }], 'lost in the handshake')
})

function wordOf(verdict: Verdict | undefined): string {
  return verdict?.kind === 'address' && verdict.suspend ? 'address suspend' : (verdict?.kind ?? 'none')
}

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
