import { Type } from 'typebox'
import { DURATION_PATTERN } from './durations.js'

/** What stands in many places of a workflow file. */

export const strict = { additionalProperties: false } as const
export const duration = (description: string) => Type.String({ pattern: DURATION_PATTERN, description })
export const key = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
  description: 'Lower-case letters, digits, dashes.',
})
export const cel = (description: string) => Type.String({ minLength: 1, maxLength: 2000, description })
