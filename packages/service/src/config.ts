import { readFile } from 'node:fs/promises'
import { type Static, type TObject, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { CarillonError, messageOf } from './errors.js'

/** What a configuration key says of itself besides its type. */
export interface KeyOptions {
  /** Environment variable that sets it. `<NAME>_FILE` names a file holding the value. */
  env: string
  description: string
  /** Masked whenever the configuration is shown. */
  secret?: boolean
}

export interface ConfigProblem {
  key: string
  problem: string
  remedy: string
}

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends CarillonError {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(
      'CONFIG_INVALID',
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems
        .map((p) => `  ${p.key}: ${p.problem} ${p.remedy}`)
        .join('\n')}`,
    )
    this.problems = problems
  }
}

export interface ConfigSources {
  env: Readonly<Record<string, string | undefined>>
}

function keyOptions(schema: TSchema): Partial<KeyOptions> {
  return schema as unknown as Partial<KeyOptions>
}

/**
 * Reads one typed configuration: defaults < environment (a file's values stand below it, see `layerFile`), validated
 * whole.
 * @throws ConfigError with every problem, its key and its remedy
 */
export function readConfig<T extends TObject>(schema: T, sources: ConfigSources): Readonly<Static<T>> {
  const problems: ConfigProblem[] = []
  const values: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(schema.properties as Record<string, TSchema>)) {
    const env = keyOptions(property).env
    const raw = env === undefined ? undefined : sources.env[env]
    if (raw !== undefined && raw !== '') values[key] = fromText(property, raw)
  }
  const complete = Value.Default(schema, values) as Record<string, unknown>
  const validator = Compile(schema)
  for (const error of validator.Errors(complete)) {
    const missing = missingKeys(error)
    for (const key of missing ?? [keyOf(error)]) {
      const property = (schema.properties as Record<string, TSchema>)[key]
      const { env, description } = property === undefined ? {} : keyOptions(property)
      problems.push({
        key: env ?? key,
        problem: missing === undefined ? `${error.message}.` : 'is missing.',
        remedy: description === undefined ? 'Remove it or mend its value.' : `It is: ${description}`,
      })
    }
  }
  if (problems.length > 0) throw new ConfigError(dedupe(problems))
  return Object.freeze(complete) as Readonly<Static<T>>
}

/**
 * Puts the values of a configuration file below an environment: a YAML map whose keys are the names of the variables.
 * @throws ConfigError when the text is no such map
 */
export function layerFile(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const refuse = (problem: string) =>
    new ConfigError([{ key: 'carillon.yaml', problem, remedy: 'Write lines like `CARILLON_PORT: 8080`.' }])
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    throw refuse(messageOf(error))
  }
  if (value === null) return { ...env }
  if (typeof value !== 'object' || Array.isArray(value)) throw refuse('is not a map of variables.')
  const below: Record<string, string> = {}
  for (const [name, entry] of Object.entries(value)) {
    if (!/^[A-Z][A-Z0-9_]*$/.test(name))
      throw refuse(`has the key "${name}", which is no name of a variable.`)
    below[name] = textOf(entry)
  }
  return { ...below, ...env }
}

/** A value as it would stand in the environment: lists by commas, maps as JSON. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** One error names all keys that are not there. */
function missingKeys(error: { instancePath: string; params?: unknown }): string[] | undefined {
  if (error.instancePath !== '') return undefined
  return (error.params as { requiredProperties?: string[] } | undefined)?.requiredProperties
}

function keyOf(error: { instancePath: string }): string {
  const [, first] = error.instancePath.split('/')
  return first ?? 'configuration'
}

function dedupe(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...new Map(problems.map((problem) => [problem.key, problem])).values()]
}

/** Environment values are text; numbers, booleans, lists and objects are read from it. */
function fromText(schema: TSchema, raw: string): unknown {
  const type = (schema as { type?: string }).type
  if (type === 'integer' || type === 'number') return raw.trim() === '' ? raw : Number(raw)
  if (type === 'boolean')
    return raw === 'true' || raw === '1' ? true : raw === 'false' || raw === '0' ? false : raw
  if (type === 'array')
    return raw
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  if (type === 'object') {
    try {
      return JSON.parse(raw)
    } catch {
      return raw
    }
  }
  return raw
}

/**
 * Copies an environment and fills `FOO` from the file that `FOO_FILE` names, so that secrets needn't stand in the
 * environment. @throws ConfigError when a file can't be read
 */
export async function readSecretFiles(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string | undefined>> {
  const filled: Record<string, string | undefined> = { ...env }
  const problems: ConfigProblem[] = []
  for (const [name, path] of Object.entries(env)) {
    if (!name.endsWith('_FILE') || path === undefined || path === '') continue
    const target = name.slice(0, -'_FILE'.length)
    if (filled[target] !== undefined || !/^(CARILLON_|DATABASE_|NATS_|REDIS_|RIDES_)/.test(target)) continue
    try {
      filled[target] = (await readFile(path, 'utf8')).trim()
    } catch (error) {
      problems.push({ key: name, problem: messageOf(error), remedy: 'Name a file this process may read.' })
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return filled
}

/** The effective configuration with its secrets masked, for people. */
export function maskConfig<T extends TObject>(
  schema: T,
  config: Readonly<Static<T>>,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(schema.properties as Record<string, TSchema>)) {
    const value = (config as Record<string, unknown>)[key]
    if (value === undefined) continue
    const { env = key, secret } = keyOptions(property)
    shown[env] = secret === true ? '••••' : maskUrl(value)
  }
  return shown
}

function maskUrl(value: unknown): unknown {
  if (typeof value !== 'string' || !value.includes('://')) return value
  return value.replace(/(\/\/[^:/@]+:)[^@]+@/, '$1••••@')
}

/** A text key, as every app declares them. */
export function textKey(options: KeyOptions & { default?: string; minLength?: number }) {
  return Type.String({ minLength: 1, ...options })
}

/** A whole-number key. */
export function integerKey(options: KeyOptions & { default?: number; minimum?: number; maximum?: number }) {
  return Type.Integer({ ...options })
}

/** A comma-separated list key. */
export function listKey(options: KeyOptions & { default?: string[] }) {
  return Type.Array(Type.String(), { ...options })
}
