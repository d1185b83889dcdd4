/** Anything the server's configuration format can hold. */
export type ConfigValue =
  | string
  | number
  | boolean
  | readonly ConfigValue[]
  | { readonly [key: string]: ConfigValue }

export interface NatsClusterOptions {
  readonly name: string
  /** Port for the other nodes. */
  readonly port: number
  /** Addresses of all nodes' cluster ports, `nats://127.0.0.1:…`. */
  readonly routes: readonly string[]
}

export interface NatsSettings {
  readonly serverName: string
  readonly dataDir: string
  readonly port: number
  readonly monitorPort: number
  /** When stored messages reach the disk: `always` before each acknowledgement, or an interval such as `2m`. */
  readonly syncInterval: string
  /** Limit of the message store, such as `8GB`; undefined takes the server's own, which depends on the disk. */
  readonly maxStore: string | undefined
  readonly maxPayloadBytes: number
  readonly cluster: NatsClusterOptions | undefined
  /** Merged over everything above, objects key by key. */
  readonly extraConfig: Readonly<Record<string, ConfigValue>>
}

/** The text of a server configuration on loopback: JetStream and a monitor, no WebSocket, no MQTT, no default user. */
export function renderNatsConfig(settings: NatsSettings): string {
  const { cluster } = settings
  const base: Record<string, ConfigValue> = {
    server_name: settings.serverName,
    listen: address(settings.port),
    http: address(settings.monitorPort),
    max_payload: settings.maxPayloadBytes,
    jetstream: {
      store_dir: settings.dataDir,
      sync_interval: settings.syncInterval,
      ...(settings.maxStore !== undefined && { max_file_store: settings.maxStore }),
    },
    ...(cluster && {
      cluster: { name: cluster.name, listen: address(cluster.port), routes: cluster.routes },
    }),
  }
  return Object.entries(merge(base, settings.extraConfig))
    .map(([key, value]) => `${key}: ${JSON.stringify(value, null, 2)}\n`)
    .join('')
}

function address(port: number): string {
  return `127.0.0.1:${port}`
}

function merge(
  base: Readonly<Record<string, ConfigValue>>,
  over: Readonly<Record<string, ConfigValue>>,
): Record<string, ConfigValue> {
  const merged: Record<string, ConfigValue> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key]
    merged[key] = isSection(under) && isSection(value) ? merge(under, value) : value
  }
  return merged
}

function isSection(value: ConfigValue | undefined): value is Record<string, ConfigValue> {
  return typeof value === 'object' && !Array.isArray(value)
}
