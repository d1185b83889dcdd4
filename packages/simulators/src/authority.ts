import { generate } from 'selfsigned'

/** A certificate and its private key, as PEM. */
export interface Identity {
  cert: string
  key: string
}

export interface Authority {
  /** PEM of the authority: what a client has to trust. */
  ca: string
  identity: Identity
}

const NAMES = [
  'localhost',
  'fcm.googleapis.com',
  'oauth2.googleapis.com',
  'iid.googleapis.com',
  'api.push.apple.com',
  'api.sandbox.push.apple.com',
]
const DAY_MS = 86_400_000

/** A private authority, made in memory, and one certificate for every name that the simulators answer to. */
export async function createAuthority(): Promise<Authority> {
  const validity = {
    notBeforeDate: new Date(Date.now() - DAY_MS),
    notAfterDate: new Date(Date.now() + 365 * DAY_MS),
  }
  const base = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256', ...validity } as const
  const authority = await generate([{ name: 'commonName', value: 'Carillon simulators' }], {
    ...base,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  })
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...base,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...NAMES.map((value) => ({ type: 2 as const, value })),
          { type: 7 as const, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return { ca: authority.cert, identity: { cert: leaf.cert, key: leaf.private } }
}
