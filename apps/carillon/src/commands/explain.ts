import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { type Moment, timeLine, wrapped } from '../terminal/paragraphs.js'

interface Story {
  text: string
  reasons?: Moment[]
  /** Stories of an event's first runs. */
  runs?: { text: string; reasons: Moment[] }[]
}

/** `carillon explain`: the story of one notification, of an event for one person, or of an event as a whole. */
export async function explainNotification(
  args: { id: string; user?: string; source: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  const { story, whereItMayBe } = await search(carillon, args)
  if (story === undefined) {
    throw new CommandError(`Nothing is known of "${args.id}".`, {
      remedy: `Give the id of a notification (from the inbox or a frame) or of an event; of one from elsewhere also its --source. ${whereItMayBe}`,
    })
  }
  process.stdout.write(args.json === true ? `${JSON.stringify(story, null, 2)}\n` : `${shown(story)}\n`)
  return EXIT.ok
}

/** As a notification, then as an event by our id, then by the CloudEvents id within a source. */
async function search(
  carillon: CarillonClient,
  { id, user, source }: { id: string; user?: string; source: string },
): Promise<{ story: Story | undefined; whereItMayBe: string }> {
  const named = encodeURIComponent(id)
  const of = user === undefined ? '' : `user=${encodeURIComponent(user)}`
  const event = `/v1/events/${named}/explain`
  const paths = [
    ...(user === undefined ? [`/v1/notifications/${named}/explain`] : []),
    `${event}?${of}`,
    `${event}?${of}&source=${encodeURIComponent(source)}`,
  ]
  let whereItMayBe = ''
  for (const path of paths) {
    try {
      return { story: await carillon.call<Story>('GET', path.replace('?&', '?')), whereItMayBe }
    } catch (error) {
      if (!(error instanceof CarillonClientError) || (error.status !== 404 && error.status !== 400))
        throw error
      whereItMayBe = error.message
    }
  }
  return { story: undefined, whereItMayBe }
}

/** The paragraph first, then the time line; of an event as a whole, its runs after it. */
function shown(story: Story): string {
  // what goes into a pipe stays in one line, so that it can be searched
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY
  const runs = story.reasons === undefined ? (story.runs ?? []) : []
  return [story, ...runs]
    .map(({ text, reasons = [] }) =>
      [wrapped(text, width), ...(reasons.length === 0 ? [] : [timeLine(reasons, width)])].join('\n\n'),
    )
    .join('\n\n')
}
