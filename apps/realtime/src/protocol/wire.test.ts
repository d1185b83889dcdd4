import fc from 'fast-check'
import t from 'tap'
import { decodeCursor, encodeCursor, MAX_CURSOR_CHANNELS } from '../stream/cursor.js'
import { EncodedFrame, frameText } from '../stream/encoded-frame.js'
import { DISCONNECTS } from './codes.js'
import { parseCommands } from './commands.js'
import { closeFrame, textFrame } from './websocket-frame.js'
import { createWires } from './wires.js'

const tag = fc.stringMatching(/^[A-Za-z0-9_-]{4}$/)
const epoch = fc.stringMatching(/^[A-Za-z0-9_-]{6}$/)
const offset = fc.oneof(fc.nat(), fc.maxSafeNat())

t.test('a cursor holds the position of every channel in 128 characters that are safe anywhere', (t) => {
  fc.assert(
    fc.property(
      epoch,
      fc.uniqueArray(fc.record({ tag, offset }), {
        minLength: 1,
        maxLength: MAX_CURSOR_CHANNELS,
        selector: (entry) => entry.tag,
      }),
      (name, entries) => {
        const text = encodeCursor(
          name,
          entries.map(({ tag, offset }) => ({ channel: { tag }, offset })),
        )
        const cursor = decodeCursor(text)
        return (
          text.length <= 128 &&
          /^[A-Za-z0-9._-]+$/.test(text) &&
          cursor?.epoch === name &&
          cursor.offsets.size === entries.length &&
          entries.every((entry) => cursor.offsets.get(entry.tag) === entry.offset)
        )
      },
    ),
  )
  t.end()
})

t.test('what is no cursor is never taken for one', (t) => {
  for (const text of [
    '',
    '1',
    '2abcdef0.aaaa',
    '1abcdef',
    '1abcdef0.aaa',
    '1abcdef0.aaaazzz',
    `1abcdef0${'.aaaa'.repeat(30)}`,
    '1abcdefzzzzzzzzzzzz',
  ]) {
    t.equal(decodeCursor(text), undefined, JSON.stringify(text))
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const cursor = decodeCursor(text)
      return (
        cursor === undefined ||
        [...cursor.offsets.values()].every((value) => Number.isSafeInteger(value) && value >= 0)
      )
    }),
  )
  t.end()
})

t.test('messages of a client are read as the protocol says and nothing else is', (t) => {
  t.same(parseCommands('{"id":1,"connect":{"token":"x"}}\n{}\n'), [
    { kind: 'call', id: 1, method: 'connect', params: { token: 'x' } },
    { kind: 'pong' },
  ])
  t.same(parseCommands('{"send":{"data":1}}'), [{ kind: 'send', params: { data: 1 } }])
  t.same(parseCommands('{"id":7,"fly":{}}'), [{ kind: 'unknown', id: 7 }])
  for (const text of [
    '',
    '\n',
    'x',
    '[]',
    '1',
    'null',
    '{"connect":{}}',
    '{"id":-1,"ping":{}}',
    '{"id":1.5,"ping":{}}',
    '{"id":"1","ping":{}}',
    '{"id":1,"ping":3}',
    '{"id":5000000000,"ping":{}}',
    '{}\n'.repeat(257),
  ]) {
    t.equal(parseCommands(text), undefined, JSON.stringify(text.slice(0, 40)))
  }
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseCommands(text) ?? [])))
  t.end()
})

t.test('a frame is the same JSON in both transports, whatever it holds', (t) => {
  const channel = { name: 'user', tag: 'aaaa', epoch: 'abcdef' }
  const wires = createWires()
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 2), (value, indent) => {
      const json = frameText(Buffer.from(JSON.stringify(value, null, indent)))
      if (json === undefined) return false
      const frame = new EncodedFrame(channel, { sequence: 5, previous: 3, json })
      const bytes = frame.push(wires.json.websocket)
      const header = bytes[1] === 126 ? 4 : bytes[1] === 127 ? 10 : 2
      const push = JSON.parse(bytes.subarray(header).toString())
      const [id, data, ...rest] = frame.event.toString().split('\n')
      return (
        id === 'id: 1abcdef5.aaaa' &&
        rest.join('') === '' &&
        JSON.stringify(JSON.parse((data ?? '').slice('data: '.length))) ===
          JSON.stringify(JSON.parse(JSON.stringify(value))) &&
        push.push.pub.offset === 5 &&
        JSON.stringify(push.push.pub.data) === JSON.stringify(JSON.parse(JSON.stringify(value)))
      )
    }),
  )
  for (const body of ['', 'x', '1', 'null', '[{}]', '{"a":1} {']) {
    t.equal(frameText(Buffer.from(body)), undefined, JSON.stringify(body))
  }
  t.end()
})

t.test('WebSocket frames carry their length in the shortest form', (t) => {
  for (const [length, header] of [
    [0, 2],
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
  ] as const) {
    const frame = textFrame('x'.repeat(length))
    t.equal(frame.length, header + length)
    t.equal(frame[0], 0x81)
  }
  const close = closeFrame(3008, 'slow'.repeat(100))
  t.equal(close.length, 127)
  t.equal(close.readUInt16BE(2), 3008)
  t.end()
})

t.test('a stream ends with the words why, a WebSocket with its close frame', (t) => {
  const { json, protobuf, codec } = createWires()
  const { code, reason } = DISCONNECTS.invalidToken
  const push = { push: { disconnect: { code, reason } } }
  const last = (wire: typeof json.sse) => wire.farewell(DISCONNECTS.invalidToken)
  t.same(JSON.parse(last(json.http_stream).toString()), push)
  t.same(
    JSON.parse(
      last(json.sse)
        .toString()
        .replace(/^data: /, ''),
    ),
    push,
  )
  t.same(last(protobuf.http_stream), codec.reply(push))
  for (const wire of [json.websocket, protobuf.websocket]) t.same(last(wire), closeFrame(code, reason))
  t.end()
})
