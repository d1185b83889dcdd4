import { randomBytes } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { createFaults, type Faults } from './faults.js'
import type { ProviderParts } from './provider-parts.js'
import { createQuota } from './quota.js'
import {
  type ArrivalTotals,
  createReceivers,
  type Receivers,
  type SavedReceiver,
  saveReceiver,
} from './receiver.js'
import { keepMail } from './smtp-mail.js'

export interface SmtpLimits {
  /** Connections in a minute of the clock; more are greeted with 421. Absent: any. */
  connectionsPerMinute?: number
  /** Mails in a minute of the clock; more are answered 450 at MAIL FROM. Absent: any. */
  mailsPerMinute?: number
}

export interface SmtpSimulator extends AsyncDisposable {
  readonly port: number
  /** Matched against recipients. `body` of a status is the server's line. */
  readonly faults: Faults
  /** Matched against recipients once the mail was read, before it is acknowledged. */
  readonly contentFaults: Faults
  readonly limits: SmtpLimits
  readonly counters: ArrivalTotals & {
    connections: number
    mails: number
    /** Answers to MAIL, RCPT and DATA that refused, by code. */
    byStatus: Record<string, number>
  }
  readonly credentials: {
    host: string
    port: number
    user: string
    password: string
    from: string
    fromName: string
  }
  /** What each mailbox got. */
  readonly mailboxes: Receivers
  /** Cuts every connection. */
  cut(): void
  /** Mailboxes forget what they got, counters and quotas begin anew. */
  reset(): void
  save(): SavedSmtp
}

export interface SavedSmtp {
  port: number
  password: string
  counters: SmtpSimulator['counters']
  mailboxes: [address: string, mailbox: SavedReceiver][]
}

const USER = 'carillon'
const MAX_BYTES = 10 * 1024 * 1024

/**
 * A submission server with STARTTLS and a login; every mail it takes is parsed into the inbox. Recipients of the form
 * `bounce-550@…` are refused with that code.
 */
export async function startSmtp(parts: ProviderParts, saved?: SavedSmtp): Promise<SmtpSimulator> {
  const { identity, now } = parts
  const password = saved?.password ?? randomBytes(16).toString('base64url')
  const counters = { ...emptyCounters(), ...saved?.counters }
  const mailboxes = createReceivers(saved?.mailboxes)
  const limits: SmtpLimits = {}
  const quota = createQuota(now)
  const faults = createFaults({ status: 451, body: '4.3.0 temporarily unavailable' })
  const contentFaults = createFaults({ status: 451, body: '4.3.0 temporarily unavailable' })
  const sockets = new Set<Socket>()
  const refuse = (error: SmtpError): SmtpError => {
    counters.byStatus[error.responseCode] = (counters.byStatus[error.responseCode] ?? 0) + 1
    return error
  }
  /** Calls back once the latency is over. */
  const later = (answer: () => void) => {
    if (faults.latencyMs > 0) setTimeout(answer, faults.latencyMs)
    else answer()
  }

  const server = new SMTPServer({
    ...identity,
    size: MAX_BYTES,
    logger: false,
    banner: 'Carillon simulator',
    closeTimeout: 500,
    onConnect(_session, callback) {
      counters.connections++
      const wait = quota.take('connections', limits.connectionsPerMinute)
      if (wait === undefined) callback()
      else callback(refuse(smtpError(421, '4.7.0 Too many connections, try again later')))
    },
    onAuth(auth, _session, callback) {
      if (auth.username === USER && auth.password === password) callback(null, { user: USER })
      else callback(smtpError(535, '5.7.8 Authentication credentials invalid'))
    },
    onMailFrom(_address, _session, callback) {
      const wait = quota.take('mails', limits.mailsPerMinute)
      if (wait === undefined) callback()
      else callback(refuse(smtpError(450, '4.2.1 Too many mails, try again later')))
    },
    onRcptTo(address, session, callback) {
      void problemWith(faults, address.address).then((problem) => {
        if (problem === 'hang') return
        if (problem === 'cut') cutSession(sockets, session.remotePort)
        else later(() => callback(problem === null ? null : refuse(problem)))
      })
    },
    onData(stream, session, callback) {
      void keepMail({ stream, session, parts, mailboxes, counters }).then(
        async () => {
          const problem = await problemWith(contentFaults, session.envelope.rcptTo[0]?.address ?? '')
          if (problem === 'hang') return
          if (problem === 'cut') return cutSession(sockets, session.remotePort)
          if (problem === null) counters.mails++
          later(() => callback(problem === null ? null : refuse(problem)))
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
  await new Promise<void>((resolve, reject) => {
    server.server.once('error', reject)
    server.listen(saved?.port ?? 0, '127.0.0.1', () => resolve())
  })
  const { port } = server.server.address() as AddressInfo
  return {
    port,
    faults,
    contentFaults,
    limits,
    counters,
    mailboxes,
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
    reset() {
      mailboxes.clear()
      Object.assign(counters, emptyCounters())
      quota.reset()
    },
    save: () => ({
      port,
      password,
      counters,
      mailboxes: mailboxes.list().map(([address, mailbox]) => [address, saveReceiver(mailbox)]),
    }),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function emptyCounters(): SmtpSimulator['counters'] {
  return { connections: 0, mails: 0, byStatus: {}, received: 0, repeated: 0, shownTwice: 0 }
}

async function problemWith(faults: Faults, address: string): Promise<SmtpError | 'hang' | 'cut' | null> {
  const fault = await faults.take(address)
  if (fault === 'hang') return 'hang'
  if (typeof fault === 'string') return 'cut'
  // a line of SMTP is too short to drip: it comes late
  if (fault && 'dripMs' in fault) await sleep(fault.dripMs)
  else if (fault) return smtpError(fault.status, String(fault.body ?? 'simulated'))
  const code = Number(/^bounce-([45]\d\d)@/.exec(address)?.[1] ?? 0)
  return code === 0 ? null : smtpError(code, `${String(code)[0]}.1.1 simulated ${code}`)
}

function cutSession(sockets: Set<Socket>, remotePort: number): void {
  for (const socket of sockets) if (socket.remotePort === remotePort) socket.destroy()
}

type SmtpError = Error & { responseCode: number }

function smtpError(responseCode: number, message: string): SmtpError {
  return Object.assign(new Error(message), { responseCode })
}
