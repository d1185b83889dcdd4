import { createCipheriv, createECDH, hkdfSync, randomBytes, sign } from 'node:crypto'
import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { connect as connectTls } from 'node:tls'
import type { FcmDevice, Simulators, SimulatorsConnection, WebPushDevice } from '../src/index.js'

/** What came back for one request. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: Record<string, unknown>
}

/** One HTTP/2 connection to a simulator, without any provider's library between. */
export interface RawSession extends Disposable {
  session: ClientHttp2Session
  post(path: string, headers: Record<string, string>, body: string | Buffer): Promise<Answer>
}

/** Rejects what the peer cuts. `authority`: the name that the request is for. */
export function openSession(port: number, ca: string, authority: string): RawSession {
  const session = connect(`https://127.0.0.1:${port}`, { ca })
  // each request reports its own failure
  session.on('error', () => undefined)
  return {
    session,
    post: (path, headers, body) =>
      new Promise((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          ':authority': authority,
          ...headers,
        })
        let status = 0
        let answered: Record<string, string> = {}
        let text = ''
        stream.on('response', (all) => {
          status = Number(all[':status'])
          answered = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]))
        })
        stream.setEncoding('utf8')
        stream.on('data', (part: string) => {
          text += part
        })
        stream.on('error', reject)
        stream.on('close', () => {
          if (status > 0) resolve({ status, headers: answered, body: parse(text) })
          else reject(new Error('closed without an answer'))
        })
        stream.end(body)
      }),
    [Symbol.dispose]: () => session.destroy(),
  }
}

/** What a raw client has to know of simulators. */
export interface Reach {
  ca: string
  fcm: Pick<Simulators['fcm'], 'port' | 'credentials'>
  apns: Pick<Simulators['apns'], 'port' | 'credentials'>
  webpush: Pick<Simulators['webpush'], 'port' | 'credentials' | 'origin'>
}

/** Simulators in another process. */
export function reachOf({ ca, ports, credentials, webPushOrigin: origin }: SimulatorsConnection): Reach {
  return {
    ca,
    fcm: { port: ports.fcm, credentials: credentials.fcm as Reach['fcm']['credentials'] },
    apns: { port: ports.apns, credentials: credentials.apns as Reach['apns']['credentials'] },
    webpush: {
      port: ports.webpush,
      origin,
      credentials: credentials.webpush as Reach['webpush']['credentials'],
    },
  }
}

/** FCM with a fresh access token. */
export async function openFcm({ fcm, ca }: Pick<Reach, 'ca' | 'fcm'>) {
  const wire = openSession(fcm.port, ca, 'fcm.googleapis.com')
  const now = Math.floor(Date.now() / 1000)
  const { client_email: iss, private_key: key } = fcm.credentials
  const assertion = jws(
    { alg: 'RS256' },
    {
      iss,
      exp: now + 3600,
      aud: 'https://oauth2.googleapis.com/token',
      scope: 'https://www.googleapis.com/auth/firebase.messaging',
    },
    (text) => sign('sha256', Buffer.from(text), String(key)),
  )
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion })
  const granted = await wire.post('/token', {}, form.toString())
  const authorization = `Bearer ${granted.body.access_token}`
  const path = `/v1/projects/${fcm.credentials.project_id}/messages:send`
  return {
    ...wire,
    authorization,
    request: (body: object) => wire.post(path, { authorization }, JSON.stringify(body)),
    send: (message: object) => wire.post(path, { authorization }, JSON.stringify({ message })),
    topics: (how: 'Add' | 'Remove', topic: string, devices: readonly Pick<FcmDevice, 'token'>[]) =>
      wire.post(
        `/iid/v1:batch${how}`,
        { authorization, access_token_auth: 'true' },
        JSON.stringify({
          to: `/topics/${topic}`,
          registration_tokens: devices.map(({ token }) => token),
        }),
      ),
  }
}

/** APNs with a provider token; `issuedAt` in seconds. */
export function openApns({ apns, ca }: Pick<Reach, 'ca' | 'apns'>, issuedAt = Math.floor(Date.now() / 1000)) {
  const wire = openSession(apns.port, ca, 'api.sandbox.push.apple.com')
  const { keyId: kid, teamId: iss, key, bundleId } = apns.credentials
  const token = jws({ alg: 'ES256', kid }, { iss, iat: issuedAt }, (text) =>
    sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }),
  )
  return {
    ...wire,
    send: (device: string, payload: object, headers: Record<string, string> = {}) =>
      wire.post(
        `/3/device/${device}`,
        {
          authorization: `bearer ${token}`,
          'apns-topic': bundleId,
          'apns-push-type': 'alert',
          ...headers,
        },
        JSON.stringify(payload),
      ),
  }
}

/** A push service with a VAPID header for our key. */
export function openWebPush({ webpush, ca }: Pick<Reach, 'ca' | 'webpush'>) {
  const wire = openSession(webpush.port, ca, `127.0.0.1:${webpush.port}`)
  const { publicKey, privateKey, subject } = webpush.credentials
  const point = Buffer.from(publicKey, 'base64url')
  const jwk = {
    ...{ kty: 'EC', crv: 'P-256', d: privateKey },
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  }
  const claims = { aud: webpush.origin, exp: Math.floor(Date.now() / 1000) + 3600, sub: subject }
  const token = jws({ alg: 'ES256' }, claims, (text) =>
    sign('sha256', Buffer.from(text), { key: jwk, format: 'jwk', dsaEncoding: 'ieee-p1363' }),
  )
  const authorization = `vapid t=${token}, k=${publicKey}`
  return {
    ...wire,
    send: (
      device: Pick<WebPushDevice, 'id' | 'subscription'>,
      payload: object,
      headers: Record<string, string> = {},
    ) =>
      wire.post(
        `/push/${device.id}`,
        { authorization, ttl: '3600', 'content-encoding': 'aes128gcm', ...headers },
        encrypt(device.subscription.keys, JSON.stringify(payload)),
      ),
  }
}

/** A mail session after STARTTLS and a login. `say` resolves to the last line of the answer. */
export async function openSmtp({ smtp, ca }: Pick<Simulators, 'smtp' | 'ca'>) {
  let socket: Socket = connectTcp(smtp.port, '127.0.0.1')
  let lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const answer = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done || / /.test(value[3] ?? '')) return value ?? ''
    }
  }
  const say = (line: string) => {
    socket.write(`${line}\r\n`)
    return answer()
  }
  const greeting = await answer()
  if (greeting.startsWith('220')) {
    await say('EHLO test')
    await say('STARTTLS')
    socket = connectTls({ socket, ca, servername: 'localhost' })
    lines = createInterface({ input: socket })[Symbol.asyncIterator]()
    await say('EHLO test')
    const { user, password } = smtp.credentials
    await say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`)
  }
  return { greeting, say, [Symbol.dispose]: () => void socket.destroy() }
}

function jws(header: object, claims: object, signing: (text: string) => Buffer): string {
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${text}.${signing(text).toString('base64url')}`
}

/** RFC 8291, one record. */
function encrypt(keys: { p256dh: string; auth: string }, text: string): Buffer {
  const ours = createECDH('prime256v1')
  ours.generateKeys()
  const theirs = Buffer.from(keys.p256dh, 'base64url')
  const salt = randomBytes(16)
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), theirs, ours.getPublicKey()])
  const shared = ours.computeSecret(theirs)
  const secret = Buffer.from(hkdfSync('sha256', shared, Buffer.from(keys.auth, 'base64url'), info, 32))
  const derive = (label: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', secret, salt, `Content-Encoding: ${label}\0`, bytes))
  const cipher = createCipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12))
  const size = Buffer.alloc(5)
  size.writeUInt32BE(4096)
  size[4] = 65
  return Buffer.concat([
    ...[salt, size, ours.getPublicKey()],
    ...[cipher.update(`${text}\u0002`), cipher.final(), cipher.getAuthTag()],
  ])
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { text }
  }
}
