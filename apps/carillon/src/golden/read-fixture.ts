import { isTimezone } from '@carillon/decisions'
import {
  type ExpectedRun,
  ExpectedSchema,
  type ExpectedStep,
  type FixtureBody,
  FixtureSchema,
  HAPPENING_SCHEMAS,
  type Happening,
} from './fixture-schema.js'
import { type FileProblem, type LocatedYaml, type Place, readLocated } from './located-yaml.js'
import { type Check, createCheck } from './schema-problems.js'

/** A test file, checked, with the places that differences name. */
export interface Fixture {
  file: string
  yaml: LocatedYaml
  body: Omit<FixtureBody, 'events' | 'expect'>
  happenings: { happening: Happening; place: Place }[]
  /** Undefined when the file expects nothing yet. */
  expected: (ExpectedRun & { place: Place; stepPlaces: Place[] })[] | undefined
}

export type ReadFixture =
  | { ok: true; fixture: Fixture }
  /** `yaml` is undefined for what isn't even YAML. */
  | { ok: false; problems: FileProblem[] }

/** Reads test files; schemas are compiled once. */
export type FixtureReader = (file: string, text: string) => ReadFixture

const DURATION = 'Write a duration like 20s, 10m, 2h or 1d.'
const REMEDIES: Readonly<Record<string, string>> = {
  events: 'Write a list of what happens, or the name of a file of recorded events.',
  after: DURATION,
  advance: DURATION,
  from: 'Write a clock time in quotes, like "22:00".',
  to: 'Name who is told.',
  phone: 'Put it in quotes: "+43 660 1234567".',
  state: 'Write completed, skipped, waiting, digested, cancelled or failed.',
  devices: 'Write [fcm], or [{ kind: fcm, app: customer }]; kinds are fcm, apns and webpush.',
  people: 'Write an object of people by their id.',
  steps: 'Write a list like [inbox, { push: skip UNSUBSCRIBED }].',
}

export function createFixtureReader(): FixtureReader {
  const checkBody = createCheck(FixtureSchema, REMEDIES)
  const checkExpected = createCheck(ExpectedSchema, REMEDIES)
  const checks = Object.entries(HAPPENING_SCHEMAS).map(
    ([name, schema]) => [name, createCheck(schema, REMEDIES)] as const,
  )
  return (file, text) => {
    const read = readLocated(file, text)
    if (!read.ok) return read
    const { yaml } = read
    const shape = checkBody(yaml, yaml.value, [])
    if (shape.length > 0) return { ok: false, problems: shape }
    const { events, expect, ...body } = yaml.value as FixtureBody
    const list = typeof events === 'string' ? [{ recorded: events }] : events
    const problems = [
      ...list.flatMap((entry, index) => happeningProblems(yaml, entry, index, checks)),
      ...(expect ?? []).flatMap((entry, index) => expectedProblems(yaml, entry, index, checkExpected)),
      ...timeProblems(yaml, body),
    ]
    if (problems.length > 0) return { ok: false, problems }
    const happenings = list.map((happening, index) => ({
      happening: happening as Happening,
      place: yaml.placeOf(['events', index]),
    }))
    return { ok: true, fixture: { file, yaml, body, happenings, expected: expectedOf(yaml, expect) } }
  }
}

function happeningProblems(
  yaml: LocatedYaml,
  entry: unknown,
  index: number,
  checks: readonly (readonly [string, Check])[],
): FileProblem[] {
  const found = checks.find(([name]) => typeof entry === 'object' && entry !== null && name in entry)
  if (found !== undefined) return found[1](yaml, entry, ['events', index])
  return [
    {
      ...yaml.placeOf(['events', index]),
      message: 'Nothing that can happen is named here.',
      remedy:
        'Write { type: …, data: … }, { seen: ada, workflow: … }, { cancel: { workflow: …, key: … } }, { advance: 10m } or { recorded: events.json }.',
    },
  ]
}

function expectedProblems(yaml: LocatedYaml, entry: unknown, index: number, check: Check): FileProblem[] {
  const problems = check(yaml, entry, ['expect', index])
  const steps = (entry as { steps?: unknown } | null)?.steps
  if (problems.length > 0 || !Array.isArray(steps)) return problems
  return steps.flatMap((step, place) => {
    if (stepOf(step) !== undefined) return []
    return [
      {
        ...yaml.placeOf(['expect', index, 'steps', place]),
        message: 'This is not an outcome of a step.',
        remedy:
          'Write inbox, { push: skip UNSUBSCRIBED }, { push: hold QUIET_HOURS } or { inbox: { title: … } }.',
      },
    ]
  })
}

function timeProblems(yaml: LocatedYaml, body: Fixture['body']): FileProblem[] {
  const problems: FileProblem[] = []
  if (body.now !== undefined && Number.isNaN(Date.parse(body.now))) {
    const place = yaml.placeOf(['now'])
    problems.push({ ...place, message: `"${body.now}" is no moment.`, remedy: 'Write 2026-03-28T22:30:00Z.' })
  }
  const zones = Object.entries(body.people ?? {}).map(
    ([id, { timezone }]) => [['people', id, 'timezone'], timezone] as const,
  )
  for (const [path, zone] of [[['tenant', 'timezone'], body.tenant?.timezone] as const, ...zones]) {
    if (zone === undefined || isTimezone(zone)) continue
    const message = `"${zone}" is no time zone.`
    problems.push({ ...yaml.placeOf(path), message, remedy: 'Write one like Europe/Vienna.' })
  }
  return problems
}

function expectedOf(yaml: LocatedYaml, expect: readonly unknown[] | undefined): Fixture['expected'] {
  return expect?.map((entry, index) => {
    const { steps, ...rest } = entry as Omit<ExpectedRun, 'steps'> & { steps?: unknown[] }
    const path = ['expect', index]
    const run = { ...rest, place: yaml.placeOf(path), stepPlaces: [] as Place[] }
    if (steps === undefined) return run
    return {
      ...run,
      steps: steps.map((step) => stepOf(step) as ExpectedStep),
      stepPlaces: steps.map((_, place) => yaml.placeOf([...path, 'steps', place])),
    }
  })
}

function stepOf(step: unknown): ExpectedStep | undefined {
  if (typeof step === 'string') return { type: step, word: undefined, content: undefined }
  const entries = typeof step === 'object' && step !== null ? Object.entries(step) : []
  const [type, said] = entries[0] ?? []
  if (entries.length !== 1 || type === undefined) return undefined
  if (typeof said === 'string') return { type, word: said, content: undefined }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return undefined
  return { type, word: 'deliver', content: said as Record<string, unknown> }
}
