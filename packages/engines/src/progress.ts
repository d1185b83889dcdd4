import type { EngineName } from './errors.js'

/** One thing that begins now and may take more than a second. */
export interface Progress {
  readonly engine: EngineName | string
  readonly step: 'locate' | 'fetch' | 'initialise' | 'start'
  readonly detail: string
}

export type OnProgress = (progress: Progress) => void
