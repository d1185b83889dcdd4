import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture } from './steps.mjs'
import { readWorkspace, root } from './workspace.mjs'

const stamp = join(root, 'node_modules', '.carillon-installed')

/** True when node_modules was made from another lockfile, or by nobody. */
export function needsInstall() {
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') !== fingerprint()
}

/** Installs exactly what the lockfile says, with the pnpm that package.json pins. Throws ProgramFailed. */
export async function install(env) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  // Under CI=true pnpm removes a folder of modules that it did not make without asking.
  const args = ['-y', packageManager, 'install', '--frozen-lockfile', '--prefer-offline']
  await capture('npx', args, { cwd: root, env: { ...env, CI: 'true' } })
  writeFileSync(stamp, fingerprint())
}

/**
 * The environment, with caches that can be written: where there is no home, or a read-only one, they go below
 * `.carillon`.
 */
export function writableEnvironment(env) {
  const home = isWritable(env.HOME) ? env.HOME : folder('home')
  const cache = env.npm_config_cache ?? join(home, '.npm')
  return {
    ...env,
    HOME: home,
    npm_config_cache: isWritable(cache) ? cache : folder('npm'),
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
    TURBO_TELEMETRY_DISABLED: '1',
  }
}

function folder(name) {
  const path = join(root, '.carillon', name)
  mkdirSync(path, { recursive: true })
  return path
}

function isWritable(path) {
  if (!path) return false
  try {
    mkdirSync(path, { recursive: true })
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function fingerprint() {
  const manifests = readWorkspace().map(({ folder }) => `${folder}/package.json`)
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...manifests]) {
    hash.update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}
