import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  defaultCacheRoot,
  fetchDebian,
  freePort,
  launch,
  libraryFolders,
  selfIdentity,
} from '@carillon/engines'
import { Agent, request } from 'undici'
import { childrenOf, cpuSeconds } from './cpu.js'
import type { Memory } from './realtime-cost.js'

/** nginx with nchan, from the machine's own packages. */
export interface Nchan extends AsyncDisposable {
  port: number
  say(texts: readonly string[]): Promise<void>
  cpuMicros(): Promise<number>
  memory(): Promise<Memory>
}

/** The channel that everybody hears. */
export const ROOM = 'fan'
const CONNECTIONS = 19_000
/** nchan insists on the package's folder for bodies, which only an installed nginx has: a view of files of its own. */
const OWN_FILES = [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'],
  'mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/nginx && exec "$@"',
  'sh',
]

/** @throws EngineUnavailable where there are no Debian packages, EngineFailed where namespaces are not allowed */
export async function startNchan(): Promise<Nchan> {
  const root = await fetchDebian({
    name: 'nchan',
    packages: ['nginx-core', 'libnginx-mod-nchan'],
    suite: 'own',
    dependencies: 'missing',
    cacheRoot: defaultCacheRoot(),
    remedy: 'It is measured on Debian only.',
  })
  const folder = await mkdtemp(join(tmpdir(), 'carillon-nchan-'))
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(root, folder, port))
  const nginx = await launch({
    engine: 'nchan',
    command: [...OWN_FILES, join(root, 'usr/sbin/nginx'), '-p', folder, '-e', 'stderr', '-c', file],
    env: { ...process.env, LD_LIBRARY_PATH: (await libraryFolders(root)).join(':') },
    identity: await selfIdentity('SIGTERM'),
    ready: /start worker process \d/,
    stopSignal: 'SIGTERM',
  })
  const agent = new Agent({ connections: 16, pipelining: 1 })
  const post = async (text: string) => {
    const url = `http://127.0.0.1:${port}/publish/${ROOM}`
    const { body } = await request(url, { method: 'POST', body: text, dispatcher: agent })
    await body.dump()
  }
  return {
    port,
    say: async (texts) => void (await Promise.all(texts.map(post))),
    cpuMicros: async () => (await cpuSeconds(nginx.pid)) * 1e6,
    async memory() {
      const sizes = await Promise.all([nginx.pid, ...(await childrenOf(nginx.pid))].map(residentBytes))
      const rss = sizes.reduce((sum, size) => sum + size, 0)
      return { rss, held: rss }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy()
      await nginx.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024
}

function configuration(root: string, folder: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  return `
load_module ${root}/usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; pid ${folder}/nginx.pid; error_log stderr notice;
user root;
worker_processes 1; worker_rlimit_nofile ${CONNECTIONS + 500};
events { worker_connections ${CONNECTIONS}; }
http {
  access_log off; ${temporary}
  nchan_shared_memory_size 512M; nchan_message_buffer_length 20;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/publish/(.+)$ { nchan_publisher; nchan_channel_id $1; }
    location ~ ^/ws/(.+)$ { nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }
    location ~ ^/sse/(.+)$ { nchan_subscriber eventsource; nchan_channel_id $1; nchan_subscriber_first_message newest; }
  }
}
`
}
