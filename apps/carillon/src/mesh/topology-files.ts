import { readFile } from 'node:fs/promises'
import { loadTopology, type Topology } from '@carillon/jetstream'

/** The repository's folder `nats/`, from the compiled module. */
const NATS_FOLDER = new URL('../../../../../nats/', import.meta.url)

/** Reads topology.yaml with one environment's overlay (`single`, `cluster`) and further ones. @throws TopologyError */
export async function readTopology(environment: string, overlays: readonly string[] = []): Promise<Topology> {
  const text = await readFile(new URL('topology.yaml', NATS_FOLDER), 'utf8')
  const overlay = await readFile(new URL(`environments/${environment}.yaml`, NATS_FOLDER), 'utf8')
  return loadTopology(text, [overlay, ...overlays])
}
