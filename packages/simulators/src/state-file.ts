import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { SimulatorsRefused } from './main-options.js'
import type { SimulatorsState } from './state.js'

/** What the file holds: the simulators and the port they are steered by. */
export interface StateFile {
  controlPort: number
  simulators: SimulatorsState
}

/**
 * Undefined when there is no such file.
 * @throws SimulatorsRefused for a file that is none of this version
 */
export function readState(path: string): StateFile | undefined {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as StateFile
    if (file.simulators?.version === 1) return file
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new SimulatorsRefused(`${path} can't be read: ${String(error)}`, { cause: error })
  }
  throw new SimulatorsRefused(`${path} is no state of these simulators`)
}

/**
 * Writes the file a moment after something changed, whole or not at all, never taking more than a tenth of the time,
 * and once more when it is disposed. After SIGKILL the last moment is missing.
 */
export interface StateKeeper extends AsyncDisposable {
  /** Resolves once what is there now was written. Rejects when it can't be. */
  saved(): Promise<void>
}

const MOMENT_MS = 200

/** `version` says, cheaply, whether anything changed; `state` is asked only when it did. */
export function keepState(
  path: string,
  source: { version(): string; state(): StateFile },
  onError: (error: unknown) => void,
): StateKeeper {
  let written = ''
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  const write = async () => {
    const version = source.version()
    if (version === written) return
    await writeFile(`${path}.new`, JSON.stringify(source.state()), { mode: 0o600 })
    await rename(`${path}.new`, path)
    written = version
  }
  const next = () => {
    const done = writing.then(write)
    // whoever asked hears of a failure; the next write is not kept from trying
    writing = done.catch(() => undefined)
    return done
  }
  const schedule = (ms: number) => {
    timer = setTimeout(() => {
      const began = performance.now()
      next()
        .catch(onError)
        .finally(() => {
          if (timer !== undefined) schedule(Math.max(MOMENT_MS, (performance.now() - began) * 10))
        })
    }, ms)
    timer.unref()
  }
  schedule(0)
  return {
    saved: next,
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      timer = undefined
      // an older state that is still being written must not come last
      await next().catch(onError)
    },
  }
}
