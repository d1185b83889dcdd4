import { randomBytes } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import type { Readable } from 'node:stream'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import type { Identity } from './authority.js'
import { createFaults, type FaultReply, type Faults } from './faults.js'
import type { Inbox } from './inbox.js'

export interface SmtpSimulator extends AsyncDisposable {
  readonly port: number
  /** Matched against recipients. `body` of a status is the server's line. */
  readonly faults: Faults
  /** Matched against recipients once the mail was read, before it is acknowledged. */
  readonly contentFaults: Faults
  readonly counters: { connections: number; mails: number }
  readonly credentials: {
    host: string
    port: number
    user: string
    password: string
    from: string
    fromName: string
  }
  /** Cuts every connection. */
  cut(): void
}

const USER = 'carillon'
const MAX_BYTES = 10 * 1024 * 1024

/**
 * A submission server with STARTTLS and a login; every mail it takes is parsed into the inbox. Recipients of the form
 * `bounce-550@…` are refused with that code.
 */
export async function startSmtp(identity: Identity, inbox: Inbox): Promise<SmtpSimulator> {
  const password = randomBytes(16).toString('base64url')
  const counters = { connections: 0, mails: 0 }
  const faults = createFaults({ status: 451, body: '4.3.0 temporarily unavailable' })
  const contentFaults = createFaults({ status: 451, body: '4.3.0 temporarily unavailable' })
  const sockets = new Set<Socket>()

  const server = new SMTPServer({
    ...identity,
    size: MAX_BYTES,
    logger: false,
    banner: 'Carillon simulator',
    closeTimeout: 500,
    onConnect(_session, callback) {
      counters.connections++
      callback()
    },
    onAuth(auth, _session, callback) {
      if (auth.username === USER && auth.password === password) callback(null, { user: USER })
      else callback(smtpError(535, '5.7.8 Authentication credentials invalid'))
    },
    onRcptTo(address, session, callback) {
      void problemWith(faults, address.address).then((problem) => {
        if (problem === 'hang') return
        if (problem === 'cut') cutSession(sockets, session.remotePort)
        else callback(problem)
      })
    },
    onData(stream, session, callback) {
      void keepMail({ stream, session, inbox }).then(
        async () => {
          const problem = await problemWith(contentFaults, session.envelope.rcptTo[0]?.address ?? '')
          if (problem === 'hang') return
          if (problem === 'cut') return cutSession(sockets, session.remotePort)
          if (problem === null) counters.mails++
          callback(problem)
        },
        () => callback(smtpError(554, '5.6.0 The mail could not be read')),
      )
    },
  })
  // A client that leaves in the middle of a command is reported here; its own connection is gone already.
  server.on('error', () => undefined)
  server.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve())
  })
  const { port } = server.server.address() as AddressInfo
  return {
    port,
    faults,
    contentFaults,
    counters,
    credentials: {
      host: '127.0.0.1',
      port,
      user: USER,
      password,
      from: 'bells@carillon.example',
      fromName: 'Carillon',
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

interface Arriving {
  stream: Readable
  session: { envelope: { rcptTo: { address: string }[]; mailFrom: false | { address: string } } }
  inbox: Inbox
}

async function keepMail({ stream, session, inbox }: Arriving): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  const source = Buffer.concat(parts)
  const mail = await PostalMime.parse(source)
  const headers = Object.fromEntries(mail.headers.map(({ key, value }) => [key, value]))
  const { mailFrom, rcptTo } = session.envelope
  for (const { address } of rcptTo) {
    inbox.add({
      provider: 'smtp',
      device: address,
      to: address,
      title: mail.subject ?? '',
      body: mail.text ?? '',
      ...(mail.html === undefined ? {} : { html: mail.html }),
      ...optional('nid', headers['x-carillon-notification']),
      ...optional('did', headers['x-carillon-delivery']),
      ...optional('rt', headers['x-carillon-receipt']),
      silent: false,
      raw: {
        headers,
        from: mailFrom ? mailFrom.address : '',
        messageId: mail.messageId ?? '',
        source: source.toString('utf8'),
      },
    })
  }
}

function optional(key: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [key]: value }
}

async function problemWith(faults: Faults, address: string): Promise<Error | 'hang' | 'cut' | null> {
  const fault: Exclude<FaultReply, { latencyMs: number }> | undefined = await faults.take(address)
  if (fault === 'hang') return 'hang'
  if (typeof fault === 'string') return 'cut'
  if (fault) return smtpError(fault.status, String(fault.body ?? 'simulated'))
  const code = Number(/^bounce-([45]\d\d)@/.exec(address)?.[1] ?? 0)
  return code === 0 ? null : smtpError(code, `${String(code)[0]}.1.1 simulated ${code}`)
}

function cutSession(sockets: Set<Socket>, remotePort: number): void {
  for (const socket of sockets) if (socket.remotePort === remotePort) socket.destroy()
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
