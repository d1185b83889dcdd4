import { api } from '../api.js'
import { type Connection, type Wire, wireOf } from '../connection.js'
import { TopologyError } from '../errors.js'
import type { Topology } from './load.js'
import { type PlanRow, planTopology } from './plan.js'

/**
 * Brings the server to the topology: streams first, then their durables. Sends whole configurations, so that what
 * somebody set by hand is set back. Deletes nothing without `prune`, and then only what carries our metadata.
 * Returns the rows that were applied; running it twice applies nothing the second time.
 * @throws TopologyError `IMMUTABLE` before anything is changed, with the remedies
 * @throws ApiError when the server refuses a change
 */
export async function applyTopology(
  connection: Connection,
  topology: Topology,
  options: { prune?: boolean } = {},
): Promise<PlanRow[]> {
  const wire = wireOf(connection)
  const rows = await planTopology(connection, topology)
  const refused = rows.filter(({ change }) => change === 'immutable')
  if (refused.length > 0) {
    throw new TopologyError(
      'IMMUTABLE',
      refused.map(({ name, remedy }) => `${name}: ${remedy}`),
    )
  }
  const applied: PlanRow[] = []
  for (const kind of ['stream', 'consumer'] as const) {
    for (const row of rows) {
      if (row.kind !== kind || (row.change !== 'create' && row.change !== 'update')) continue
      await write(wire, topology, row)
      applied.push(row)
    }
  }
  if (options.prune === true) {
    for (const kind of ['consumer', 'stream'] as const) {
      for (const row of rows) {
        if (row.kind !== kind || row.change !== 'orphan') continue
        await api(wire, `${kind === 'stream' ? 'STREAM' : 'CONSUMER'}.DELETE.${row.name.replace('/', '.')}`)
        applied.push(row)
      }
    }
  }
  return applied
}

async function write(wire: Wire, topology: Topology, row: PlanRow): Promise<void> {
  const spec = topology.streams.find(({ name }) => name === row.stream)
  if (spec === undefined) return
  if (row.kind === 'stream') {
    await api(wire, `STREAM.${row.change === 'create' ? 'CREATE' : 'UPDATE'}.${spec.name}`, spec.config)
    return
  }
  const consumer = spec.consumers.find(({ name }) => `${spec.name}/${name}` === row.name)
  if (consumer === undefined) return
  await api(wire, `CONSUMER.CREATE.${spec.name}.${consumer.name}`, {
    stream_name: spec.name,
    config: consumer.config,
    action: row.change,
  })
}
