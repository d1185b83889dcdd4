import fc from 'fast-check'
import t from 'tap'
import { fit } from '../fit-provider.js'
import type { Message, OutgoingTo } from '../message.js'
import { isSignedByTwilio, readSmsNews } from './callback.js'
import { isPhoneNumber, readSmsCredentials } from './credentials.js'
import { SMS_MAX_SEGMENTS, smsPayload, smsText } from './payload.js'
import { plainSigns, segmentsOf } from './segments.js'

const NOW = 1_760_000_000_000
const to = (message: Partial<Message>): OutgoingTo<'sms'> => ({
  deliveryId: 'd-1',
  notificationId: 'n-1',
  tenant: 'acme',
  attempt: 1,
  receiptToken: 'rt-1',
  address: { kind: 'sms', phone: '+436601234567', statusUrl: 'https://carillon.example/s' },
  message: { priority: 'high', ...message },
})
const ACCOUNT = { accountSid: `AC${'0'.repeat(32)}`, authToken: 'token' }

t.test('segments are counted as networks cut them', async (t) => {
  const count = (text: string) => segmentsOf(text).count
  const a = (times: number) => 'a'.repeat(times)
  t.same(segmentsOf(a(160)), { encoding: 'gsm7', units: 160, count: 1 })
  t.equal(count(a(161)), 2)
  t.equal(count(a(306)), 2)
  t.equal(count(a(307)), 3)
  t.same(segmentsOf('ä€'), { encoding: 'gsm7', units: 3, count: 1 }, 'the euro is escaped')
  t.equal(count(`${a(152)}€${a(152)}`), 3, 'an escaped sign moves to the next message as a whole')
  t.same(segmentsOf('ж'.repeat(70)), { encoding: 'ucs2', units: 70, count: 1 })
  t.equal(count('ж'.repeat(71)), 2)
  t.equal(count('ж'.repeat(134)), 2)
  t.equal(count(`${'ж'.repeat(66)}🔔${'ж'.repeat(66)}`), 3, 'and so does a surrogate pair')
  t.equal(segmentsOf('ê').encoding, 'ucs2', 'not every letter of Latin-1 is in the alphabet')
  t.equal(count(''), 1)
})

t.test('typographic signs do not double the price, and nothing is replaced for nothing', async (t) => {
  t.equal(plainSigns('“Ana’s” ride – 5\u00a0€…'), '"Ana\'s" ride - 5 €...')
  t.equal(plainSigns('“Ана” – тут'), '“Ана” – тут')
})

t.test('a text is title, body and link, unless the content says otherwise', async (t) => {
  t.equal(
    smsText(to({ title: 'Hi', body: 'Ana waits', url: 'https://r.example/1' })),
    'Hi\nAna waits\nhttps://r.example/1',
  )
  t.equal(
    smsText(to({ body: 'See https://r.example/1', url: 'https://r.example/1' })),
    'See https://r.example/1',
  )
  t.equal(smsText(to({ title: 'Only a title' })), 'Only a title')
  t.equal(smsText(to({ title: 'Hi', overrides: { sms: { Body: 'Code 123' } } })), 'Code 123')
})

t.test('the form of one message, which overrides can not redirect', async (t) => {
  const message = {
    body: 'Code 123',
    expiresAt: NOW + 90_500,
    overrides: {
      sms: { To: '+15005550001', From: 'Eve', StatusCallback: 'https://eve.example', MaxPrice: '0.05' },
    },
  }
  const form = smsPayload(to(message), readSmsCredentials({ ...ACCOUNT, from: 'Carillon' }), NOW)
  t.strictSame(Object.fromEntries(form), {
    MaxPrice: '0.05',
    To: '+436601234567',
    From: 'Carillon',
    Body: 'Code 123',
    ValidityPeriod: '90',
    StatusCallback: 'https://carillon.example/s',
  })
  const near = {
    ...to(message),
    address: { kind: 'sms', phone: '+4366012345', statusUrl: 'http://127.0.0.1:1/s' },
  } as const
  const account = { ...ACCOUNT, from: 'Carillon' }
  const baseUrl = 'https://127.0.0.1:9'
  t.notOk(
    smsPayload(near, readSmsCredentials(account), NOW).has('StatusCallback'),
    'Twilio can not call us there',
  )
  t.ok(smsPayload(near, readSmsCredentials({ ...account, baseUrl }), NOW).has('StatusCallback'))
  const messagingServiceSid = `MG${'1'.repeat(32)}`
  const service = smsPayload(to({ body: 'x' }), readSmsCredentials({ ...ACCOUNT, messagingServiceSid }), NOW)
  t.equal(service.get('MessagingServiceSid'), messagingServiceSid)
  t.notOk(service.has('From'))
  t.equal(service.get('ValidityPeriod'), '36000')
})

t.test('credentials name one sender and an https address', async (t) => {
  const wrong = [
    { ...ACCOUNT },
    { ...ACCOUNT, from: '+4366012345', messagingServiceSid: `MG${'1'.repeat(32)}` },
    { ...ACCOUNT, from: 'a name that is too long' },
    { ...ACCOUNT, messagingServiceSid: 'MG1' },
    { ...ACCOUNT, from: '+4366012345', baseUrl: 'http://api.example' },
    { ...ACCOUNT, from: '+4366012345', accountSid: 'AC/../x' },
    { accountSid: ACCOUNT.accountSid, from: '+4366012345' },
  ]
  for (const value of wrong) t.throws(() => readSmsCredentials(value), { code: 'CREDENTIALS_INVALID' })
  for (const from of ['+4366012345', '12345', 'Carillon']) t.ok(readSmsCredentials({ ...ACCOUNT, from }))
  t.ok(isPhoneNumber('+436601234567'))
  for (const text of [
    '0660123456',
    '+0660123456',
    '+43 660 1234567',
    '+43660',
    '+1234567890123456',
    '+4366012345\n',
  ])
    t.notOk(isPhoneNumber(text), JSON.stringify(text))
})

t.test('any text fits, and is never cut inside a sign', async (t) => {
  const letters = fc.string({
    unit: fc.constantFrom('a', '€', 'ж', '🔔', '👩‍👩‍👧', '’', ' ', '\n'),
    maxLength: 2_500,
  })
  fc.assert(
    fc.property(letters, letters, (title, body) => {
      const { message, clipped } = fit(to({ title, body }), NOW)
      const text = smsText(to(message))
      t.ok(segmentsOf(text).count <= SMS_MAX_SEGMENTS)
      t.notMatch(text, /\p{Surrogate}/u)
      const whole = smsText(to({ title, body }))
      if (segmentsOf(whole).count <= SMS_MAX_SEGMENTS) t.same([text, clipped], [whole, []])
      else t.match(text, /(\.\.\.|…)/)
    }),
    { numRuns: 60 },
  )
})

t.test('a callback is believed only with the signature of the account', async (t) => {
  // the example of Twilio's documentation
  const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
  const form = new URLSearchParams({
    CallSid: 'CA1234567890ABCDE',
    Caller: '+14158675309',
    Digits: '1234',
    From: '+14158675309',
    To: '+18005551212',
  })
  const signature = 'RSOYDt4T1cUTdK1PDd93/VVr8B8='
  t.ok(isSignedByTwilio('12345', { url, form, signature }))
  t.notOk(isSignedByTwilio('12346', { url, form, signature }), 'another account')
  t.notOk(isSignedByTwilio('12345', { url: `${url}3`, form, signature }), 'another address')
  t.notOk(isSignedByTwilio('12345', { url, form: new URLSearchParams([...form, ['x', '']]), signature }))
  t.notOk(isSignedByTwilio('12345', { url, form, signature: '' }))
})

t.test('what became of a text is read from its callback', async (t) => {
  const news = (status: string, code?: string) =>
    readSmsNews(
      new URLSearchParams({ MessageStatus: status, ...(code === undefined ? {} : { ErrorCode: code }) }),
    )
  t.same(news('delivered'), { kind: 'delivered' })
  for (const status of ['queued', 'sending', 'sent', 'accepted', 'something-new'])
    t.same(news(status), { kind: 'pending' })
  t.same(news('undelivered', '30003'), { kind: 'failed', cause: 'rejected', detail: 'TWILIO_30003' })
  t.same(news('undelivered', '30007'), { kind: 'failed', cause: 'rejected', detail: 'TWILIO_30007' })
  t.match(news('undelivered', '30005'), { cause: 'address' })
  t.match(news('failed', '30002'), { cause: 'config' })
  t.match(news('undelivered', '30008'), { cause: 'unavailable' })
  t.match(news('failed', '<script>'), { cause: 'rejected', detail: 'TWILIO_FAILED' })
  t.same(readSmsNews(new URLSearchParams()), { kind: 'pending' })
})
