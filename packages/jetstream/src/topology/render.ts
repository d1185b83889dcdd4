import { stringify } from 'yaml'
import type { Topology } from './load.js'
import { renderPermissions } from './permissions.js'

export type Rendering = 'permissions' | 'json' | 'nack'

/**
 * The topology in another form: `permissions` the server's accounts and users, `json` whole configurations as the
 * JetStream API takes them, `nack` resources for the Kubernetes controller.
 */
export function renderTopology(topology: Topology, rendering: Rendering): string {
  switch (rendering) {
    case 'permissions':
      return renderPermissions(topology)
    case 'json':
      return `${JSON.stringify(topology, undefined, 2)}\n`
    case 'nack':
      return renderNack(topology)
  }
}

const NANOS_TO_SECONDS = 1_000_000_000
const NACK_DURATIONS = new Set(['max_age', 'duplicate_window', 'ack_wait'])
const NACK_NAMES: Record<string, string> = {
  num_replicas: 'replicas',
  ack_wait: 'ackWait',
  max_deliver: 'maxDeliver',
  allow_atomic: 'allowAtomicPublish',
}

function renderNack(topology: Topology): string {
  const resources = topology.streams.flatMap((stream) => [
    resource('Stream', stream.name, nackSpec(stream.config)),
    ...stream.consumers.map((consumer) =>
      resource('Consumer', `${stream.name}-${consumer.name}`, {
        streamName: stream.name,
        ...nackSpec(consumer.config),
      }),
    ),
  ])
  return resources.map((value) => stringify(value)).join('---\n')
}

function resource(kind: string, name: string, spec: Record<string, unknown>): Record<string, unknown> {
  const resourceName = name.toLowerCase().replaceAll('_', '-')
  return { apiVersion: 'jetstream.nats.io/v1beta2', kind, metadata: { name: resourceName }, spec }
}

function nackSpec(config: Record<string, unknown>): Record<string, unknown> {
  const spec: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(config)) {
    if (name === 'name' && 'durable_name' in config) continue
    const key = NACK_NAMES[name] ?? name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    spec[key] = NACK_DURATIONS.has(name) ? `${Number(value) / NANOS_TO_SECONDS}s` : value
  }
  return spec
}
