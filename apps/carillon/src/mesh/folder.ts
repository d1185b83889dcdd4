import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** Where one installation on this machine keeps its engines' data and its keys: `.carillon` in the project. */
export interface MeshFolder {
  root: string
  nats: string
  postgres: string
  redis: string
  keys: string
  port: string
  lock: string
  /** Addresses of the engines while they run; holds a password, so it is readable by its owner alone. */
  addresses: string
  /** Address of the webhook catcher while it runs: what `${WEBHOOK_URL}` in workflow files stands for. */
  webhookUrl: string
}

/** Folders of the mesh under `base`; `CARILLON_DIR` names another place, so that two can run at a time. */
export async function openMeshFolder(base: string, directory: string | undefined): Promise<MeshFolder> {
  const root = resolve(base, directory ?? '.carillon')
  // the engines may run under another uid as root: it has to pass through, but not to list
  await mkdir(join(root, 'data'), { recursive: true, mode: 0o711 })
  return {
    root,
    nats: join(root, 'data', 'nats'),
    postgres: join(root, 'data', 'postgres'),
    redis: join(root, 'data', 'redis'),
    keys: join(root, 'keys.json'),
    port: join(root, 'port'),
    lock: join(root, 'running'),
    addresses: join(root, 'addresses.json'),
    webhookUrl: join(root, 'webhook-url'),
  }
}
