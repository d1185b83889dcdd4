import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  defaultCacheRoot,
  EngineFailed,
  EngineUnavailable,
  fetchDebian,
  freePort,
  launch,
  libraryFolders,
  selfIdentity,
} from '@carillon/engines'
import { type SkippableScope, useFolder } from './scope.js'

/** Another process may be quicker to take a port that was free. */
const ATTEMPTS = 3

/**
 * nginx as it comes, in front of `target`: it buffers what it passes on unless an answer says otherwise. Gives its
 * address; undefined, with a named skip, where it can't be had.
 */
export async function useNginx(t: SkippableScope, target: string): Promise<string | undefined> {
  let root: string
  try {
    root = await fetchDebian({
      name: 'nchan',
      packages: ['nginx-core', 'libnginx-mod-nchan'],
      suite: 'own',
      dependencies: 'missing',
      cacheRoot: defaultCacheRoot(),
      remedy: 'Only Debian and Ubuntu have it in their archive.',
    })
  } catch (error) {
    if (!(error instanceof EngineUnavailable)) throw error
    t.pass('behind nginx', { skip: error.message })
    return undefined
  }
  const folder = await useFolder(t, 'carillon-nginx')
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(t, { root, folder, target })
    } catch (error) {
      if (!(error instanceof EngineFailed) || attempt === ATTEMPTS) throw error
    }
  }
}

async function start(
  t: SkippableScope,
  { root, folder, target }: { root: string; folder: string; target: string },
): Promise<string> {
  const port = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr notice; worker_processes 1; user root;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass ${target}; proxy_set_header Host $http_host; }
  }
}
`,
  )
  const nginx = await launch({
    engine: 'nginx',
    command: [join(root, 'usr/sbin/nginx'), '-p', folder, '-e', 'stderr', '-c', file],
    env: { ...process.env, LD_LIBRARY_PATH: (await libraryFolders(root)).join(':') },
    identity: await selfIdentity('SIGTERM'),
    ready: /start worker process \d/,
    stopSignal: 'SIGTERM',
  })
  t.teardown(() => nginx.stop())
  return `http://127.0.0.1:${port}`
}
