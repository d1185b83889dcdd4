import { CarillonClientError } from '@carillon/sdk'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { reachEdge } from '../../mesh/reach.js'
import { CommandError, EXIT } from '../../terminal/failure.js'

interface Step {
  type: string
  outcome: string
  reason?: string
}

interface ShadowAnswer {
  key: string
  shadow: number | null
  comparisons: {
    shadowVersion: number
    publishedVersion: number
    from: string
    to: string
    channels: { channel: string; same: number; more: number; less: number }[]
  }[]
  examples: { event: string; recipient: string; published: Step[]; shadow: Step[] }[]
}

/** Examples that people are shown; `--json` has all. */
const SHOWN_EXAMPLES = 5

/** `carillon workflow shadow`: what a shadow would have told, beside what was told. */
export async function showShadow(
  args: { key: string; json?: boolean },
  context: CommandContext,
): Promise<number> {
  await using carillon = await reachEdge(context, '/carillon/cli')
  let answer: ShadowAnswer
  try {
    answer = await carillon.call<ShadowAnswer>('GET', `/v1/workflows/${encodeURIComponent(args.key)}/shadow`)
  } catch (error) {
    if (!(error instanceof CarillonClientError) || error.status !== 404) throw error
    throw new CommandError(`"${args.key}" has no shadow.`, {
      remedy: 'Push one: carillon workflow push --shadow <file>.',
      cause: error,
    })
  }
  process.stdout.write(
    args.json === true ? `${JSON.stringify(answer, null, 2)}\n` : `${shadowText(answer)}\n`,
  )
  return EXIT.ok
}

function shadowText({ key, shadow, comparisons, examples }: ShadowAnswer): string {
  const now = shadow === null ? 'no shadow is judged now' : `version ${shadow} is judged on live events`
  const lines = [`${pc.bold(key)}: ${now}, nothing of it is sent`]
  if (comparisons.length === 0) lines.push('', '  nothing has happened yet that concerns it')
  for (const { shadowVersion, publishedVersion, from, to, channels } of comparisons) {
    const against = publishedVersion === 0 ? 'nothing published' : `version ${publishedVersion}`
    lines.push(
      '',
      `  version ${shadowVersion} against ${against}, ${from === to ? from : `${from} to ${to}`}`,
    )
    lines.push(pc.dim(`  ${'people told'.padEnd(14)}${['both', 'more', 'less'].map(cell).join('')}`))
    for (const { channel, same, more, less } of channels)
      lines.push(
        `  ${channel.padEnd(14)}${[same, more, less].map((count) => cell(count.toLocaleString('en'))).join('')}`,
      )
  }
  if (examples.length > 0) lines.push('', pc.dim('  for example'))
  for (const { event, recipient, published, shadow: own } of examples.slice(0, SHOWN_EXAMPLES))
    lines.push(
      `  ${recipient} of ${event}:`,
      `    published ${stepsText(published)}`,
      `    shadow    ${stepsText(own)}`,
    )
  return lines.join('\n')
}

function cell(text: string): string {
  return text.padStart(10)
}

function stepsText(steps: readonly Step[]): string {
  if (steps.length === 0) return 'does not begin'
  return steps
    .map(({ type, outcome, reason }) => (outcome === 'deliver' ? type : `${type} ${reason ?? outcome}`))
    .join(', ')
}
