import t from 'tap'
import { TokenVerifier } from '../src/access/identity.js'
import { KnownTokens } from '../src/access/known-tokens.js'
import { signToken, TOKEN_KEY } from './mesh.js'

t.test('a token is good until its end, read for the first time or again', async (t) => {
  let now = Date.now()
  const verifier = new TokenVerifier(TOKEN_KEY, () => now)
  const token = await signToken({ user: 'anna', rooms: ['a'], expiresInSeconds: 60 })
  const first = await verifier.verify(token)
  t.match(first, { tenant: 'acme', externalId: 'anna', claims: { rooms: ['a'] } })
  now = first.expiresAtMs - 1
  t.equal(await verifier.verify(token), first, 'what it said is remembered')
  now = first.expiresAtMs + 1_000
  await t.rejects(verifier.verify(token), { code: 'TOKEN_EXPIRED' })
  await t.rejects(verifier.verify(token), { code: 'TOKEN_EXPIRED' }, 'and again')
})

t.test('nothing is remembered of a token that was refused', async (t) => {
  const verifier = new TokenVerifier(TOKEN_KEY, Date.now)
  const forged = await signToken({ key: Buffer.alloc(32, 8) })
  for (let time = 0; time < 2; time++) await t.rejects(verifier.verify(forged), { code: 'TOKEN_INVALID' })
  const good = await signToken()
  await verifier.verify(good)
  const [head, claims, signature] = good.split('.') as [string, string, string]
  const other = (await signToken({ user: 'ben' })).split('.')[1]
  await t.rejects(verifier.verify([head, other, signature].join('.')), { code: 'TOKEN_INVALID' })
  await t.rejects(verifier.verify(`${head}.${claims}.`), { code: 'TOKEN_INVALID' })
})

t.test('a token that lives long is none for an address, also when it is known', async (t) => {
  const verifier = new TokenVerifier(TOKEN_KEY, Date.now)
  const long = await signToken({ expiresInSeconds: 7_200 })
  await t.rejects(verifier.verify(long, { ticket: true }), { code: 'TICKET_TOO_LONG' })
  t.match(await verifier.verify(long), { externalId: 'anna' })
  await t.rejects(verifier.verify(long, { ticket: true }), { code: 'TICKET_TOO_LONG' })
})

t.test('a token for one channel lets nobody connect, also when it is known', async (t) => {
  const verifier = new TokenVerifier(TOKEN_KEY, Date.now)
  const token = await signToken({ channel: 'room:a', permissions: ['subscribe'] })
  t.match(await verifier.verifyChannel(token), { channel: 'room:a' })
  await t.rejects(verifier.verify(token), { code: 'TOKEN_INVALID' })
  t.match(await verifier.verifyChannel(token), { channel: 'room:a' })
})

t.test('few long tokens are remembered, many short ones', async (t) => {
  const said = { expiresAtMs: Date.now() + 600_000 }
  const remembered = (count: number, length: number): number => {
    const known = new KnownTokens<typeof said>(Date.now)
    const tokens = Array.from({ length: count }, (_, n) => `${n}`.padEnd(length, '.'))
    for (const token of [...tokens, ...tokens.slice(-1)]) known.add(token, said)
    t.equal(known.get(tokens.at(-1) as string), said, 'the last one is')
    return tokens.filter((token) => known.get(token) !== undefined).length
  }
  t.equal(remembered(50_001, 200), 50_000)
  t.equal(remembered(4_100, 4_096), 4_096, '16 MiB in all')
})
