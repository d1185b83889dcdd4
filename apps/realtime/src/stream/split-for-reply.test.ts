import t from 'tap'
import { jsonText } from '../protocol/json.js'
import { EncodedFrame } from './encoded-frame.js'
import { clientInfo } from './publisher-info.js'
import { splitForReply } from './split-for-reply.js'

const channel = { name: 'room:a', tag: 'aaaa', epoch: 'e' }
const frame = (sequence: number, json: string, info: object = {}, key?: string) =>
  new EncodedFrame(channel, {
    sequence,
    previous: sequence - 1,
    json,
    info: clientInfo({ user: 'anna', client: 'c', info }),
    key,
  })

t.test('a reply ends at half a MiB of all that it says, and what is left is whole and in order', (t) => {
  const cases = {
    'large bodies': (n: number) => frame(n, JSON.stringify({ text: 'x'.repeat(4_000) })),
    'publishers of many words': (n: number) => frame(n, '{}', { about: 'é'.repeat(2_000) }),
    'long keys': (n: number) => frame(n, '{}', {}, `${n}${'k'.repeat(2_000)}`),
  }
  for (const [name, make] of Object.entries(cases)) {
    const frames = Array.from({ length: 300 }, (_, index) => make(index + 1))
    const { publications, behind } = splitForReply(frames)
    const bytes = Buffer.byteLength(jsonText(publications))
    t.ok(bytes > 500_000 && bytes <= 524_288, `${name}: ${bytes} bytes`)
    t.same(
      [...publications.map(({ offset }) => offset), ...behind.map(({ sequence }) => sequence)],
      frames.map(({ sequence }) => sequence),
    )
  }
  t.end()
})

t.test('a reply says one publication in any case, and nothing when there is none', (t) => {
  const huge = frame(1, JSON.stringify({ text: 'x'.repeat(600_000) }))
  t.equal(splitForReply([huge, frame(2, '{}')]).publications.length, 1)
  t.same(splitForReply([]), { publications: [], behind: [] })
  t.end()
})
