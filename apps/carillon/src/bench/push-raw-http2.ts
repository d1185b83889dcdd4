import { createSign } from 'node:crypto'
import { type ClientHttp2Session, connect } from 'node:http2'
import { isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { RawClient } from './push-raw.js'
import type { Seen, Stage } from './push-simulators.js'

/** A request as it goes out. */
export interface Prepared {
  headers: Record<string, string>
  body: Buffer
}

interface Http2Options {
  /** As the certificate names it. */
  host: string
  dial: { host: string; port: number }
  ca: string
  sessions: number
  streams: number
  status: number
}

/** FCM's HTTP v1 API, with one access token fetched beforehand. */
export async function openRawFcm(stage: Stage, seen: Seen): Promise<RawClient> {
  const { endpoints, ca } = stage.settings
  const account = stage.credentials.fcm as Record<'client_email' | 'private_key' | 'project_id', string>
  const options = { host: 'fcm.googleapis.com', dial: endpoints.fcm, ca, status: 200, ...sizeOf(seen) }
  const session = await openSession(options)
  const answer = await ask(session, {
    headers: {
      ':method': 'POST',
      ':path': new URL(endpoints.fcmToken).pathname,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: Buffer.from(
      new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: assertionOf(account),
      }).toString(),
    ),
  })
  session.destroy()
  const { access_token } = JSON.parse(answer.text) as { access_token: string }
  const requests = seen.kept.map(({ raw }) => ({
    headers: {
      ':method': 'POST',
      ':path': `/v1/projects/${account.project_id}/messages:send`,
      'content-type': 'application/json',
      authorization: `Bearer ${access_token}`,
    },
    body: Buffer.from(JSON.stringify({ message: raw })),
  }))
  return openHttp2(options, (index) => requests[index % requests.length] as Prepared)
}

/** APNs' provider API, with the headers and the token that the sender used. */
export async function openRawApns(stage: Stage, seen: Seen): Promise<RawClient> {
  const { endpoints, ca } = stage.settings
  const requests = seen.kept.map(({ to, raw }) => {
    const { headers, payload } = raw as { headers: Record<string, string>; payload: unknown }
    const own = Object.entries(headers).filter(
      ([name]) => name.startsWith('apns-') || name === 'authorization',
    )
    return {
      headers: { ':method': 'POST', ':path': `/3/device/${to}`, ...Object.fromEntries(own) },
      body: Buffer.from(JSON.stringify(payload)),
    }
  })
  const host = 'api.sandbox.push.apple.com'
  return openHttp2(
    { host, dial: endpoints.apns, ca, status: 200, ...sizeOf(seen) },
    (index) => requests[index % requests.length] as Prepared,
  )
}

export function sizeOf(seen: Seen): { sessions: number; streams: number } {
  return { sessions: seen.sessions, streams: seen.streams }
}

export async function openHttp2(
  options: Http2Options,
  requestOf: (index: number) => Prepared,
): Promise<RawClient> {
  const sessions = await Promise.all(Array.from({ length: options.sessions }, () => openSession(options)))
  const send = async (session: ClientHttp2Session, index: number) => {
    const { status } = await ask(session, requestOf(index))
    return status === options.status ? 'accepted' : `status ${status}`
  }
  // APNs allows a single stream until a session has had its first answer
  await Promise.all(sessions.map((session, index) => send(session, index)))
  return {
    lanes: sessions.flatMap((session) =>
      Array.from({ length: options.streams }, () => ({ send: (index: number) => send(session, index) })),
    ),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
    },
  }
}

function openSession({ host, dial, ca }: Http2Options): Promise<ClientHttp2Session> {
  const session = connect(`https://${host}`, {
    maxSessionMemory: 100,
    createConnection: () =>
      connectTls({
        ...dial,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ALPNProtocols: ['h2'],
        ca,
      }),
  })
  return new Promise((resolve, reject) => {
    session.once('error', reject)
    session.once('remoteSettings', () => resolve(session))
  })
}

function ask(
  session: ClientHttp2Session,
  { headers, body }: Prepared,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers)
    let status = 0
    let text = ''
    stream.once('response', (answered) => {
      status = answered[':status'] ?? 0
    })
    stream.on('data', (part: Buffer) => {
      text += part
    })
    stream.once('error', reject)
    stream.once('end', () => resolve({ status, text }))
    stream.end(body)
  })
}

/** What Google's token endpoint takes for an access token (RFC 7523). */
function assertionOf(account: { client_email: string; private_key: string }): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: account.client_email,
    scope: 'https://www.googleapis.com/auth/firebase.messaging',
    aud: 'https://oauth2.googleapis.com/token',
    iat: now,
    exp: now + 3600,
  }
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(account.private_key, 'base64url')}`
}
