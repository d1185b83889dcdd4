/**
 * Array literals for `unnest` parameters, encoded by element type. Measured at 4.5 µs a row beside 4.6 µs with the
 * driver's own encoder: a matter of exactness (null, moments in milliseconds), not of speed.
 */

const NEEDS_ESCAPE = /["\\]/g

/** `text[]`, `json[]` and kin. null becomes NULL. What stands twice in a row, as in broadcasts, is escaped once. */
export function textArray(values: readonly (string | null)[]): string {
  let literal = '{'
  let before: string | undefined
  let quoted = ''
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (index > 0) literal += ','
    if (value === null || value === undefined) {
      literal += 'NULL'
      continue
    }
    if (value !== before) {
      const escaped =
        value.includes('"') || value.includes('\\') ? value.replace(NEEDS_ESCAPE, '\\$&') : value
      quoted = `"${escaped}"`
      before = value
    }
    literal += quoted
  }
  return `${literal}}`
}

/** Arrays of values that need no quotes: uuid, integers, booleans. null becomes NULL. */
export function plainArray(values: readonly (string | number | boolean | null)[]): string {
  let literal = '{'
  for (let index = 0; index < values.length; index++) {
    if (index > 0) literal += ','
    const value = values[index]
    literal += value === null || value === undefined ? 'NULL' : String(value)
  }
  return `${literal}}`
}

/** `timestamptz[]` from milliseconds. null becomes NULL. */
export function momentArray(values: readonly (number | null)[]): string {
  let literal = '{'
  let before: number | undefined
  let quoted = ''
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (index > 0) literal += ','
    if (value === null || value === undefined) {
      literal += 'NULL'
      continue
    }
    if (value !== before) {
      quoted = `"${new Date(value).toISOString()}"`
      before = value
    }
    literal += quoted
  }
  return `${literal}}`
}
