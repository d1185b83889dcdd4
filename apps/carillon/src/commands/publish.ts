import { isLane } from '@carillon/contracts'
import type { CommandContext } from '../cli.js'
import { reachEdge } from '../mesh/reach.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { readInput } from '../terminal/read-input.js'

/** `carillon publish`: one event through the edge; prints its id once it is on disk. */
export async function publish(
  args: { type: string; data: string; id?: string; source: string; lane: string },
  context: CommandContext,
): Promise<number> {
  if (!isLane(args.lane)) {
    throw new CommandError(`"${args.lane}" is not a lane.`, {
      remedy: 'Lanes are high, normal and bulk.',
      exitCode: EXIT.usage,
    })
  }
  const text = args.data === '-' ? (await readInput()).toString('utf8') : args.data
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (cause) {
    throw new CommandError('The data is not JSON.', {
      remedy: `Quote it for the shell: carillon publish ${args.type} '{"userId":"ada"}'`,
      exitCode: EXIT.usage,
      cause,
    })
  }
  await using carillon = await reachEdge(context, args.source)
  const { id } = await carillon.publish({
    type: args.type,
    data,
    lane: args.lane,
    ...(args.id === undefined ? {} : { id: args.id }),
  })
  process.stdout.write(`${id}\n`)
  return EXIT.ok
}
