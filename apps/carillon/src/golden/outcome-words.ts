import type { Decision } from '@carillon/decisions'
import { stringify } from 'yaml'
import type { ExpectedRun, ExpectedStep } from './fixture-schema.js'

/** What became of a step, in the words of test files. */
export interface ActualStep {
  type: string
  /** `deliver`, `skip REASON`, `hold REASON`, `wait`, `digest`, or what a branch decided. */
  word: string
  /** Why. */
  detail: string
  /** Texts of what was delivered. */
  content: Readonly<Record<string, unknown>> | undefined
}

/** Steps that only lead on, whose outcome says which way. */
const DECIDING = new Set(['branch', 'experiment'])

export function actualSteps({ steps, content }: Decision): ActualStep[] {
  return steps.map(({ step, type, outcome, reason, detail }) => ({
    type,
    word: wordOf({ type, outcome, reason, detail }),
    detail,
    content:
      outcome === 'deliver'
        ? textsOf(content.inbox, content[type === 'inbox' ? 'inbox' : String(step)])
        : undefined,
  }))
}

/** A step's own texts are whole; one that only says how it is sent shows the shared ones. */
function textsOf(shared: object = {}, own: object = shared): Readonly<Record<string, unknown>> {
  const saysItself = Object.keys(own).some((field) => field !== 'options')
  return saysItself ? { ...own } : { ...shared, ...own }
}

function wordOf({
  type,
  outcome,
  reason,
  detail,
}: {
  type: string
  outcome: string
  reason: string | undefined
  detail: string
}) {
  if (outcome === 'pass') return DECIDING.has(type) ? detail : 'pass'
  return outcome === 'skip' || outcome === 'hold' ? `${outcome} ${reason ?? ''}`.trim() : outcome
}

/** Items of a digest that the decision is the telling of; undefined for every other one. */
export function itemsOf({ digest }: Decision): number | undefined {
  return digest !== undefined && 'items' in digest ? digest.items.length : undefined
}

/** True when a step went as expected; of texts, data and options those are compared that are named. */
export function isAsExpected(expected: ExpectedStep, actual: ActualStep | undefined): boolean {
  if (actual === undefined || expected.type !== actual.type) return false
  if (expected.word === undefined) return !/^(skip|hold)\b/.test(actual.word)
  if (expected.word !== actual.word) return false
  return expected.content === undefined || isWithin(expected.content, actual.content ?? {})
}

/** True when everything that is named is so; lists are whole. */
function isWithin(expected: unknown, actual: unknown): boolean {
  if (typeof expected !== 'object' || expected === null || Array.isArray(expected))
    return JSON.stringify(expected) === JSON.stringify(actual)
  if (typeof actual !== 'object' || actual === null) return false
  return Object.entries(expected).every(([name, value]) =>
    isWithin(value, (actual as Record<string, unknown>)[name]),
  )
}

/** Everything that is expected of a run besides its steps, as it should be and as it is. */
export function fieldsOf(
  expected: ExpectedRun,
  actual: Decision,
): { name: string; expected: unknown; actual: unknown }[] {
  const found: Record<string, unknown> = {
    event: actual.event.id,
    state: actual.state,
    reason: actual.reason,
    items: itemsOf(actual),
  }
  return Object.entries(found)
    .map(([name, value]) => ({ name, expected: expected[name as keyof ExpectedRun], actual: value }))
    .filter((field) => field.expected !== undefined)
}

/** A step as a test file writes it, with the texts that `like` names, or all. */
export function stepText(step: ActualStep | ExpectedStep, like?: ExpectedStep): string {
  const { type, word, content } = step
  if (content !== undefined && (like === undefined || like.content !== undefined)) {
    const fields = like?.content === undefined ? Object.keys(content) : Object.keys(like.content)
    const shown = Object.fromEntries(fields.map((field) => [field, content[field]]))
    return `${type}: ${flow(shown)}`
  }
  return word === undefined || word === type || word === 'pass' ? type : `${type}: ${word}`
}

function flow(value: object): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
}
