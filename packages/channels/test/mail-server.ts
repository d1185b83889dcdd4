import { openSender, type Verdict } from '../src/index.js'
import { never, outgoing, PATIENT } from './fixtures.js'
import { type Answer, type Asked, startScriptedSmtp } from './scripted-smtp.js'

/** A mail to somebody. */
export const to = (email: string, message = {}) => outgoing({ kind: 'email', email }, message)

/** A server that answers as told, and a sender to it without TLS. */
export async function meet(
  t: { teardown(end: () => Promise<void>): void },
  answer: (asked: Asked, line: string) => Answer | undefined,
  more: object = {},
  requestMs = PATIENT.requestMs,
) {
  const server = await startScriptedSmtp(answer)
  const sender = openSender(
    'smtp',
    { host: '127.0.0.1', port: server.port, plaintext: true, from: 'bells@a.example', ...more },
    { timeouts: { ...PATIENT, requestMs }, mailRelays: 'private' },
  )
  t.teardown(async () => {
    await sender[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  return { server, send: (...batch: ReturnType<typeof to>[]) => sender.send(batch, never()) }
}

/** The verdict's kind, and whether it only suspends. */
export function wordOf(verdict: Verdict | undefined): string {
  return verdict?.kind === 'address' && verdict.suspend ? 'address suspend' : (verdict?.kind ?? 'none')
}
