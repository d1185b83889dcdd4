import type { DomainEvent, Lane } from '@carillon/contracts'
import {
  awaitedBy,
  type CompiledWorkflow,
  createCalendar,
  createReplay,
  type Decision,
} from '@carillon/decisions'
import type { CarillonClient } from '@carillon/sdk'
import type { Candidates } from './candidates.js'
import { createMeshDirectory, type MeshRules } from './mesh-directory.js'
import { type Comparison, createTally, type Side } from './tally.js'

/** What a backtest came to. */
export interface Backtest {
  events: number
  /** Moments of the first and the last event, RFC 3339; null when there was none. */
  first: string | null
  last: string | null
  /** True when there were more events than the limit. */
  more: boolean
  /** Groups of whom only some were looked up. */
  cut: readonly string[]
  comparison: Comparison
}

export interface BacktestOptions {
  candidates: Candidates
  rules: MeshRules
  /** Milliseconds. */
  since: number
  until: number
  /** Most events. */
  limit: number
  /** After every page: how many events so far, and the moment that was reached. */
  onProgress: (events: number, at: number) => void
}

const PAGE = 1_000
/** Starts a workflow by its key. */
const TRIGGER_TYPE = 'carillon.trigger.v1'

/**
 * Replays recorded events through the draft and the published version side by side, a page at a time: memory grows with
 * the people concerned and what waits, not with the events.
 */
export async function runBacktest(
  carillon: Pick<CarillonClient, 'call'>,
  options: BacktestOptions,
): Promise<Backtest> {
  const { candidates, rules, since, until } = options
  const directory = createMeshDirectory(carillon, rules)
  const tally = createTally()
  const sides = sidesOf(candidates)
  const replays = sides.map(({ side, workflows }, place) =>
    createReplay({
      workflows,
      people: directory.people[place as 0 | 1],
      calendar: createCalendar(),
      caps: rules.caps,
      onDecided: (decision: Decision) => {
        if (decision.workflow === candidates.draft.key) tally.add(side, decision)
      },
    }),
  )
  const all = sides.flatMap(({ workflows }) => workflows)
  const query = { types: typesOf(all), since: iso(since), until: iso(until) }
  let [count, first, last] = [0, undefined as number | undefined, since]
  let after: string | null = null
  let more = false
  while (!more) {
    const page: Page = await readPage(carillon, {
      ...query,
      after,
      limit: Math.min(PAGE, options.limit + 1 - count),
    })
    const events = page.events.slice(0, options.limit - count)
    more = events.length < page.events.length
    await directory.prepare(events.map(eventOf), all)
    for (const recorded of events) {
      const at = Math.max(last, Date.parse(recorded.firstSeen))
      for (const replay of replays) replay.accept(eventOf(recorded), at)
      first ??= at
      last = at
    }
    count += events.length
    options.onProgress(count, last)
    after = page.next
    if (after === null) break
  }
  for (const replay of replays) {
    // what waited beyond the last event is followed to the end of the period
    if (!more) replay.advanceTo(Math.max(last, until))
    replay.end()
  }
  const ends = count === 0 ? { first: null, last: null } : { first: iso(first ?? since), last: iso(last) }
  return { events: count, ...ends, more, cut: directory.cut(), comparison: tally.compare() }
}

function sidesOf({ draft, published, related }: Candidates): { side: Side; workflows: CompiledWorkflow[] }[] {
  return [
    { side: 'draft', workflows: [draft, ...related] },
    { side: 'published', workflows: published === undefined ? [] : [published, ...related] },
  ]
}

/** What begins these workflows and what they wait for. */
function typesOf(workflows: readonly CompiledWorkflow[]): string {
  const awaited = workflows.flatMap(({ definition }) => awaitedBy(definition).map(({ type }) => type))
  return [...new Set([...workflows.flatMap(({ types }) => types), ...awaited, TRIGGER_TYPE])].join(',')
}

interface Recorded {
  id: string
  source: string
  eventId: string
  type: string
  subject: string | null
  time: string | null
  lane: Lane
  data: unknown
  firstSeen: string
}

interface Page {
  events: Recorded[]
  next: string | null
}

function readPage(
  carillon: Pick<CarillonClient, 'call'>,
  {
    types,
    since,
    until,
    after,
    limit,
  }: { types: string; since: string; until: string; after: string | null; limit: number },
): Promise<Page> {
  const query = new URLSearchParams({ types, since, until, limit: String(limit) })
  if (after !== null) query.set('after', after)
  return carillon.call<Page>('GET', `/v1/events?${query}`)
}

function eventOf({ source, eventId: id, type, subject, time, lane, data }: Recorded): DomainEvent {
  return {
    tenant: 'backtest',
    lane,
    id,
    source,
    type,
    time: time ?? undefined,
    subject: subject ?? undefined,
    data,
    dataJson: '',
    traceparent: undefined,
  }
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
