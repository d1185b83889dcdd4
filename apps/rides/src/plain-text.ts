import { Type } from 'typebox'

/** Neither NUL nor half a character: PostgreSQL keeps no such text. */
const KEEPABLE = { not: { pattern: '[\\u0000\\ud800-\\udfff]' } }

/** A text that can be kept, of 1 to `max` characters. */
export function plainText(max: number) {
  return Type.String({ minLength: 1, maxLength: max, ...KEEPABLE })
}

/** The same for what people write: there has to be something to read in it. */
export function writtenText(max: number) {
  return Type.String({ maxLength: max, pattern: '\\S', ...KEEPABLE })
}
