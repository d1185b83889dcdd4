import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ContractError, durationMs } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  createCalendar,
  createPeople,
  createReplay,
  type Decision,
  type People,
  type Replay,
} from '@carillon/decisions'
import { parse } from 'yaml'
import type { Happening } from './fixture-schema.js'
import type { FileProblem, Place } from './located-yaml.js'
import type { Fixture } from './read-fixture.js'
import { type RecordedEvent, recordedEvents } from './recorded-events.js'

/** What happened, and for events that began nothing why. */
export interface Played {
  decisions: Decision[]
  /** One sentence for each event, or workflow that listened to it, that told nobody. */
  silences: string[]
}

export type PlayResult = { ok: true; played: Played } | { ok: false; problems: FileProblem[] }

/** When nothing is said of the time. */
const SOME_NOW = Date.parse('2026-01-01T12:00:00Z')

/** Plays a test's events. Offline: what is recorded is read, nothing else. */
export function playFixture(
  fixture: Fixture,
  workflows: readonly CompiledWorkflow[],
  base: string,
): PlayResult {
  const { body, happenings } = fixture
  const recorded = readRecorded(fixture, base)
  if (!recorded.ok) return recorded
  const replay = createReplay({
    workflows,
    people: peopleOf(body),
    calendar: createCalendar(),
    caps: body.tenant?.caps ?? [],
  })
  const silences: string[] = []
  let now = body.now === undefined ? (recorded.first ?? SOME_NOW) : Date.parse(body.now)
  let made = 0
  const accept = ({ event }: RecordedEvent, at: number) => {
    now = Math.max(now, at)
    const { duplicate, outcomes } = replay.accept(event, now)
    if (duplicate) silences.push(`${event.id} came before, and nobody is told twice`)
    else if (outcomes.length === 0) silences.push(`no workflow listens to ${event.type} (${event.id})`)
    for (const outcome of outcomes) {
      if (!outcome.matched)
        silences.push(`${outcome.workflow} was not begun by ${event.id}: ${outcome.detail}`)
      else if (outcome.recipients === 0)
        silences.push(`${outcome.workflow} found nobody to tell of ${event.id}`)
    }
  }
  replay.advanceTo(now)
  for (const { happening, place } of happenings) {
    const at = now + momentOf(happening)
    if ('type' in happening) {
      made++
      accept({ event: eventOf(happening, `event-${made}`), at: undefined }, at)
    } else if ('recorded' in happening) {
      const events = recorded.events.get(place) ?? []
      for (const event of events) accept(event, event.at ?? at)
    } else {
      apply(replay, happening, at)
      now = at
    }
  }
  return { ok: true, played: { decisions: replay.decisions(), silences } }
}

function apply(
  replay: Replay,
  happening: Exclude<Happening, { type: string } | { recorded: string }>,
  at: number,
): void {
  if ('seen' in happening) replay.see({ workflow: happening.workflow, recipient: happening.seen }, at)
  else if ('cancel' in happening) replay.cancel(happening.cancel.workflow, happening.cancel.key, at)
  else replay.advanceTo(at)
}

function momentOf(happening: Happening): number {
  const text = 'advance' in happening ? happening.advance : happening.after
  return text === undefined ? 0 : (durationMs(text) ?? 0)
}

function eventOf(given: Extract<Happening, { type: string }>, id: string): RecordedEvent['event'] {
  const { type, data = null } = given
  return {
    tenant: 'test',
    lane: given.lane ?? 'normal',
    id: given.id ?? id,
    source: given.source ?? '/test',
    type,
    time: given.time,
    subject: given.subject,
    data,
    dataJson: JSON.stringify(data),
    traceparent: undefined,
  }
}

function peopleOf({ tenant = {}, categories = {}, people = {} }: Fixture['body']): People {
  const directory = createPeople({
    locale: tenant.locale ?? 'en',
    timezone: tenant.timezone ?? 'UTC',
    preferences: tenant.preferences,
    quietHours: tenant.quietHours,
    categories: Object.entries(categories).map(([key, { name = key, critical = false, defaults = {} }]) => ({
      key,
      name,
      critical,
      defaults,
    })),
  })
  for (const [id, { topics = [], devices = [], ...person }] of Object.entries(people)) {
    const kinds = devices.map((device) =>
      typeof device === 'string' ? { kind: device, app: 'default' } : { app: 'default', ...device },
    )
    directory.put({ ...person, id, devices: kinds })
    for (const topic of topics) directory.subscribe(topic, id)
  }
  return directory
}

type Recorded =
  | { ok: true; events: Map<Place, RecordedEvent[]>; first: number | undefined }
  | { ok: false; problems: FileProblem[] }

function readRecorded({ file, happenings }: Fixture, base: string): Recorded {
  const events = new Map<Place, RecordedEvent[]>()
  const problems: FileProblem[] = []
  let first: number | undefined
  for (const { happening, place } of happenings) {
    if (!('recorded' in happening)) continue
    const name = happening.recorded
    try {
      const read = recordedEvents(parse(readFileSync(join(base, dirname(file), name), 'utf8')))
      const inOrder = [...read].sort((a, b) => (a.at ?? 0) - (b.at ?? 0))
      events.set(place, inOrder)
      first ??= inOrder[0]?.at
    } catch (error) {
      const remedy = 'Record it with GET /v1/events/:id, or write a list of CloudEvents as JSON.'
      const why =
        (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : describe(error)
      problems.push({ ...place, message: `The recorded events "${name}" can't be read: ${why}`, remedy })
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, events, first }
}

function describe(error: unknown): string {
  if (error instanceof ContractError) return error.message
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
