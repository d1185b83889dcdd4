import { createPrivateKey, type KeyObject } from 'node:crypto'
import { ChannelError } from './errors.js'

/** Reads typed fields from credentials of unknown shape and remembers every problem. */
export interface FieldReader {
  text(field: string): string
  optionalText(field: string): string | undefined
  optionalNumber(field: string): number | undefined
  optionalBoolean(field: string): boolean | undefined
  oneOf<T extends string>(field: string, allowed: readonly T[], fallback: T): T
  /** A PEM private key of one type. What it returns after a problem is never handed out. */
  privateKey(field: string, type: 'rsa' | 'ec'): KeyObject
  /** Adds a problem of its own. */
  refuse(field: string, problem: string): void
}

/**
 * Runs `read` over credentials of one provider and returns what it made.
 * @throws ChannelError `CREDENTIALS_INVALID` naming every field that is wrong, never its value
 */
export function readCredentials<T>(provider: string, value: unknown, read: (fields: FieldReader) => T): T {
  const problems: { field: string; problem: string }[] = []
  const refuse = (field: string, problem: string) => void problems.push({ field, problem })
  const record = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  if (record !== value) refuse('(whole)', 'must be an object')
  const of = (field: string) => (Object.hasOwn(record, field) ? record[field] : undefined)
  const optional = (field: string, type: 'string' | 'number' | 'boolean') => {
    const found = of(field)
    if (found === undefined || found === null) return undefined
    if (typeof found === type) return found
    refuse(field, `must be a ${type}`)
    return undefined
  }
  const fields: FieldReader = {
    text(field) {
      const found = of(field)
      if (typeof found === 'string' && found.trim() !== '') return found
      refuse(field, 'must be a non-empty string')
      return ''
    },
    optionalText: (field) => optional(field, 'string') as string | undefined,
    optionalNumber: (field) => optional(field, 'number') as number | undefined,
    optionalBoolean: (field) => optional(field, 'boolean') as boolean | undefined,
    oneOf<T extends string>(field: string, allowed: readonly T[], fallback: T) {
      const found = of(field)
      if (found === undefined || found === null) return fallback
      const match = allowed.find((one) => one === found)
      if (match === undefined) refuse(field, `must be one of ${allowed.join(', ')}`)
      return match ?? fallback
    },
    privateKey(field, type) {
      try {
        const key = createPrivateKey(fields.text(field))
        if (key.asymmetricKeyType !== type) refuse(field, `must be a private key of type ${type}`)
        return key
      } catch {
        refuse(field, `must be a PEM private key of type ${type}`)
        return undefined as unknown as KeyObject
      }
    },
    refuse,
  }
  const result = read(fields)
  if (problems.length > 0) {
    const list = problems.map(({ field, problem }) => `${field} ${problem}`).join('; ')
    throw new ChannelError('CREDENTIALS_INVALID', `The ${provider} credentials can't be used: ${list}.`, {
      field: problems[0]?.field ?? '',
    })
  }
  return result
}
