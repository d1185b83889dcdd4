import type { Decision } from '@carillon/decisions'
import type { Place } from './located-yaml.js'
import { actualSteps, fieldsOf, isAsExpected, stepText } from './outcome-words.js'
import type { Fixture } from './read-fixture.js'

/** One line of a comparison: as it should be, as it is, or both. */
export interface ComparedLine {
  mark: ' ' | '-' | '+'
  text: string
  /** Why it is so. */
  why?: string
}

/** A run that isn't as expected. */
export interface Difference {
  /** Of the expectation, or of all of them when nothing like it was expected. */
  place: Place
  title: string
  lines: ComparedLine[]
}

type Expected = NonNullable<Fixture['expected']>[number]

/** Compares what was expected with what happened: nothing more, nothing less. */
export function compareDecisions(
  expected: readonly Expected[],
  actual: readonly Decision[],
  listed: Place,
): Difference[] {
  const left = new Set(actual)
  const pairs = new Map<Expected, Decision>()
  const pair = (fits: (one: Expected, decision: Decision) => boolean) => {
    for (const one of expected) {
      if (pairs.has(one)) continue
      const found = [...left].find((decision) => isMeant(one, decision) && fits(one, decision))
      if (found === undefined) continue
      left.delete(found)
      pairs.set(one, found)
    }
  }
  // those that fit keep their partners from those that don't
  pair((one, decision) => compareRun(one, decision) === undefined)
  pair(() => true)
  const differences = expected.flatMap((one) => {
    const decision = pairs.get(one)
    return (decision === undefined ? missing(one) : compareRun(one, decision)) ?? []
  })
  return [...differences, ...[...left].map((decision) => unexpected(decision, listed))]
}

function isMeant({ workflow, to, event }: Expected, decision: Decision): boolean {
  return (
    workflow === decision.workflow &&
    to === decision.recipient &&
    (event === undefined || event === decision.event.id)
  )
}

/** Undefined when a run is as expected. */
function compareRun(expected: Expected, actual: Decision): Difference | undefined {
  const lines: ComparedLine[] = []
  let place: Place | undefined
  for (const { name, expected: wanted, actual: found } of fieldsOf(expected, actual)) {
    if (wanted === found) lines.push({ mark: ' ', text: `${name}: ${found}` })
    else {
      place ??= expected.place
      lines.push(
        { mark: '-', text: `${name}: ${wanted}` },
        { mark: '+', text: `${name}: ${found ?? 'none'}` },
      )
    }
  }
  const steps = expected.steps === undefined ? [] : alignSteps(expected, actual)
  lines.push(...steps.map(({ line }) => line))
  place ??= steps.find(({ line }) => line.mark !== ' ')?.place
  const title = `${actual.workflow} for ${actual.recipient} (${actual.event.id})`
  return place === undefined ? undefined : { place, title, lines }
}

/** Steps side by side: those that are as expected in their order, the others marked. */
function alignSteps(expected: Expected, actual: Decision): { line: ComparedLine; place: Place }[] {
  const wanted = expected.steps ?? []
  const found = actualSteps(actual)
  const longest = commonLengths(wanted.length, found.length, (a, b) => {
    const step = wanted[a]
    return step !== undefined && isAsExpected(step, found[b])
  })
  const lines: { line: ComparedLine; place: Place }[] = []
  let [a, b] = [0, 0]
  while (a < wanted.length || b < found.length) {
    const place = expected.stepPlaces[a] ?? expected.place
    const [should, is] = [wanted[a], found[b]]
    const common = should !== undefined && is !== undefined && isAsExpected(should, is)
    if (common && longest(a, b) === longest(a + 1, b + 1) + 1) {
      lines.push({ place, line: { mark: ' ', text: stepText(is, should) } })
      a++
      b++
    } else if (should !== undefined && (is === undefined || longest(a + 1, b) >= longest(a, b + 1))) {
      lines.push({ place, line: { mark: '-', text: stepText(should) } })
      a++
    } else if (is !== undefined) {
      const like = wanted.find(({ type }) => type === is.type)
      lines.push({ place, line: { mark: '+', text: stepText(is, like), why: is.detail } })
      b++
    }
  }
  return lines
}

/** Lengths of the longest common subsequence from each pair of places on. */
function commonLengths(
  one: number,
  other: number,
  same: (a: number, b: number) => boolean,
): (a: number, b: number) => number {
  const lengths = Array.from({ length: one + 1 }, () => new Array<number>(other + 1).fill(0))
  const at = (a: number, b: number) => lengths[a]?.[b] ?? 0
  for (let a = one - 1; a >= 0; a--) {
    for (let b = other - 1; b >= 0; b--) {
      const row = lengths[a] as number[]
      row[b] = same(a, b) ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1))
    }
  }
  return at
}

function missing({ workflow, to, place, steps = [] }: Expected): Difference {
  return {
    place,
    title: `${workflow} for ${to}: it did not happen`,
    lines: steps.map((step) => ({ mark: '-', text: stepText(step) })),
  }
}

function unexpected(decision: Decision, place: Place): Difference {
  const { workflow, recipient, event, state } = decision
  return {
    place,
    title: `${workflow} for ${recipient} (${event.id}): it was not expected`,
    lines: [
      { mark: '+', text: `state: ${state}` },
      ...actualSteps(decision).map((step) => ({
        mark: '+' as const,
        text: stepText(step),
        why: step.detail,
      })),
    ],
  }
}
