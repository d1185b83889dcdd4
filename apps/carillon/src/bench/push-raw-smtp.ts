import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { RawClient, RawLane } from './push-raw.js'
import type { Seen, Stage } from './push-simulators.js'

/** As many as the sender's pool keeps. */
const CONNECTIONS = 5

interface Account {
  host: string
  port: number
  user: string
  password: string
  from: string
}

/** Submission over connections that stay, commands pipelined (RFC 2920), mails made beforehand. */
export async function openRawSmtp(stage: Stage, seen: Seen): Promise<RawClient> {
  const account = stage.credentials.smtp as Account
  const mails = seen.kept.map(({ to, raw }) => {
    const { source } = raw as { source: string }
    const content = Buffer.from(`${source.replace(/(\r\n)?$/, '').replace(/^\./gm, '..')}\r\n.\r\n`)
    const envelope = `MAIL FROM:<${account.from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`
    return { envelope, content }
  })
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => openSubmission(account, stage.settings.ca)),
  )
  const laneOf = (socket: TLSSocket): RawLane => {
    const next = replies(socket)
    return {
      async send(index) {
        const mail = mails[index % mails.length] as (typeof mails)[number]
        socket.write(mail.envelope)
        const codes = [await next(), await next(), await next()]
        if (codes[2] !== 354) return `replies ${codes}`
        socket.write(mail.content)
        const code = await next()
        return code === 250 ? 'accepted' : `reply ${code}`
      },
    }
  }
  return {
    lanes: sockets.map(laneOf),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function openSubmission(account: Account, ca: string): Promise<TLSSocket> {
  const plain = connect(account.port, account.host)
  const greeting = replies(plain)
  await expected(greeting, 220)
  plain.write('EHLO bench\r\n')
  await expected(greeting, 250)
  plain.write('STARTTLS\r\n')
  await expected(greeting, 220)
  plain.removeAllListeners('data')
  const socket = connectTls({ socket: plain, ca, host: account.host })
  const next = replies(socket)
  socket.write('EHLO bench\r\n')
  await expected(next, 250)
  const login = Buffer.from(`\0${account.user}\0${account.password}`).toString('base64')
  socket.write(`AUTH PLAIN ${login}\r\n`)
  await expected(next, 235)
  socket.removeAllListeners('data')
  return socket
}

async function expected(next: () => Promise<number>, code: number): Promise<void> {
  const got = await next()
  if (got !== code) throw new Error(`The mail server answered ${got} where ${code} was expected.`)
}

/** The code of each reply, in order; a reply of several lines counts once. */
function replies(socket: Socket): () => Promise<number> {
  const codes: number[] = []
  const waiting: ((code: number) => void)[] = []
  let rest = ''
  socket.on('data', (part: Buffer) => {
    const lines = (rest + part.toString('latin1')).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line[3] === '-') continue
      const take = waiting.shift()
      if (take) take(Number(line.slice(0, 3)))
      else codes.push(Number(line.slice(0, 3)))
    }
  })
  return () => {
    const code = codes.shift()
    return code === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(code)
  }
}
