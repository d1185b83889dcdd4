import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

export interface CarriedMessage {
  sid: string
  from: string
  to: string
  /** Where its states are told; null: nobody wants to know. */
  callback: string | null
}

/** What happens to a text message after it was taken, told through signed status callbacks. */
export interface Carrier extends AsyncDisposable {
  failLater(number: string, code: number): void
  fails(number: string): boolean
  bring(message: CarriedMessage): void
  settled(): Promise<void>
}

/** A text is on the phone a moment after it was taken. */
const BRINGS_AFTER_MS = 150
const CALLBACK_TIMEOUT_MS = 5_000

export function createCarrier(account: {
  accountSid: string
  authToken: string
  counters: { callbacks: number; callbacksRefused: number }
}): Carrier {
  const { accountSid, authToken, counters } = account
  const failing = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const stop = new AbortController()

  const tell = async (message: CarriedMessage, status: string, code?: number): Promise<void> => {
    if (message.callback === null) return
    const form = new URLSearchParams({
      AccountSid: accountSid,
      ApiVersion: '2010-04-01',
      From: message.from,
      MessageSid: message.sid,
      MessageStatus: status,
      SmsSid: message.sid,
      SmsStatus: status,
      To: message.to,
      ...(code === undefined ? {} : { ErrorCode: String(code) }),
    })
    counters.callbacks++
    const answer = await fetch(message.callback, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': sign(authToken, message.callback, form),
      },
      body: form.toString(),
      redirect: 'manual',
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(CALLBACK_TIMEOUT_MS)]),
    })
    await answer.arrayBuffer()
    if (!answer.ok) counters.callbacksRefused++
  }

  const bring = async (message: CarriedMessage): Promise<void> => {
    const code = failing.get(message.to)
    try {
      await sleep(BRINGS_AFTER_MS, undefined, { signal: stop.signal })
      await tell(message, 'sent')
      await tell(message, code === undefined ? 'delivered' : 'undelivered', code)
    } catch {
      // Twilio tells a state once: whoever was away doesn't learn of it.
      counters.callbacksRefused++
    }
  }

  return {
    failLater: (number, code) => void failing.set(number, code),
    fails: (number) => failing.has(number),
    bring(message) {
      const done = bring(message).finally(() => running.delete(done))
      running.add(done)
    },
    async settled() {
      while (running.size > 0) await Promise.all(running)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(running)
    },
  }
}

/** The URL as it was given, then every field by name, each joined to its value. */
function sign(authToken: string, url: string, form: URLSearchParams): string {
  const fields = [...form.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map((entry) => entry.join(''))
  return createHmac('sha1', authToken)
    .update(url + fields.join(''))
    .digest('base64')
}
