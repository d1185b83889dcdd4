import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'

/** `carillon explain`: the story of one notification, or of every notification that an event made. */
export async function explainNotification(
  args: { id: string; source: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const id = encodeURIComponent(args.id)
  const story =
    (await found(carillon.call<Story>('GET', `/v1/notifications/${id}/explain`))) ??
    (await storiesOfEvent(carillon, id)) ??
    (await storiesOfEvent(carillon, id, args.source))
  if (story === undefined) {
    throw new CommandError(`Nothing is known of "${args.id}".`, {
      remedy:
        'Give the id of a notification (from the inbox or a frame) or of an event; of one from elsewhere also its --source.',
    })
  }
  process.stdout.write(args.json === true ? `${JSON.stringify(story, null, 2)}\n` : `${textOf(story)}\n`)
  return EXIT.ok
}

/** By our id, or by the CloudEvents id within a source. */
async function storiesOfEvent(
  carillon: CarillonClient,
  id: string,
  source?: string,
): Promise<Story | undefined> {
  const query = source === undefined ? '' : `?source=${encodeURIComponent(source)}`
  const event = await found(carillon.call<{ runs: { id: string }[] }>('GET', `/v1/events/${id}${query}`))
  if (event === undefined) return undefined
  const runs: { text: string }[] = []
  for (const run of event.runs) runs.push(await carillon.call('GET', `/v1/notifications/${run.id}/explain`))
  return runs.length === 0 ? { text: 'The event is kept; it told nobody.' } : { runs }
}

interface Story {
  text?: string
  runs?: { text: string }[]
}

function textOf(story: Story): string {
  return story.text ?? (story.runs ?? []).map((run) => run.text).join('\n\n')
}

/** Undefined for what doesn't exist; every other failure is one. */
async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof CarillonClientError && (error.status === 404 || error.status === 400))
      return undefined
    throw error
  }
}
