import { type Connection, readSubject, streamState } from '@carillon/jetstream'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { connectNats } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { untilStopped } from '../terminal/until-stopped.js'

/** What can be followed: a stream and the subjects in it. */
const FOLLOWED: Readonly<Record<string, readonly [stream: string, subject: string][]>> = {
  events: [['EVENTS', 'evt.>']],
  jobs: [
    ['JOBS_PUSH', 'job.push.>'],
    ['JOBS_EMAIL', 'job.email.>'],
    ['JOBS_WEBHOOK', 'job.webhook.>'],
  ],
  live: [['LIVE', 'rt.>']],
  receipts: [['RECEIPTS', 'rcp.>']],
  audit: [['AUDIT', 'aud.>']],
  dead: [['DEAD_LETTERS', 'dlq.>']],
}

const LOOK_EVERY_MS = 200
const PAGE = 256

/** `carillon tail`: reads streams from their end on, without a consumer, so that following changes nothing. */
export async function tail(
  args: { stream: string; count?: number },
  context: CommandContext,
): Promise<number> {
  const followed = FOLLOWED[args.stream]
  if (followed === undefined) {
    throw new CommandError(`"${args.stream}" can't be followed.`, {
      remedy: `Follow one of ${Object.keys(FOLLOWED).join(', ')}.`,
      exitCode: EXIT.usage,
    })
  }
  await using connection = await connectNats(context, 'carillon-tail')
  const stop = untilStopped()
  let stopped = false
  void stop.stopped.then(() => {
    stopped = true
  })
  const next = new Map<string, number>()
  for (const [stream] of followed) next.set(stream, (await streamState(connection, stream)).lastSequence + 1)
  let left = args.count ?? Number.POSITIVE_INFINITY
  while (!stopped && left > 0) {
    for (const [stream, subject] of followed) left -= await show(connection, { stream, subject }, next, left)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  stop.dispose()
  return EXIT.ok
}

async function show(
  connection: Connection,
  from: { stream: string; subject: string },
  next: Map<string, number>,
  most: number,
): Promise<number> {
  const messages = await readSubject(connection, {
    ...from,
    fromSequence: next.get(from.stream) ?? 1,
    limit: Math.min(PAGE, most),
  })
  for (const message of messages) {
    next.set(from.stream, message.sequence + 1)
    const time = new Date(message.timestampMs).toISOString().slice(11, 23)
    const reason = message.headers.get('carillon-reason')
    const text = Buffer.from(message.body).toString('utf8').slice(0, 2_000)
    process.stdout.write(
      `${pc.dim(time)} ${pc.cyan(message.subject)}${reason === undefined ? '' : ` ${pc.red(reason)}`} ${text}\n`,
    )
  }
  return messages.length
}
