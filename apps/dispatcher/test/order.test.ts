import { createCalendar, createConditions } from '@carillon/decisions'
import t from 'tap'
import { decideBatch } from '../src/decide-batch.js'
import { createDirectWorkflows } from '../src/direct-workflows.js'
import { createRulesCache } from '../src/rules.js'
import { TENANT, useMesh } from './support.js'

t.test(
  'two dispatchers given the same events in different order write each row once and never deadlock',
  async (t) => {
    const mesh = await useMesh(t)
    await mesh.putWorkflow({
      key: 'capped',
      on: 'a.b.v1',
      to: 'data.user',
      cap: { count: 3, per: '360d' },
      content: { title: 'T', body: 'x' },
      steps: ['inbox', 'email'],
    })
    for (let user = 0; user < 20; user++) await mesh.putUser(`u${user}`, { email: `u${user}@example.com` })
    const events = Array.from({ length: 200 }, (_, index) => {
      // a user identified on the way locks a row of users as well
      const data = { user: { id: `u${index % 20}`, name: `User ${index % 20}` } }
      return {
        tenant: TENANT,
        lane: 'normal' as const,
        id: `e${index}`,
        source: '/test',
        type: 'a.b.v1',
        time: undefined,
        subject: undefined,
        traceparent: undefined,
        data,
        dataJson: JSON.stringify(data),
      }
    })
    const conditions = createConditions()
    const deps = () => ({
      rules: createRulesCache(conditions, () => undefined),
      direct: createDirectWorkflows(),
      calendar: createCalendar(),
      conditions,
      online: async () => new Set<string>(),
      now: Date.now,
      maxAttempts: 3,
      respoolAfterMs: 60_000,
    })
    const decide = async (order: typeof events, size: number) => {
      const own = deps()
      for (let from = 0; from < order.length; from += size) {
        await mesh.database.inTransaction((tx) => decideBatch(tx, order.slice(from, from + size), own))
      }
    }
    for (let round = 0; round < 5; round++) {
      await mesh.rows('TRUNCATE events, runs, deliveries, frequency_counters')
      for (const { relname } of await mesh.rows<{ relname: string }>(
        `SELECT relname FROM pg_class WHERE relname ~ '^event_keys_[0-9]{6}$'`,
      )) {
        await mesh.rows(`TRUNCATE ${relname}`)
      }
      const shuffled = [...events].sort(
        (a, b) =>
          ((Number(a.id.slice(1)) * 7919 + round) % 211) - ((Number(b.id.slice(1)) * 7919 + round) % 211),
      )
      await Promise.all([decide(events, 40), decide([...events].reverse(), 25), decide(shuffled, 33)])
      t.match(
        await mesh.rows(`SELECT (SELECT count(*)::int FROM events) AS events, (SELECT count(*)::int FROM runs) AS runs,
        (SELECT count(*)::int FROM deliveries) AS deliveries, (SELECT max(count) FROM frequency_counters) AS most`),
        [{ events: 200, runs: 200, deliveries: 60, most: 3 }],
      )
    }
  },
)
