import { type AddressInfo, createServer, type Socket } from 'node:net'

/** What a mail server is asked: its greeting, the first word of a command, or the end of a mail's content. */
export type Asked =
  | 'GREETING'
  | 'EHLO'
  | 'STARTTLS'
  | 'AUTH'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'CONTENT'
  | 'RSET'
  | 'QUIT'

/** A line to answer with; with `close` it hangs up behind the line, or without a word. */
export type Answer = string | { line?: string; close: true } | 'silence'

export interface ScriptedSmtp extends AsyncDisposable {
  readonly port: number
  readonly connections: number
  /** Every line that was read outside of a mail's content. */
  readonly commands: string[]
  /** Mails that were read to their end, and how many recipients each had. `taken` also when the answer was lost. */
  readonly mails: { messageId: string; recipients: number; taken: boolean; content: string }[]
}

const USUAL: Record<Asked, string> = {
  GREETING: '220 scripted ESMTP',
  EHLO: '250-scripted\r\n250 AUTH PLAIN',
  STARTTLS: '502 5.5.1 not implemented',
  AUTH: '235 2.7.0 ok',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go on',
  CONTENT: '250 2.0.0 taken',
  RSET: '250 ok',
  QUIT: '221 bye',
}

/** A mail server without TLS that answers as it is told, and as usual where `answer` says nothing. */
export async function startScriptedSmtp(
  answer: (asked: Asked, line: string) => Answer | undefined,
): Promise<ScriptedSmtp> {
  const sockets = new Set<Socket>()
  const commands: string[] = []
  const mails: ScriptedSmtp['mails'] = []
  let connections = 0
  const server = createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    let held = ''
    let content: string | undefined
    let recipients = 0
    const say = (asked: Asked, line: string): boolean => {
      const told = answer(asked, line) ?? USUAL[asked]
      if (told === 'silence') return false
      const text = typeof told === 'string' ? told : told.line
      if (text !== undefined) socket.write(`${text}\r\n`)
      if (typeof told !== 'string' || asked === 'QUIT') socket.end()
      // what it says nothing about may have been done
      return text === undefined || /^[23]/.test(text)
    }
    const onCommand = (line: string) => {
      commands.push(line)
      const asked = (line.split(/[\s:]/)[0]?.toUpperCase() ?? '') as Asked
      if (asked === 'MAIL') recipients = 0
      const went = say(Object.hasOwn(USUAL, asked) ? asked : 'RSET', line)
      if (asked === 'RCPT' && went) recipients++
      if (asked === 'DATA' && went) content = ''
    }
    socket.on('data', (bytes) => {
      held += bytes.toString('latin1')
      for (let end = held.indexOf('\r\n'); end !== -1 && !socket.writableEnded; end = held.indexOf('\r\n')) {
        const line = held.slice(0, end)
        held = held.slice(end + 2)
        if (content === undefined) onCommand(line)
        else if (line !== '.') content += `${line}\r\n`
        else {
          const mail = {
            content,
            messageId: /^Message-ID: (\S+)/im.exec(content)?.[1] ?? '',
            recipients,
            taken: false,
          }
          mails.push(mail)
          content = undefined
          mail.taken = say('CONTENT', mail.messageId)
        }
      }
    })
    say('GREETING', '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    commands,
    mails,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
