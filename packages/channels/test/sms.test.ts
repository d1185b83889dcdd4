import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import t from 'tap'
import { createRegistry, isSignedByTwilio, openSender, readSmsNews } from '../src/index.js'
import { HASTY, never, openWorld, outgoing, PATIENT, words } from './fixtures.js'

const { simulators, settings, registry, close } = await openWorld()
t.teardown(close)
const { sms, inbox } = simulators
const sender = registry.open('sms', 'sms-1', sms.credentials)
const to = (phone: string, message = {}, statusUrl?: string) =>
  outgoing({ kind: 'sms', phone, ...(statusUrl === undefined ? {} : { statusUrl }) }, message)
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
const ANA = '+436601234567'
t.beforeEach(() => sms.faults.heal())

t.test('a text arrives with the id under which its fate will be told', async (t) => {
  const [verdict] = await send(to(ANA, { title: 'Your ride', body: '“Ana” waits – 2 minutes' }))
  t.match(verdict, { kind: 'accepted', providerId: /^SM[0-9a-f]{32}$/ })
  t.match(inbox.list().at(-1), {
    provider: 'sms',
    device: ANA,
    title: sms.credentials.from,
    body: 'Your ride\n"Ana" waits - 2 minutes',
    raw: { num_segments: '1' },
  })
})

t.test('a text that is too long is cut to ten segments', async (t) => {
  t.same(words(await send(to(ANA, { body: 'word '.repeat(2_000) }))), ['accepted'])
  const { body } = inbox.list().at(-1) ?? { body: '' }
  t.match(body, /\.\.\.$/)
  t.ok(body.length <= 1530 && body.length > 1500, `${body.length} characters`)
})

t.test('every refusal has its own verdict, and no other message of the batch suffers', async (t) => {
  sms.stop('+436609999999')
  const verdicts = await send(
    to('+15005550001'),
    to('+15005550009'),
    to('+15005550002'),
    to('+15005550003'),
    to('+436609999999'),
    to('0660 123'),
    to(ANA, { title: '', body: '' }),
    to(ANA, { silent: true }),
    to(ANA, { expiresAt: Date.now() - 1 }),
    outgoing({ kind: 'email', email: 'ana@mail.example' }),
    to(ANA),
  )
  t.same(words(verdicts), [
    'address TWILIO_21211',
    'address TWILIO_21614',
    'address TWILIO_21612',
    'address TWILIO_21408',
    'address TWILIO_21610',
    'address INVALID_NUMBER',
    'message NO_TEXT',
    'message SILENT_NOT_POSSIBLE: this channel shows every message, and this one has nothing to show',
    'message EXPIRED',
    "message an address of kind email can't be served by sms",
    'accepted',
  ])
  sms.start('+436609999999')
  t.same(words(await send(to('+436609999999'))), ['accepted'], 'START after STOP')
})

t.test('waits as long as the API asks, and knows what may have been taken', async (t) => {
  sms.faults.rules.push({ times: 1, reply: { status: 429, headers: { 'retry-after': '37' } } })
  t.same(await send(to(ANA)), [{ kind: 'retry', reason: 'TWILIO_20429', afterMs: 37_000 }])
  sms.faults.rules.push({ times: 1, reply: { status: 503 } })
  t.same(words(await send(to(ANA))), ['retry TWILIO_20503'])
  sms.faults.rules.push({ times: 1, reply: { status: 500 } })
  t.same(words(await send(to(ANA))), ['unknown TWILIO_20500'])
  await using hasty = openSender('sms', sms.credentials, { ...settings, timeouts: HASTY })
  sms.faults.rules.push({ times: 1, reply: 'hang' })
  t.same(words(await hasty.send([to(ANA)], never())), ['unknown TIMEOUT'])
  sms.faults.rules.push({ times: 1, reply: 'reset' })
  t.match(words(await send(to(ANA))), [/^unknown /])
  t.same(words(await sender.send([to(ANA)], AbortSignal.abort())), ['retry NOT_SENT'])
})

t.test(
  'blames the account for a wrong token, a sender of others and an address that is not public',
  async (t) => {
    const open = (more: object) => registry.open('sms', JSON.stringify(more), { ...sms.credentials, ...more })
    const wrong = open({ authToken: createHash('md5').update('x').digest('hex') })
    t.same(words(await wrong.send([to(ANA)], never())), ['config TWILIO_20003'])
    t.same(words(await open({ from: '+15005550007' }).send([to(ANA)], never())), ['config TWILIO_21606'])
    const strict = createRegistry({ settings: { ca: simulators.ca, timeouts: PATIENT } })
    t.teardown(() => strict[Symbol.asyncDispose]())
    const before = sms.counters.requests
    t.same(words(await strict.open('sms', 's', sms.credentials).send([to(ANA)], never())), [
      'config URL_REFUSED',
    ])
    t.equal(sms.counters.requests, before)
  },
)

t.test('tells afterwards what became of a text, signed', async (t) => {
  const heard: { url: string; form: URLSearchParams; signature: string }[] = []
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await readText(request))
    const url = `http://${request.headers.host}${request.url}`
    heard.push({ url, form, signature: String(request.headers['x-twilio-signature']) })
    response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/status?token=a.b-c`
  sms.failLater('+436601111111', 30007)
  const shown = inbox.list().length
  t.same(words(await send(to('+436601111111', {}, url))), ['accepted'])
  await sms.settled()
  t.equal(inbox.list().length, shown, 'a filtered text is on no phone')
  t.same(words(await send(to(ANA, {}, url))), ['accepted'])
  await sms.settled()
  t.same(
    heard.map(({ form }) => readSmsNews(form)),
    [
      { kind: 'pending' },
      { kind: 'failed', cause: 'rejected', detail: 'TWILIO_30007' },
      { kind: 'pending' },
      { kind: 'delivered' },
    ],
  )
  t.ok(heard.every((callback) => isSignedByTwilio(sms.credentials.authToken, callback)))
  t.notOk(heard.some((callback) => isSignedByTwilio('another', callback)))
  t.equal(sms.counters.callbacksRefused, 0)
})
