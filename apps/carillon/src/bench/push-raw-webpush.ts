import { createCipheriv, createECDH, createPrivateKey, hkdfSync, randomBytes, sign } from 'node:crypto'
import type { RawClient } from './push-raw.js'
import { openHttp2, sizeOf } from './push-raw-http2.js'
import type { Seen, Stage } from './push-simulators.js'

const LIFE_SECONDS = 12 * 3600
const RECORD_SIZE = 4096
const LAST_RECORD = 2

interface Subscription {
  endpoint: string
  p256dh: Buffer
  auth: Buffer
}

/**
 * A push service over HTTP/2. Each body is encrypted anew with Node's own cryptography, since it can't be prepared:
 * every message needs its own key pair. The VAPID header is signed once.
 */
export async function openRawWebPush(stage: Stage, seen: Seen): Promise<RawClient> {
  const bodies = seen.kept.map(({ raw }) => Buffer.from(JSON.stringify(raw)))
  const subscriptions = stage.addresses.webpush.flatMap((address): Subscription[] => {
    if (address.kind !== 'webpush') return []
    const [p256dh, auth] = [address.p256dh, address.auth].map((key) => Buffer.from(key, 'base64url'))
    return p256dh && auth ? [{ endpoint: address.endpoint, p256dh, auth }] : []
  })
  const { origin, hostname, port } = new URL(subscriptions[0]?.endpoint ?? '')
  const headers = {
    ':method': 'POST',
    authorization: vapidHeader(stage.credentials.webpush as VapidKeys, origin),
    'content-encoding': 'aes128gcm',
    'content-type': 'application/octet-stream',
    ttl: '3600',
    urgency: 'high',
    topic: 'ride',
  }
  const dial = { host: hostname, port: Number(port) }
  return openHttp2({ host: hostname, dial, ca: stage.settings.ca, status: 201, ...sizeOf(seen) }, (index) => {
    const subscription = subscriptions[index % subscriptions.length] as Subscription
    const path = { ':path': new URL(subscription.endpoint).pathname }
    return {
      headers: { ...headers, ...path },
      body: encrypt(bodies[index % bodies.length] as Buffer, subscription),
    }
  })
}

/** One record of aes128gcm (RFC 8188) to a subscription's keys (RFC 8291). */
function encrypt(plain: Buffer, { p256dh, auth }: Subscription): Buffer {
  const own = createECDH('prime256v1')
  const sender = own.generateKeys()
  const salt = randomBytes(16)
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, sender])
  const secret = Buffer.from(hkdfSync('sha256', own.computeSecret(p256dh), auth, info, 32))
  const derive = (label: string, bytes: number) => Buffer.from(hkdfSync('sha256', secret, salt, label, bytes))
  const key = derive('Content-Encoding: aes128gcm\0', 16)
  const cipher = createCipheriv('aes-128-gcm', key, derive('Content-Encoding: nonce\0', 12))
  const size = Buffer.alloc(5)
  size.writeUInt32BE(RECORD_SIZE)
  size[4] = sender.length
  const sealed = [cipher.update(plain), cipher.update(Buffer.of(LAST_RECORD)), cipher.final()]
  return Buffer.concat([salt, size, sender, ...sealed, cipher.getAuthTag()])
}

interface VapidKeys {
  subject: string
  publicKey: string
  privateKey: string
}

/** RFC 8292: a token for one push service, good for half a day. */
function vapidHeader({ subject, publicKey, privateKey }: VapidKeys, audience: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { aud: audience, exp: Math.floor(Date.now() / 1000) + LIFE_SECONDS, sub: subject }
  const signed = `${part({ typ: 'JWT', alg: 'ES256' })}.${part(claims)}`
  const point = Buffer.from(publicKey, 'base64url')
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((bytes) => bytes.toString('base64url'))
  const key = createPrivateKey({
    key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '', d: privateKey },
    format: 'jwk',
  })
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `vapid t=${signed}.${signature.toString('base64url')}, k=${publicKey}`
}
