import { RawJson } from './raw-json.js'

/** JSON text on one line. What is raw in it stands there as it is; what is undefined is left out. */
export function jsonText(value: unknown): string {
  if (value instanceof RawJson) return value.text
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields: string[] = []
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${JSON.stringify(name)}:${jsonText(field)}`)
  }
  return `{${fields.join(',')}}`
}
