import { type Connection, wireOf } from '../connection.js'
import { compare, type Difference } from './compare.js'
import { OWNER_METADATA, type StreamSpec, type Topology } from './load.js'
import { type ActualStream, readServerState } from './server-state.js'
import { isImmutable, type Settings } from './settings.js'

/**
 * `create` and `update` are applied. `immutable` can't be: the remedy says how to go on. `orphan` is ours and no
 * longer in the file: deleted only with prune. `foreign` belongs to somebody else and is never touched.
 */
export type Change = 'create' | 'update' | 'immutable' | 'orphan' | 'foreign'

export interface PlanRow {
  change: Change
  kind: 'stream' | 'consumer'
  stream: string
  /** Name of the stream, or `STREAM/durable`. */
  name: string
  differences: Difference[]
  remedy?: string
}

/** What would change, nothing for what is right already. Changes nothing. @throws ApiError */
export async function planTopology(connection: Connection, topology: Topology): Promise<PlanRow[]> {
  const actual = await readServerState(wireOf(connection))
  const rows = topology.streams.flatMap((spec) => planStream(spec, actual.get(spec.name)))
  const names = new Set(topology.streams.map(({ name }) => name))
  for (const [name, { config }] of actual) {
    if (names.has(name)) continue
    rows.push({
      change: isOurs(config) ? 'orphan' : 'foreign',
      kind: 'stream',
      stream: name,
      name,
      differences: [],
    })
  }
  return rows
}

/** What differs between the server and the file, foreign streams and durables left out. @throws ApiError */
export async function driftTopology(connection: Connection, topology: Topology): Promise<PlanRow[]> {
  return (await planTopology(connection, topology)).filter(({ change }) => change !== 'foreign')
}

function planStream(spec: StreamSpec, actual: ActualStream | undefined): PlanRow[] {
  const rows: PlanRow[] = []
  const stream = { kind: 'stream', stream: spec.name, name: spec.name } as const
  if (actual === undefined) rows.push({ ...stream, change: 'create', differences: [] })
  else rows.push(...planUpdate(stream, actual.config, spec.config))
  const wanted = new Set<string>()
  for (const consumer of spec.consumers) {
    wanted.add(consumer.name)
    const existing = actual?.consumers.get(consumer.name)
    const row = { kind: 'consumer', stream: spec.name, name: `${spec.name}/${consumer.name}` } as const
    if (existing === undefined) rows.push({ ...row, change: 'create', differences: [] })
    else rows.push(...planUpdate(row, existing, consumer.config))
  }
  for (const [name, config] of actual?.consumers ?? []) {
    if (wanted.has(name)) continue
    const change = isOurs(config) ? 'orphan' : 'foreign'
    rows.push({ change, kind: 'consumer', stream: spec.name, name: `${spec.name}/${name}`, differences: [] })
  }
  return rows
}

function planUpdate(
  row: Pick<PlanRow, 'kind' | 'stream' | 'name'>,
  actual: Settings,
  desired: Settings,
): PlanRow[] {
  const differences = compare(row.kind, actual, desired)
  if (differences.length === 0) return []
  const fixed = differences.filter(({ setting, to }) => isImmutable(row.kind, setting, to))
  if (fixed.length === 0) return [{ ...row, change: 'update', differences }]
  const settings = fixed.map(({ setting }) => setting).join(', ')
  const remedy =
    row.kind === 'stream'
      ? `NATS can't change ${settings} of a living stream: add a new stream under another name that sources ${row.name}, move its subjects there, let the consumers drain the old one, then delete it.`
      : `NATS can't change ${settings} of a living durable: add a durable under another name and let the old one drain, or delete ${row.name} and apply again (it then starts anew).`
  return [{ ...row, change: 'immutable', differences, remedy }]
}

function isOurs(config: Settings): boolean {
  const metadata = config.metadata
  return typeof metadata === 'object' && !Array.isArray(metadata) && OWNER_METADATA in metadata
}
