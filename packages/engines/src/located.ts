import type { EngineName } from './errors.js'
import type { OnProgress } from './progress.js'

export interface LocateOptions {
  /** A program to use instead of looking for one. */
  readonly binary?: string | undefined
  /** Where fetched programs are kept; see `defaultCacheRoot`. */
  readonly cacheRoot?: string | undefined
  /** Replaces PATH. */
  readonly path?: string | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/** A program that can be started. */
export interface Located {
  readonly engine: EngineName
  readonly command: string
  /** Added to the environment of the program. */
  readonly env: Readonly<Record<string, string>>
  readonly version: string
  readonly origin: 'option' | 'path' | 'cache' | 'package'
}
