import { eventually } from '@carillon/testkit'
import t from 'tap'
import { createFeed, type Latest } from './feed.js'

const place = (key: string, n: number, channel = 'latest:ride-1'): Latest => ({ channel, key, data: { n } })

/** A Carillon that answers when the test says so. */
function useSlow() {
  const calls: { batch: Latest[]; answer(): void; fail(): void }[] = []
  const publish = (batch: Latest[]) =>
    new Promise<void>((answer, fail) => {
      calls.push({ batch, answer, fail: () => fail(new Error('away')) })
    })
  return { calls, publish }
}

const sent = (call: { batch: Latest[] } | undefined) => call?.batch.map(({ key, data }) => [key, data.n])

t.test(
  'what comes while a call is under way goes out with the next one, the newest of each key alone',
  async (t) => {
    const { calls, publish } = useSlow()
    const feed = createFeed(publish, () => t.fail('nothing is lost'))
    feed.push(place('mira', 1))
    feed.push(place('dana', 1))
    await eventually(() => calls.length === 1)
    t.strictSame(
      sent(calls[0]),
      [
        ['mira', 1],
        ['dana', 1],
      ],
      'many drivers in one call',
    )
    for (const n of [2, 3, 4]) feed.push(place('mira', n))
    t.equal(calls.length, 1, 'one call at a time')
    calls[0]?.answer()
    await eventually(() => calls.length === 2)
    t.strictSame(sent(calls[1]), [['mira', 4]])
    calls[1]?.answer()
    await feed[Symbol.asyncDispose]()
  },
)

t.test('a call that fails is told and not repeated', async (t) => {
  const { calls, publish } = useSlow()
  const lost: number[] = []
  const feed = createFeed(publish, (count) => lost.push(count))
  feed.push(place('mira', 1))
  await eventually(() => calls.length === 1)
  feed.push(place('mira', 2))
  calls[0]?.fail()
  await eventually(() => calls.length === 2)
  t.strictSame(lost, [1])
  t.strictSame(sent(calls[1]), [['mira', 2]])
  calls[1]?.answer()
  await feed[Symbol.asyncDispose]()
})

t.test('after a stop nothing of the channel is on its way', async (t) => {
  const { calls, publish } = useSlow()
  const feed = createFeed(publish, () => t.fail('nothing is lost'))
  feed.push(place('mira', 1))
  await eventually(() => calls.length === 1)
  feed.push(place('mira', 2))
  feed.push(place('dana', 1, 'latest:ride-2'))
  let stopped = false
  const stopping = feed.stop('latest:ride-1').then(() => {
    stopped = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(stopped, 'it waits for the call')
  calls[0]?.answer()
  await stopping
  await eventually(() => calls.length === 2)
  t.strictSame(sent(calls[1]), [['dana', 1]])
  calls[1]?.answer()
  await feed[Symbol.asyncDispose]()
})
