import { createHmac, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { jwtVerify, SignJWT } from 'jose'
import t from 'tap'
import { readSignedClaims } from './signed-claims.js'

const bytes = Buffer.alloc(32, 7)
const key = createSecretKey(bytes)
const nowMs = 1_800_000_000_000
const now = nowMs / 1_000
const expected = { issuer: 'carillon', audience: 'carillon', nowMs }

const good = { sub: 'anna', tid: 'acme', iss: 'carillon', aud: 'carillon', iat: now - 5, exp: now + 60 }

function sign(claims: Record<string, unknown>, alg = 'HS256', secret: Uint8Array = bytes): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(secret)
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** What the library says of the same token. */
async function byLibrary(token: string): Promise<boolean> {
  return jwtVerify(token, bytes, {
    algorithms: ['HS256'],
    issuer: 'carillon',
    audience: 'carillon',
    requiredClaims: ['exp'],
    currentDate: new Date(nowMs),
  }).then(
    () => true,
    () => false,
  )
}

const isGood = (token: string) => 'claims' in readSignedClaims(token, key, expected)

t.test('a token signed with our key is read as it was written', async (t) => {
  t.same(readSignedClaims(await sign(good), key, expected), { claims: good })
  t.ok(isGood(await sign({ ...good, aud: ['other', 'carillon'] })))
})

t.test('no token is good with another key, algorithm, audience, issuer or time', async (t) => {
  const [header = '', payload = '', signature = ''] = (await sign(good)).split('.')
  for (const [name, token] of [
    ['another key', await sign(good, 'HS256', Buffer.alloc(32, 8))],
    ['a longer hash', await sign(good, 'HS512')],
    ['no algorithm', `${encoded({ alg: 'none' })}.${payload}.`],
    ['no algorithm, the signature kept', `${encoded({ alg: 'none' })}.${payload}.${signature}`],
    ['claims changed', `${header}.${encoded({ ...good, sub: 'bert' })}.${signature}`],
    [
      'a critical header',
      await new SignJWT(good).setProtectedHeader({ alg: 'HS256', crit: ['b64'], b64: true }).sign(bytes),
    ],
    ['a fourth part', `${header}.${payload}.${signature}.x`],
    ['white space', ` ${header}.${payload}.${signature}`],
    ['a shorter signature', `${header}.${payload}.${signature.slice(0, -4)}`],
    ['another issuer', await sign({ ...good, iss: 'other' })],
    ['another audience', await sign({ ...good, aud: 'other' })],
    ['no audience', await sign({ ...good, aud: undefined })],
    ['no end', await sign({ ...good, exp: undefined })],
    ['an end that is a text', `${header}.${encoded({ ...good, exp: '9' })}.${signature}`],
    ['a beginning to come', await sign({ ...good, nbf: now + 5 })],
  ] as const) {
    t.match(readSignedClaims(token, key, expected), { refused: 'invalid' }, name)
  }
  t.match(readSignedClaims(await sign({ ...good, exp: now }), key, expected), { refused: 'expired' })
})

t.test('whatever is changed in a token, nothing is good here that is not good for the library', async () => {
  const token = await sign(good)
  await fc.assert(
    fc.asyncProperty(
      fc.nat(token.length),
      fc.nat(3),
      fc.stringMatching(/^[A-Za-z0-9._=-]{0,3}$/),
      async (at, drop, insert) => {
        const changed = token.slice(0, at) + insert + token.slice(at + drop)
        // the last character of a signature carries bits that mean nothing
        const same = changed.slice(0, -1) === token.slice(0, -1)
        return same || !isGood(changed) || (await byLibrary(changed))
      },
    ),
    { numRuns: 500 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat'), fc.jsonValue()),
      async (claims) => {
        const signed = `${encoded({ alg: 'HS256' })}.${encoded({ ...good, ...claims })}`
        const whole = `${signed}.${createHmac('sha256', bytes).update(signed).digest('base64url')}`
        return isGood(whole) === (await byLibrary(whole))
      },
    ),
    { numRuns: 500 },
  )
})
