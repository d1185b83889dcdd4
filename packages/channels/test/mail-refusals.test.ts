import t from 'tap'
import { words } from './fixtures.js'
import { meet, to, wordOf } from './mail-server.js'
import type { Answer, Asked } from './scripted-smtp.js'

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
