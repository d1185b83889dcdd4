import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { replaceFile } from './durable-file.js'

/** Secrets of an installation that runs by `carillon up`; made once, readable by its owner alone. */
export interface MeshKeys {
  tokenKey: string
  masterKey: string
  receiptKey: string
  postgresPassword: string
  requestPassword: string
  workerPassword: string
  ridesToken: string
  /** Full text of the API key of the demonstration tenant; only its hash is in the database. */
  apiKey?: string
}

const NAMES = [
  'tokenKey',
  'masterKey',
  'receiptKey',
  'postgresPassword',
  'requestPassword',
  'workerPassword',
  'ridesToken',
] as const

/** Reads the keys, makes those that are missing, and writes the file (0600). */
export async function loadKeys(file: string): Promise<MeshKeys> {
  const known = await readKeys(file)
  const keys = { ...known } as MeshKeys
  for (const name of NAMES) keys[name] = known[name] ?? randomBytes(32).toString('base64url')
  await saveKeys(file, keys)
  return keys
}

/** What is sealed in the database opens with these keys alone, so they outlive a power cut. */
export async function saveKeys(file: string, keys: MeshKeys): Promise<void> {
  await replaceFile(file, `${JSON.stringify(keys, null, 2)}\n`)
}

/** What stands in the file; nothing when there is none. */
export async function readKeys(file: string): Promise<Partial<MeshKeys>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => typeof entry === 'string'))
}
