import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { FileProblem, LocatedYaml } from './located-yaml.js'

type Path = readonly (string | number)[]

/** Checks a part of a file. One problem a place, with what would be right. */
export type Check = (yaml: LocatedYaml, value: unknown, at: Path) => FileProblem[]

/** Compiles a schema into a check that knows where things stand. */
export function createCheck(schema: TSchema, remedies: Readonly<Record<string, string>>): Check {
  const compiled = Compile(schema)
  const known = Object.keys((schema as { properties?: object }).properties ?? {})
  return (yaml, value, at) => {
    if (compiled.Check(value)) return []
    const problems = new Map<string, FileProblem>()
    for (const error of compiled.Errors(value) as Iterable<SchemaError>) {
      const parts = partsOf(error.instancePath)
      const missing = error.params?.requiredProperties?.[0]
      // said again, without the name, at the object that holds it
      if (error.keyword === 'additionalProperties') continue
      const unknown = error.keyword === 'boolean'
      const name = missing ?? String(parts.at(-1) ?? '')
      const place = yaml.placeOf([...at, ...parts], unknown ? 'key' : 'value')
      const remedy =
        remedies[name] ??
        remedies[String(parts.find((part) => typeof part === 'string' && part in remedies) ?? '')]
      const key = `${place.line}:${place.column}`
      if (problems.has(key)) continue
      const [message, advice] = unknown
        ? [
            `"${name}" is not known here.`,
            `Remove it or mend its name${parts.length === 1 ? `: ${known.join(', ')}` : ''}.`,
          ]
        : missing === undefined
          ? [`${name === '' ? 'It' : `"${name}"`} ${error.message}.`, remedy ?? 'Mend the value.']
          : [`"${missing}" is missing.`, remedy ?? `Add "${missing}".`]
      problems.set(key, { ...place, message, remedy: advice })
    }
    return [...problems.values()]
  }
}

interface SchemaError {
  instancePath: string
  message: string
  keyword: string
  params?: { requiredProperties?: string[] }
}

function partsOf(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
