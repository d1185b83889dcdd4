import { ConfigError, messageOf } from '@carillon/service'
import pc from 'picocolors'

/**
 * Exit codes: 0 done, 1 it failed, 2 the call or the configuration was wrong, 3 done and what was compared differs,
 * 130 stopped before it was done.
 */
export const EXIT = { ok: 0, failed: 1, usage: 2, differs: 3, interrupted: 130 } as const

/** A failure of a command that people can do something about. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly remedy: string | undefined
  readonly exitCode: number

  constructor(message: string, options: { remedy?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.remedy = options.remedy
    this.exitCode = options.exitCode ?? EXIT.failed
  }
}

/** One line of what went wrong and one of what to do, for people. */
export function describeFailure(error: unknown): string {
  const remedy = remedyOf(error)
  const problem = pc.red(`✗ ${messageOf(error)}`)
  return typeof remedy === 'string' && remedy !== '' ? `${problem}\n  ${remedy}` : problem
}

/** The SDK's errors are known by their fields: loading it for every command takes longer than most of them. */
function remedyOf(error: unknown): unknown {
  const { remedy, name, status, code } = (error ?? {}) as Record<string, unknown>
  if (name !== 'CarillonClientError') return remedy
  if (status === 401) return 'Set CARILLON_API_KEY to a key of this mesh, or unset it where npm start runs.'
  if (code === 'UNREACHABLE') return 'Look at CARILLON_URL, or unset it to reach the mesh that runs here.'
  return undefined
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode
  return error instanceof ConfigError ? EXIT.usage : EXIT.failed
}
