import t from 'tap'
import { openSender } from '../src/index.js'
import { HASTY, kinds, never, openWorld, outgoing, PATIENT, times, until, words } from './fixtures.js'

const { simulators, settings, registry, close } = await openWorld()
t.teardown(close)
const { apns } = simulators
const { server } = apns
const sender = registry.open('apns', 'apns-1', simulators.credentials.apns)
const hasty = openSender('apns', simulators.credentials.apns, { ...settings, timeouts: HASTY })
t.teardown(() => hasty[Symbol.asyncDispose]())
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
const toPhone = () => ({ kind: 'apns' as const, token: apns.registerDevice().token })
t.beforeEach(() => {
  apns.faults.heal()
  apns.faults.latencyMs = 0
})

t.test('warms each session up with one stream, then fans out, all with one token', async (t) => {
  t.same(kinds(await send(...times(300, () => outgoing(toPhone())))), { accepted: 300 })
  t.equal(apns.counters.jwts.size, 1)
  t.ok(server.counters.sessions <= 2)
  t.equal(apns.counters.sends, 300, 'nothing was refused and sent again')
})

t.test('takes 10,000 messages at once: no session has more than it can hold', async (t) => {
  const fresh = openSender('apns', simulators.credentials.apns, settings)
  t.teardown(() => fresh[Symbol.asyncDispose]())
  const phones = times(200, toPhone)
  const { accepted } = apns.counters
  const batch = times(10_000, (index) => outgoing(phones[index % 200] as (typeof phones)[0]))
  t.same(kinds(await fresh.send(batch, never())), { accepted: 10_000 })
  t.equal(apns.counters.accepted - accepted, 10_000)
  t.ok(server.counters.maxOpenStreams <= 500, `${server.counters.maxOpenStreams} streams`)
})

t.test('keeps to the streams that Apple allows, and counts no time of those that wait', async (t) => {
  apns.limits.maxConcurrentStreams = 4
  apns.faults.latencyMs = 150
  const timeouts = { ...PATIENT, requestMs: 4000 }
  const own = openSender('apns', simulators.credentials.apns, { ...settings, timeouts })
  t.teardown(async () => {
    apns.limits.maxConcurrentStreams = 1000
    await own[Symbol.asyncDispose]()
  })
  const started = Date.now()
  t.same(
    kinds(
      await own.send(
        times(240, () => outgoing(toPhone())),
        never(),
      ),
    ),
    { accepted: 240 },
  )
  t.ok(Date.now() - started > timeouts.requestMs, 'the last ones waited longer than one may take')
})

t.test('calls a refused stream safe to repeat', async (t) => {
  apns.faults.rules.push({ times: 1, reply: 'refuse' })
  t.same(words(await send(outgoing(toPhone()))), ['retry REFUSED_STREAM'])
})

t.test('finishes what is in flight when sessions go away gracefully, and opens new ones', async (t) => {
  await send(outgoing(toPhone()), outgoing(toPhone()))
  apns.faults.latencyMs = 300
  const { sends } = apns.counters
  const { sessions } = server.counters
  const phones = times(300, toPhone)
  const verdicts = send(...phones.map((to) => outgoing(to)))
  await until(() => apns.counters.sends === sends + 300)
  server.goAway()
  t.same(kinds(await verdicts), { accepted: 300 })
  t.ok(phones.every(({ token }) => apns.device(token)?.received === 1))
  t.same(words(await send(outgoing(toPhone()))), ['accepted'])
  t.ok(server.counters.sessions > sessions)
})

t.test('opens a new session after three messages in a row had no answer', async (t) => {
  t.same(
    kinds(
      await hasty.send(
        times(4, () => outgoing(toPhone())),
        never(),
      ),
    ),
    { accepted: 4 },
  )
  const { sessions } = server.counters
  apns.faults.rules.push({ reply: 'hang' })
  const stuck = await hasty.send(
    times(8, () => outgoing(toPhone())),
    never(),
  )
  t.ok(
    stuck.every(({ kind }) => kind === 'unknown' || kind === 'retry'),
    words(stuck).join(),
  )
  apns.faults.heal()
  t.same(
    kinds(
      await hasty.send(
        times(4, () => outgoing(toPhone())),
        never(),
      ),
    ),
    { accepted: 4 },
  )
  t.equal(server.counters.sessions, sessions + 2)
})

t.test('settles every message when the peer vanishes, and goes on afterwards', async (t) => {
  for (const how of ['fin', 'rst'] as const) {
    t.same(kinds(await send(...times(3, () => outgoing(toPhone())))), { accepted: 3 })
    apns.faults.rules.push({ reply: 'hang' })
    const { sends } = apns.counters
    const verdicts = send(...times(20, () => outgoing(toPhone())))
    await until(() => apns.counters.sends === sends + 20)
    server.cut(how)
    t.same(kinds(await verdicts), { unknown: 20 }, how)
    apns.faults.heal()
    t.same(words(await send(outgoing(toPhone()))), ['accepted'])
  }
})

t.test('settles what is in flight when the peer ends the connection without GOAWAY', async (t) => {
  t.same(kinds(await send(...times(3, () => outgoing(toPhone())))), { accepted: 3 })
  const cut = toPhone()
  apns.faults.rules.push({ match: { target: cut.token }, reply: 'fin' })
  t.same(kinds(await send(outgoing(cut))), { unknown: 1 })
  apns.faults.heal()
  t.same(words(await send(outgoing(toPhone()))), ['accepted'])
})

t.test('loses nobody who is good when Apple disconnects for the bad tokens between them', async (t) => {
  apns.limits.badTokensPerSession = 20
  t.teardown(() => {
    apns.limits.badTokensPerSession = 1_000_000
  })
  const bad = new Set<string>()
  let waiting = times(1000, (index) => {
    const token = index % 10 === 0 ? index.toString(16).padStart(64, 'b') : toPhone().token
    if (index % 10 === 0) bad.add(token)
    return outgoing({ kind: 'apns', token })
  })
  const dead = new Set<string>()
  const reached = new Set<string>()
  for (let round = 0; waiting.length > 0 && round < 300; round++) {
    const batch = waiting
    const verdicts = await send(...batch)
    waiting = []
    for (const [index, verdict] of verdicts.entries()) {
      const one = batch[index] as (typeof batch)[0]
      const { token } = one.address as { token: string }
      if (verdict.kind === 'accepted') reached.add(token)
      else if (verdict.kind === 'address') dead.add(token)
      else if (verdict.kind === 'retry' || verdict.kind === 'unknown') waiting.push(one)
      else t.fail(`${verdict.kind} ${verdict.reason}`)
    }
  }
  t.equal(waiting.length, 0, 'all are settled')
  t.same([...dead].sort(), [...bad].sort(), 'nobody good was called dead, nobody dead was missed')
  t.equal(reached.size, 900)
  t.ok(apns.counters.disconnected > 0, `${apns.counters.disconnected} disconnections`)
})

t.test('waits for what is in flight when it is closed', async (t) => {
  const closing = openSender('apns', simulators.credentials.apns, settings)
  apns.faults.latencyMs = 100
  const { sends } = apns.counters
  const verdicts = closing.send(
    times(20, () => outgoing(toPhone())),
    never(),
  )
  await until(() => apns.counters.sends > sends)
  await closing[Symbol.asyncDispose]()
  t.same(kinds(await verdicts), { accepted: 20 })
})
