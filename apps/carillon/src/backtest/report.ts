import { CHANNELS } from '@carillon/contracts'
import pc from 'picocolors'
import type { Candidates } from './candidates.js'
import type { Backtest } from './run-backtest.js'
import type { Comparison, PersonChange, Side } from './tally.js'

/** What every backtest has to say of itself. */
export const LABEL = "judged with today's preferences and devices"

/** A backtest for people. */
export function backtestText(
  { draft, draftName, published }: Candidates,
  { events, first, last, more, cut, comparison }: Backtest,
  seconds: number,
): string {
  const { runs, waiting } = comparison
  const against = published === undefined ? 'nothing that is published' : `version ${published.version}`
  const period = first === null || last === null ? '' : ` from ${minute(first)} to ${minute(last)}`
  const lines = [
    `${pc.bold(draft.key)}: ${draftName} against ${against}, ${LABEL}`,
    '',
    `${number(events)} events replayed${period}, ${rate(events, seconds)}`,
    ...(more ? [pc.yellow('There are more events: raise --limit to replay them too.')] : []),
    ...cut.map((group) => pc.yellow(`${group} is too large: only some of its members were judged.`)),
    '',
    ...table('', [
      ['runs', runs],
      ...CHANNELS.map((channel) => [channel, comparison.channels[channel]] as const).filter(
        ([, counts]) => counts.published + counts.draft > 0,
      ),
      ...(waiting.published + waiting.draft > 0 ? ([['still waiting', waiting]] as const) : []),
    ]),
  ]
  const withheld = Object.entries(comparison.withheld).sort(([a], [b]) => (a < b ? -1 : 1))
  if (withheld.length > 0) lines.push('', ...table('withheld', withheld))
  lines.push('', ...changes('more', comparison.more), ...changes('less', comparison.less))
  if (comparison.examples.length > 0)
    lines.push('', pc.dim('for example'), ...comparison.examples.map(exampleText))
  return lines.join('\n')
}

function table(title: string, rows: readonly (readonly [string, Record<Side, number>])[]): string[] {
  const width = Math.max(16, ...rows.map(([name]) => name.length)) + 2
  const line = (cells: readonly string[], paint = (text: string) => text) =>
    paint(
      `  ${cells.map((cell, column) => (column === 0 ? cell.padEnd(width) : cell.padStart(11))).join('')}`,
    )
  return [
    line([title, 'published', 'draft', '+/-'], pc.dim),
    ...rows.map(([name, { published, draft }]) =>
      line([name, number(published), number(draft), signed(draft - published)]),
    ),
  ]
}

function changes(word: 'more' | 'less', { people, top }: Comparison['more']): string[] {
  if (people === 0) return [`  nobody would get ${word}`]
  const shown = top.map(
    ({ person, draft, published }: PersonChange) => `${person} ${signed(draft - published)}`,
  )
  return [
    `  ${number(people)} ${people === 1 ? 'person' : 'people'} would get ${word}: ${shown.join(', ')}${people > top.length ? ', …' : ''}`,
  ]
}

function exampleText({ person, event, published, draft }: Comparison['examples'][number]): string {
  const told = (channels: readonly string[]) => (channels.length === 0 ? 'nothing' : channels.join(', '))
  return `  ${person} of ${event}: ${told(published)} → ${told(draft)}`
}

function number(value: number): string {
  return value.toLocaleString('en')
}

function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value)
}

function rate(events: number, seconds: number): string {
  return `${seconds.toFixed(1)} s, ${number(Math.round(events / Math.max(seconds, 0.001)))} events/s`
}

function minute(moment: string): string {
  return `${moment.slice(0, 16).replace('T', ' ')}Z`
}
