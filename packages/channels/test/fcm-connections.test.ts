import { startSimulators } from '@carillon/simulators'
import t from 'tap'
import { openSender } from '../src/index.js'
import { HASTY, kinds, never, openWorld, outgoing, times, until, words } from './fixtures.js'
import { openOauthRelay } from './oauth-relay.js'

const { simulators, settings, registry, close } = await openWorld()
t.teardown(close)
const { fcm } = simulators
const sender = registry.open('fcm', 'fcm-1', simulators.credentials.fcm)
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
const toPhone = () => ({ kind: 'fcm' as const, token: fcm.registerDevice().token })
const hasty = openSender('fcm', simulators.credentials.fcm, { ...settings, timeouts: HASTY })
t.teardown(() => hasty[Symbol.asyncDispose]())
t.beforeEach(() => {
  fcm.faults.heal()
  fcm.faults.latencyMs = 0
})

t.test(
  'a cold start takes 500 messages at once, over as many connections as their streams need',
  async (t) => {
    const verdicts = await send(...times(500, () => outgoing(toPhone())))
    t.same(kinds(verdicts), { accepted: 500 })
    t.equal(fcm.counters.tokensIssued, 1)
    t.ok(fcm.server.counters.maxOpenStreams <= 100)
    // the token's connection is one of HTTP/1.1
    t.ok(fcm.server.counters.sessions <= 8, `${fcm.server.counters.sessions} sessions`)
  },
)

t.test('gets a new access token when the old one was revoked, once for all of a batch', async (t) => {
  const issued = fcm.counters.tokensIssued
  fcm.revokeTokens()
  t.same(kinds(await send(...times(50, () => outgoing(toPhone())))), { accepted: 50 })
  t.equal(fcm.counters.tokensIssued, issued + 1)
})

t.test(
  'says unknown for a message without an answer, settles the others and keeps their connection',
  async (t) => {
    const silent = toPhone()
    fcm.faults.rules.push({ match: (token: string) => token === silent.token, reply: 'hang' })
    t.same(words(await hasty.send([outgoing(toPhone())], never())), ['accepted'])
    const { sessions } = fcm.server.counters
    const slow = hasty.send([outgoing(toPhone()), outgoing(silent), outgoing(toPhone())], never())
    t.same(words(await hasty.send([outgoing(toPhone())], never())), ['accepted'])
    t.same(words(await slow), ['accepted', 'unknown TIMEOUT', 'accepted'])
    t.same(words(await hasty.send([outgoing(toPhone())], never())), ['accepted'])
    t.equal(fcm.server.counters.sessions, sessions, 'a line that answers others is alive')
  },
)

t.test('leaves lines that went dead without a word', async (t) => {
  t.same(words(await hasty.send([outgoing(toPhone())], never())), ['accepted'])
  const { sessions } = fcm.server.counters
  fcm.faults.rules.push({ reply: 'hang' })
  t.same(
    kinds(
      await hasty.send(
        times(150, () => outgoing(toPhone())),
        never(),
      ),
    ),
    { unknown: 150 },
  )
  t.equal(fcm.server.counters.sessions, sessions + 1, '150 streams are two lines')
  fcm.faults.heal()
  t.same(words(await hasty.send([outgoing(toPhone())], never())), ['accepted'])
  t.equal(fcm.server.counters.sessions, sessions + 2)
})

t.test('settles every message when the peer vanishes, and goes on afterwards', async (t) => {
  for (const how of ['fin', 'rst'] as const) {
    fcm.faults.rules.push({ reply: 'hang' })
    const { sends } = fcm.counters
    const verdicts = send(...times(20, () => outgoing(toPhone())))
    await until(() => fcm.counters.sends === sends + 20)
    fcm.server.cut(how)
    t.same(kinds(await verdicts), { unknown: 20 }, how)
    fcm.faults.heal()
    t.same(words(await send(outgoing(toPhone()))), ['accepted'])
  }
})

t.test('settles what is in flight when the peer ends the connection without GOAWAY', async (t) => {
  const cut = toPhone()
  fcm.faults.rules.push({ match: { target: cut.token }, reply: 'fin' }, { reply: 'hang' })
  const { sends } = fcm.counters
  const others = send(outgoing(toPhone()), outgoing(toPhone()))
  await until(() => fcm.counters.sends === sends + 2)
  const verdicts = [...(await send(outgoing(cut))), ...(await others)]
  t.same(kinds(verdicts), { unknown: 3 }, words(verdicts).join())
  fcm.faults.heal()
  t.same(words(await send(outgoing(toPhone()))), ['accepted'])
})

t.test('loses nothing and sends nothing twice when sessions go away under 500 messages', async (t) => {
  fcm.faults.latencyMs = 150
  const phones = times(500, toPhone)
  const { sends } = fcm.counters
  const under = send(...phones.map((to) => outgoing(to)))
  await until(() => fcm.counters.sends > sends + 100)
  fcm.server.goAway()
  const verdicts = await under
  const counts = kinds(verdicts)
  t.equal((counts.accepted ?? 0) + (counts.retry ?? 0), 500, JSON.stringify(counts))
  const got = phones.map(({ token }) => fcm.device(token)?.received ?? 0)
  t.same(
    got.map((count) => count > 0),
    verdicts.map(({ kind }) => kind === 'accepted'),
    'accepted is exactly what arrived',
  )
  t.same(words(await send(outgoing(toPhone()))), ['accepted'])
})

t.test('calls a refused stream safe to repeat', async (t) => {
  fcm.faults.rules.push({ times: 1, reply: 'refuse' })
  t.same(words(await send(outgoing(toPhone()))), ['retry REFUSED_STREAM'])
})

t.test('says what was not sent when it is told to stop', async (t) => {
  fcm.faults.rules.push({ reply: 'hang' })
  const stop = new AbortController()
  const { sends } = fcm.counters
  const verdicts = sender.send(
    times(900, () => outgoing(toPhone())),
    stop.signal,
  )
  await until(() => fcm.counters.sends >= sends + 800)
  stop.abort()
  t.same(kinds(await verdicts), { unknown: 800, retry: 100 }, '800 streams were written, 100 waited for one')
})

t.test('blames the credentials when the service account is not known', async (t) => {
  const foreign = await startSimulators({ allow: 'development' })
  t.teardown(() => foreign[Symbol.asyncDispose]())
  const wrong = registry.open('fcm', 'fcm-wrong', foreign.credentials.fcm)
  t.same(words(await wrong.send([outgoing(toPhone())], never())), ['config INVALID_CREDENTIAL'])
  const change = { action: 'subscribe', topic: 'rides', tokens: ['a', 'b'] } as const
  t.same(words((await wrong.manageTopic?.(change, never())) ?? []), [
    'config INVALID_CREDENTIAL',
    'config INVALID_CREDENTIAL',
  ])
})

t.test(
  'an access token serves to its end when a new one is not to be had, and no message dies of it',
  async (t) => {
    // refreshed from five minutes before its end on
    const lifeSeconds = 3600
    const relay = await openOauthRelay(simulators, lifeSeconds)
    let now = Date.now()
    t.intercept(Date, 'now', { value: () => now })
    const endpoints = { ...settings.endpoints, fcmToken: relay.url }
    const own = openSender('fcm', simulators.credentials.fcm, { ...settings, endpoints })
    t.teardown(async () => {
      await own[Symbol.asyncDispose]()
      await relay[Symbol.asyncDispose]()
    })
    const sendOne = () => own.send([outgoing(toPhone())], never())
    t.same(words(await sendOne()), ['accepted'])
    const issuedAt = now
    relay.down = true
    now = issuedAt + (lifeSeconds - 301) * 1000
    t.same(words(await sendOne()), ['accepted'])
    t.equal(relay.asked, 1)
    now = issuedAt + (lifeSeconds - 1) * 1000
    t.same(words(await sendOne()), ['accepted'], 'renewal failed, the token is still good')
    t.equal(relay.asked, 2)
    now = issuedAt + lifeSeconds * 1000
    t.match(await sendOne(), [{ kind: 'retry', reason: 'OAUTH_UNREACHABLE', afterMs: 5000 }], 'it ended')
    t.equal(relay.asked, 2, 'an endpoint that is down is left alone for a while')
  },
)
