import { isIP, connect as netConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { guardedLookup } from '../egress/agent.js'
import { createEgressGuard } from '../egress/guard.js'
import { ChannelError } from '../errors.js'
import type { ChannelSettings } from '../settings.js'

interface Dial {
  host: string
  port: number
  /** TLS from the first byte. */
  secure: boolean
  connectMs: number
  tls: object
}

type Dialled = (error: Error | null, socket?: { connection: Socket; secured: boolean }) => void

/**
 * Opens the connection to a mail server in the library's place, which would dial whatever its host leads to. The name is
 * resolved once, every address it has is checked, and a checked address is dialled, so a name that changes its mind
 * gains nothing. TLS is made here where it comes first, since the library loses what was wrong with a certificate.
 */
export function guardedDial(dial: Dial, settings: ChannelSettings) {
  const allowPrivate = settings.allowPrivateEgress === true || settings.mailRelays === 'private'
  const guard = createEgressGuard({ allowPrivate })
  const { host, port, secure, connectMs } = dial
  const to = { host, port, lookup: guardedLookup(guard) as never }
  return (_options: unknown, callback: Dialled): void => {
    if (isIP(host) !== 0 && !guard.allows(host)) {
      callback(new ChannelError('EGRESS_REFUSED', 'Refused: the mail server has a private address.'))
      return
    }
    const socket = secure
      ? tlsConnect({ ...to, ...(isIP(host) === 0 ? { servername: host } : {}), ...dial.tls })
      : netConnect(to)
    let settled = false
    const settle = (error: Error | null) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      if (error === null) {
        socket.off('error', settle)
        callback(null, { connection: socket, secured: secure })
        return
      }
      socket.destroy()
      callback(error instanceof ChannelError ? error : unreached(error))
    }
    const timer = setTimeout(() => settle(new Error('No connection in time.')), connectMs)
    socket.on('error', settle)
    socket.once(secure ? 'secureConnect' : 'connect', () => settle(null))
  }
}

/** As the library names it: what the system or TLS said stands in `originalCode`. */
function unreached(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException
  return Object.assign(new Error(error.message), { code: 'ESOCKET', originalCode: code, command: 'CONN' })
}
