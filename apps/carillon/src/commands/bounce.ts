import { messageOf, readSecretFiles } from '@carillon/service'
import type { CommandContext } from '../cli.js'
import { reachAddress } from '../mesh/reach.js'
import { EXIT } from '../terminal/failure.js'
import { readInput } from '../terminal/read-input.js'

/** `sysexits.h`: the mail server keeps the mail and tries again. */
const EX_TEMPFAIL = 75
/** What tells comes before the mail that is returned; the rest of a large one needn't travel. */
const MAX_BYTES = 1024 * 1024
const TIMEOUT_MS = 30_000
/** Answers about the caller or the moment, not about the mail. */
const TRY_AGAIN = new Set([401, 403, 408, 415, 425, 429])

/**
 * `carillon bounce`: hands a mail that came back in, from standard input, as mail servers pipe it. Exit code 0: done, or
 * it will never be of use; 75: keep it and try again.
 */
export async function bounce(args: { recipient?: string }, context: CommandContext): Promise<number> {
  const raw = await readInput(MAX_BYTES)
  try {
    const env = await readSecretFiles(context.env)
    const { url, apiKey } = await reachAddress({ ...context, env })
    // Postfix tells its pipes so
    const recipient = args.recipient ?? env.ORIGINAL_RECIPIENT ?? env.RECIPIENT ?? ''
    const query = recipient === '' ? '' : `?recipient=${encodeURIComponent(recipient)}`
    const answer = await fetch(`${url.replace(/\/+$/, '')}/v1/callbacks/mail${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'message/rfc822' },
      body: raw,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await answer.text()
    if (answer.ok) {
      process.stdout.write(`${text}\n`)
      return EXIT.ok
    }
    process.stderr.write(`${answer.status} ${text}\n`)
    return answer.status >= 500 || TRY_AGAIN.has(answer.status) ? EX_TEMPFAIL : EXIT.ok
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    return EX_TEMPFAIL
  }
}
