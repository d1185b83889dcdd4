import t from 'tap'
import { type Delivery, DeliveryBuffer } from './delivery-buffer.js'

const delivery = (sequence: number, deliveries = 1): Delivery =>
  ({ received: { sequence, deliveries }, reply: '', leasedAt: 0 }) as unknown as Delivery
const numbers = (batch: Delivery[]): number[] => batch.map(({ received }) => received.sequence)

t.test('hands out what is fresh in order and in whole batches', (t) => {
  const buffer = new DeliveryBuffer(3, () => false)
  for (let sequence = 1; sequence <= 5; sequence++) buffer.add(delivery(sequence))
  t.ok(buffer.hasFullBatch)
  t.same(numbers(buffer.take()), [1, 2, 3])
  t.same(numbers(buffer.take()), [4, 5])
  t.same(buffer.take(), [])
  t.end()
})

t.test('a message that failed alone before goes alone', (t) => {
  const buffer = new DeliveryBuffer(10, (sequence) => sequence === 2)
  for (const sequence of [1, 2, 3]) buffer.add(delivery(sequence, 2))
  t.same(numbers(buffer.take()), [1, 3])
  t.same(numbers(buffer.take()), [2])
  t.end()
})

t.test(
  'what came often goes in groups that grow while they go well and shrink to one when they do not',
  (t) => {
    const buffer = new DeliveryBuffer(100, () => false)
    for (let sequence = 0; sequence < 30; sequence++) buffer.add(delivery(sequence, 3))
    const sizes = []
    for (let round = 0; round < 4; round++) {
      sizes.push(buffer.take().length)
      buffer.learn('well')
    }
    t.same(sizes, [1, 2, 4, 8])
    buffer.learn('wrong')
    t.equal(buffer.take().length, 1)
    t.end()
  },
)

t.test('what came six times goes alone, and fresh messages do not starve it nor it them', (t) => {
  const buffer = new DeliveryBuffer(10, () => false)
  buffer.learn('well')
  buffer.learn('well')
  for (let sequence = 0; sequence < 3; sequence++) buffer.add(delivery(sequence, 6))
  const turns = []
  for (let turn = 0; turn < 8; turn++) {
    for (let index = 0; index < 10; index++) buffer.add(delivery(100 + index))
    turns.push(buffer.take().length)
  }
  t.same(turns, [10, 10, 10, 1, 10, 10, 10, 1])
  t.end()
})
