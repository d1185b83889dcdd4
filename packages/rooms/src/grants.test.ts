import fc from 'fast-check'
import t from 'tap'
import { channelGrantOf, grantsOf, isChannelPattern, isChannelToken } from './grants.js'
import { decodePublisher, encodePublisher } from './publisher-header.js'

t.test('a token gives the sum of what its claims say of a channel, and nothing of another', async (t) => {
  const of = grantsOf({
    rooms: ['ride-9', 5, '*', 'Ride'],
    channels: {
      'room:ride-9': ['publish'],
      'room:chat-*': ['subscribe', 'history'],
      'room:chat-7': ['publish'],
      'latest:ride-9': ['subscribe', 'fly'],
      '*': ['publish'],
      'user*': ['publish'],
      'room:x': 'publish',
    },
  })
  t.same([...of('room:ride-9')].sort(), ['history', 'presence', 'publish', 'subscribe'])
  t.same([...of('room:chat-1')], ['subscribe', 'history'])
  t.same([...of('room:chat-7')].sort(), ['history', 'publish', 'subscribe'])
  t.same([...of('latest:ride-9')], ['subscribe'])
  for (const other of [
    'room:ride-90',
    'room:cha',
    'latest:chat-1',
    'user',
    'room:x',
    'room:*',
    'room:Ride',
  ]) {
    t.equal(of(other).size, 0, other)
  }
  for (const claims of [
    {},
    { channels: null },
    { channels: ['room:a'] },
    { channels: 'room:a', rooms: {} },
  ]) {
    t.equal(grantsOf(claims)('room:a').size, 0)
  }
  t.equal(grantsOf(JSON.parse('{"channels":{"__proto__":["publish"]}}'))('room:a').size, 0)
})

t.test('more entries than a token may have are not read', async (t) => {
  const channels = Object.fromEntries([...Array(150).keys()].map((n) => [`room:r-${n}`, ['subscribe']]))
  const of = grantsOf({ channels })
  t.equal(of('room:r-99').size, 1)
  t.equal(of('room:r-100').size, 0)
})

t.test(
  'names and beginnings of channels are told apart from anything that could leave a subject',
  async (t) => {
    for (const good of ['room:a', 'latest:ride-9', 'room:*', 'room:ride-*'])
      t.ok(isChannelPattern(good), good)
    for (const bad of [
      '*',
      'room',
      'room:',
      'room:a.b',
      'room:>',
      'room:a*b',
      'room:**',
      'user',
      'x:a',
      'room:a\n',
    ]) {
      t.notOk(isChannelPattern(bad), bad)
    }
  },
)

t.test('a token for one channel is told apart, and says only what it says', async (t) => {
  const claims = {
    channel: 'room:ride-9',
    permissions: ['publish', 'subscribe', 'fly'],
    info: { name: 'Ada' },
  }
  t.ok(isChannelToken(claims))
  t.ok(isChannelToken({ channel: null }), 'whatever the claim holds')
  t.notOk(isChannelToken({}))
  const grant = channelGrantOf(claims)
  t.equal(grant?.channel, 'room:ride-9')
  t.same([...(grant?.permissions ?? [])], ['subscribe', 'publish'])
  t.same(grant?.info, { name: 'Ada' })
  t.equal(channelGrantOf({ channel: 'room:ride-*', permissions: ['publish'] }), undefined)
  t.equal(channelGrantOf({ channel: 'user' }), undefined)
  t.equal(channelGrantOf({ channel: 'room:a' })?.permissions.size, 0)
})

t.test('a publisher survives its header, whatever the user is called, in printable ASCII', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.jsonValue({ maxDepth: 3 }),
      (user, info) => {
        const text = encodePublisher({ user, client: 'c', info })
        if (text === undefined) return false
        const back = decodePublisher(text)
        return /^[\x20-\x7e]*$/.test(text) && back?.user === user
      },
    ),
  )
  const text = encodePublisher({
    user: 'ada\r\nNats-Msg-Id: x\0',
    client: '',
    info: { name: 'Zoë\u2028\x7f' },
  })
  t.match(text, /^[\x20-\x7e]+$/)
  t.same(decodePublisher(text), {
    user: 'ada\r\nNats-Msg-Id: x\0',
    client: '',
    info: { name: 'Zoë\u2028\x7f' },
  })
})

t.test('leaves out what would make the header too long, and believes nothing odd in it', async (t) => {
  t.same(decodePublisher(encodePublisher({ user: 'ada', client: 'c', info: 'x'.repeat(5_000) })), {
    user: 'ada',
    client: 'c',
  })
  t.equal(encodePublisher({ user: 'é'.repeat(1_000), client: '' }), undefined)
  for (const text of [
    undefined,
    '',
    'null',
    '[]',
    '{"user":5,"client":""}',
    '{"user":"a"}',
    `{"user":"${'a'.repeat(5_000)}","client":""}`,
  ]) {
    t.equal(decodePublisher(text), undefined, (text ?? 'nothing').slice(0, 60))
  }
  t.same(decodePublisher('{"user":"a","client":"","admin":true}'), { user: 'a', client: '' })
  t.same(decodePublisher('{"user":"a","client":"","info":{"__proto__":{"x":1}}}'), { user: 'a', client: '' })
})
