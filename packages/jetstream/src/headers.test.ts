import { headers, type Msg } from '@nats-io/transport-node'
import t from 'tap'
import { encodedHeaders, headerLines, isHeader, readHeaders } from './headers.js'

function received(block: Uint8Array): Msg {
  return { _msg: { hdr: block.length }, _rdata: block } as unknown as Msg
}

/** What the client library sends. */
function encode(value: unknown): Uint8Array {
  return (value as { encode(): Uint8Array }).encode()
}

t.test('what is written is read back by lower-case name', (t) => {
  const written = { 'ce-id': 'a:b', 'CE-Type': 'rides.ride.accepted.v1', empty: '', 'x-text': 'grüße ✓' }
  const block = encode(encodedHeaders(headerLines(written)))
  t.same(Object.fromEntries(readHeaders(received(block))), {
    'ce-id': 'a:b',
    'ce-type': 'rides.ride.accepted.v1',
    empty: '',
    'x-text': 'grüße ✓',
  })
  t.end()
})

t.test('reads what the client library writes, the first of repeated values, and statuses', (t) => {
  const theirs = headers()
  theirs.append('X', '1')
  theirs.append('X', '2')
  const block = encode(theirs)
  t.same([...readHeaders(received(block))], [['x', '1']])
  t.same([...readHeaders(received(Buffer.from('NATS/1.0 404 No Messages\r\n\r\n')))], [])
  t.same([...readHeaders({ _msg: { hdr: -1 }, _rdata: Buffer.from('body') } as unknown as Msg)], [])
  t.same([...readHeaders({ headers: theirs } as unknown as Msg)], [['x', '1']], 'also without a look inside')
  t.end()
})

t.test('leaves out what it is told to', (t) => {
  t.equal(
    headerLines({ a: '1', b: '2' }, (name) => name === 'a'),
    'b: 2\r\n',
  )
  t.end()
})

t.test('a name or value that would break the block is no header', (t) => {
  t.ok(isHeader('ce-type', 'a b:c'))
  for (const [name, value] of [
    ['', 'x'],
    ['a b', 'x'],
    ['a:b', 'x'],
    ['ä', 'x'],
    ['a', 'x\r\nNats-Rollup: all'],
    ['a', 'x\n'],
    ['a', '\0'],
  ] as const) {
    t.notOk(isHeader(name, value), JSON.stringify([name, value]))
  }
  t.end()
})
