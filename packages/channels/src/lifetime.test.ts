import t from 'tap'
import { secondsToLive } from './lifetime.js'
import type { Message } from './message.js'

t.test('what expires sooner bounds how long a provider keeps it', async (t) => {
  const NOW = 1_760_000_000_000
  const MONTH = 28 * 86_400
  const ttl = (message: Partial<Message>) => secondsToLive({ priority: 'high', ...message }, NOW, MONTH)
  t.equal(ttl({ ttlSeconds: 600, expiresAt: NOW + 60_000 }), 60)
  t.equal(ttl({ ttlSeconds: 600, expiresAt: NOW + 6_000_000 }), 600)
  t.equal(ttl({ ttlSeconds: 10 ** 9 }), MONTH)
  t.equal(ttl({}), 86_400)
  t.equal(ttl({ expiresAt: NOW + 7 * 86_400_000 }), 7 * 86_400)
  t.equal(ttl({ expiresAt: NOW - 1 }), 0)
})
