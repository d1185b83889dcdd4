import { CHANNELS } from '@carillon/contracts'
import type { Decision } from '@carillon/decisions'
import { Document, isMap, isSeq, visit } from 'yaml'
import type { LocatedYaml } from './located-yaml.js'
import { type ActualStep, actualSteps, itemsOf } from './outcome-words.js'

/** The test file with its `expect` as it happened; everything else stays, byte for byte. */
export function withExpect(yaml: LocatedYaml, decisions: readonly Decision[]): string {
  const sources = new Set(decisions.map(({ event }) => event.id))
  const written = decisions.map((decision) => expectation(decision, sources.size > 1))
  const text = expectText(written)
  const range = yaml.rangeOf('expect')
  if (range === undefined) return `${yaml.text.replace(/\n*$/, '\n')}${text}`
  const [begin, end] = range
  const after = yaml.text.slice(end)
  return yaml.text.slice(0, begin) + text + (after.trim() === '' ? '' : after.replace(/^\n*/, ''))
}

/** Texts stand on one line, as people write them. */
function expectText(written: readonly object[]): string {
  const document = new Document({ expect: written })
  visit(document, {
    Map(_, map) {
      const inner = map.items.every(({ value }) => !isMap(value) && !isSeq(value))
      if (inner && !map.has('workflow') && !map.items.some(({ key }) => CHANNEL_NAMES.has(String(key))))
        map.flow = true
    },
  })
  return document.toString({ lineWidth: 0 })
}

const CHANNEL_NAMES: ReadonlySet<string> = new Set(CHANNELS)

function expectation(decision: Decision, severalEvents: boolean): object {
  const { workflow, recipient: to, event, state, reason } = decision
  const items = itemsOf(decision)
  return {
    workflow,
    to,
    ...(severalEvents ? { event: event.id } : {}),
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(items === undefined ? {} : { items }),
    steps: stepsOf(decision),
  }
}

/** Texts that were written before, by an earlier step of the run, aren't written again; how a step is sent is. */
function stepsOf(decision: Decision): unknown[] {
  const told = new Set<string>()
  return actualSteps(decision).map((step) => {
    if (step.content === undefined) return written(step)
    const { data: _offered, options, ...texts } = step.content
    const words = JSON.stringify(texts)
    const shown = { ...(told.has(words) ? {} : texts), ...(options === undefined ? {} : { options }) }
    told.add(words)
    return Object.keys(shown).length === 0 ? step.type : { [step.type]: shown }
  })
}

function written({ type, word }: ActualStep): unknown {
  return word === type || word === 'pass' ? type : { [type]: word }
}
