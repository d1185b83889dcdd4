import t from 'tap'
import { createRoom } from './room.js'

t.test(
  'a broadcast holds still while a queue of its lane is long, and asks at most twice a second',
  async (t) => {
    const waiting: Record<string, number> = { 'push-bulk': 50_001, 'email-bulk': 3, 'push-high': 0 }
    let nowMs = 0
    let asked = 0
    const room = createRoom({
      now: () => nowMs,
      unhandled: async (_, durable) => {
        asked++
        return waiting[durable] ?? 0
      },
    })
    t.ok(room.has('bulk', ['push']), 'nobody knows yet')
    await room.look('bulk', ['push', 'email'])
    await room.look('bulk', ['push', 'email'])
    t.equal(asked, 2, 'once for each queue')
    t.notOk(room.has('bulk', ['push']))
    t.notOk(room.has('bulk', ['email', 'push']))
    t.ok(room.has('bulk', ['email']), 'another channel goes on')
    t.ok(room.has('high', ['push']), 'another lane goes on')
    t.ok(room.has('bulk', []), 'an inbox has room')
    waiting['push-bulk'] = 50_000
    nowMs = 499
    await room.look('bulk', ['push'])
    t.notOk(room.has('bulk', ['push']))
    nowMs = 500
    await room.look('bulk', ['push'])
    t.ok(room.has('bulk', ['push']))
  },
)
