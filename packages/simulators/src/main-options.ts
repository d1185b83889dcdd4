import { parseArgs } from 'node:util'
import { record } from './inbox.js'

/** The command line or the environment asks for what can't be. */
export class SimulatorsRefused extends Error {
  readonly code = 'SIMULATORS_REFUSED'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SimulatorsRefused'
  }
}

export interface MainOptions {
  /** The file that holds everything; read at the start when it is there. */
  state: string | undefined
  /** The control server's port; absent: the file's, or a free one. */
  port: number | undefined
  keep: number | undefined
  latencyMs: number | undefined
  /** By provider; not yet looked at. */
  limits: Record<string, unknown>
  /** Ends when standard input does, so that it doesn't outlive who started it. */
  leash: boolean
}

/**
 * `--state FILE --port N --keep N --latency-ms N --limits JSON --leash`.
 * @throws SimulatorsRefused in production, and for what can't be read
 */
export function readMainOptions(args: readonly string[], env: NodeJS.ProcessEnv): MainOptions {
  if (env.NODE_ENV === 'production' || env.CARILLON_ENVIRONMENT === 'production') {
    throw new SimulatorsRefused('Simulators deliver to nobody: they do not run in production.')
  }
  const values = parse(args)
  return {
    state: values.state,
    port: wholeNumber(values.port, '--port'),
    keep: wholeNumber(values.keep, '--keep'),
    latencyMs: wholeNumber(values['latency-ms'], '--latency-ms'),
    limits: limitsFrom(values.limits),
    leash: values.leash ?? false,
  }
}

function parse(args: readonly string[]) {
  try {
    const text = { type: 'string' } as const
    const options = { state: text, port: text, keep: text, 'latency-ms': text, limits: text }
    return parseArgs({ args: [...args], options: { ...options, leash: { type: 'boolean' } } }).values
  } catch (error) {
    throw new SimulatorsRefused(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function wholeNumber(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined
  if (!/^\d+$/.test(value)) throw new SimulatorsRefused(`${name} must be a whole number`)
  return Number(value)
}

function limitsFrom(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    return record(JSON.parse(text))
  } catch (error) {
    throw new SimulatorsRefused('--limits must be JSON', { cause: error })
  }
}
