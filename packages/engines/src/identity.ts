import { lstat, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { findOnPath, run, succeeds } from './command.js'
import { EngineUnavailable } from './errors.js'

/** `self`: as we are. The others are ways in which root runs a program that refuses to be root. */
export type IdentityKind = 'self' | 'uid' | 'user-namespace' | 'capability'

/** How to start a program: put `prefix` before its command and spawn with these options. */
export interface Identity {
  readonly kind: IdentityKind
  readonly prefix: readonly string[]
  readonly spawn: { readonly uid?: number; readonly gid?: number }
  /** Who must own the program's data; undefined leaves it alone. */
  readonly owner: number | undefined
}

const nobody = 65534

/**
 * As ourselves, and ended with `deathSignal` when this process dies, where the machine can do that (util-linux's
 * setpriv). Elsewhere only an orderly exit takes the child along.
 */
export async function selfIdentity(deathSignal: string): Promise<Identity> {
  return { kind: 'self', prefix: await dieWithParent(deathSignal), spawn: {}, owner: undefined }
}

/**
 * An identity that is not root. Root becomes uid 65534 where that uid can enter `folders`; under a private folder
 * (a checkout in /root) it stays root outside and is 65534 inside a user namespace of its own; where namespaces are
 * forbidden it becomes 65534 with the one capability of walking through private folders.
 * Throws EngineUnavailable when the machine allows none of the three.
 */
export async function unprivilegedIdentity(options: {
  /** Existing folders that it must be able to enter. */
  readonly folders: readonly string[]
  readonly deathSignal: string
  readonly force?: IdentityKind
}): Promise<Identity> {
  const { folders, deathSignal, force } = options
  if (process.getuid?.() !== 0) return selfIdentity(deathSignal)
  const die = await dieWithParent(deathSignal)
  const asNobody = { uid: nobody, gid: nobody }
  const reachable = force === undefined && (await Promise.all(folders.map(canReach))).every(Boolean)
  if (force === 'uid' || reachable) return { kind: 'uid', prefix: die, spawn: asNobody, owner: nobody }

  const unshare = ['unshare', '-U', `--map-user=${nobody}`, `--map-group=${nobody}`, '--']
  if (force !== 'capability' && (await succeeds('unshare', [...unshare.slice(1), 'true']))) {
    return { kind: 'user-namespace', prefix: [...unshare, ...die], spawn: {}, owner: 0 }
  }
  const setpriv = [
    'setpriv',
    `--reuid=${nobody}`,
    `--regid=${nobody}`,
    '--clear-groups',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    '--',
  ]
  if (await succeeds('setpriv', [...setpriv.slice(1), 'true'])) {
    return { kind: 'capability', prefix: [...setpriv, ...die], spawn: {}, owner: nobody }
  }
  throw new EngineUnavailable(
    'postgres',
    'it refuses to run as root, and no other user may enter this folder',
    'Move the folder out of a private home, run as an ordinary user, or set DATABASE_URL.',
  )
}

/** Hands a folder and all in it to the identity's owner; quick when it already belongs to it. */
export async function takeOwnership(folder: string, identity: Identity): Promise<void> {
  if (identity.owner === undefined) return
  const { uid } = await lstat(folder)
  if (uid !== identity.owner) await run('chown', ['-R', `${identity.owner}:${identity.owner}`, folder])
}

async function dieWithParent(signal: string): Promise<string[]> {
  if (process.platform !== 'linux') return []
  const [setpriv] = await findOnPath(['setpriv'])
  return setpriv && (await succeeds(setpriv, ['--pdeathsig', signal, 'true']))
    ? [setpriv, '--pdeathsig', signal, '--']
    : []
}

async function canReach(path: string): Promise<boolean> {
  for (let folder = await realpath(path); ; folder = dirname(folder)) {
    const { mode, uid } = await stat(folder)
    if ((mode & 0o001) === 0 && !(uid === nobody && mode & 0o100)) return false
    if (folder === dirname(folder)) return true
  }
}
