import { RawJson } from './raw-json.js'

/** JSON text on one line. What is raw in it stands there as it is; what is undefined is left out. */
export function jsonText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (value instanceof RawJson) return value.text
  let text = ''
  if (Array.isArray(value)) {
    for (const entry of value) text += text === '' ? jsonText(entry) : `,${jsonText(entry)}`
    return `[${text}]`
  }
  for (const name of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[name]
    if (field !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${jsonText(field)}`
  }
  return `{${text}}`
}
