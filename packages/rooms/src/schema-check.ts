import { isFormat } from './formats.js'
import { compilePattern } from './patterns.js'
import { below } from './pointer.js'

/** Longest schema, as JSON. */
export const MAX_SCHEMA_BYTES = 64 * 1024

/**
 * Most places in a schema when every `$ref` is written out, so that references can't multiply; patterns count by their
 * programs.
 */
const MAX_COST = 1_000
/**
 * Most schemas that are tried on one and the same value, written out as well: 32 KiB can hold 16,000 values, and each of
 * them would be held against each.
 */
const MAX_BRANCHES = 64
const MAX_DEPTH = 24
/** Steps of a pattern's program that count as one place. */
const PATTERN_STEPS = 4
/** Comparing each item with each is quadratic. */
const MAX_UNIQUE_ITEMS = 100

const ONE = ['additionalProperties', 'items', 'contains', 'not', 'if', 'then', 'else', 'propertyNames']
const LISTS = ['anyOf', 'oneOf', 'allOf', 'prefixItems']
const BRANCHES = new Set(['contains', 'not', 'if', 'propertyNames'])
const MAPS = ['properties', '$defs', 'definitions']
const PLAIN = [
  ...['type', 'enum', 'const', 'required', 'dependentRequired', 'pattern', 'format', 'uniqueItems'],
  ...['minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains'],
  ...['minProperties', 'maxProperties', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  ...['multipleOf', 'title', 'description', 'default', 'examples', 'deprecated', '$comment'],
]
const KNOWN = new Set([...ONE, ...LISTS, ...MAPS, ...PLAIN])
const DRAFTS = new Set([
  'https://json-schema.org/draft/2020-12/schema',
  'http://json-schema.org/draft-07/schema#',
])
const REFERENCE = /^#\/(\$defs|definitions)\/([A-Za-z0-9_.-]{1,64})$/

export interface SchemaProblem {
  /** JSON pointer into the schema. */
  path: string
  message: string
}

type Node = Readonly<Record<string, unknown>>

/**
 * Says what is wrong with a schema of somebody we don't trust: keywords that we don't offer, references that leave it or
 * go round, patterns that RE2 can't run, more work than data may cost. Whether values of keywords are right is left to
 * the compiler.
 */
export function checkSchema(schema: Node): SchemaProblem | undefined {
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    return { path: '', message: `may have ${MAX_SCHEMA_BYTES} bytes` }
  }
  const { $schema, ...rest } = schema
  if ($schema !== undefined && !DRAFTS.has(String($schema))) {
    return { path: '/$schema', message: 'must be draft 2020-12 or draft-07' }
  }
  return new Walk(rest).schema(rest, { path: '', through: [] })
}

/** Where a walk stands, and through which references it came there. */
interface Place {
  path: string
  through: readonly string[]
}

type Found = SchemaProblem | undefined

class Walk {
  readonly #root: Node
  #cost = 0
  #branches = 0

  constructor(root: Node) {
    this.#root = root
  }

  schema(node: unknown, at: Place): Found {
    const { path } = at
    if (typeof node === 'boolean') return undefined
    if (!isNode(node)) return { path, message: 'must be a schema: an object or a boolean' }
    if (path.split('/').length > MAX_DEPTH * 2 || at.through.length > MAX_DEPTH) {
      return { path, message: 'is nested too deep' }
    }
    return (
      first(Object.entries(node), ([keyword, value]) => this.#keyword(keyword, value, at)) ?? unique(node, at)
    )
  }

  #keyword(keyword: string, value: unknown, { path: parent, through }: Place): Found {
    const path = below(parent, keyword)
    const spent = this.#spend(1, path) ?? this.#branch(BRANCHES.has(keyword) ? 1 : 0, path)
    if (spent !== undefined) return spent
    if (keyword === '$ref') return this.#reference(value, { path, through })
    if (!KNOWN.has(keyword)) return { path, message: 'is not offered' }
    if (ONE.includes(keyword)) return this.schema(value, { path, through })
    if (LISTS.includes(keyword)) {
      if (!Array.isArray(value)) return { path, message: 'must be a list of schemas' }
      const branched = this.#branch(keyword === 'prefixItems' ? 0 : value.length, path)
      if (branched !== undefined) return branched
      return first(value.entries(), ([index, entry]) =>
        this.schema(entry, { path: below(path, index), through }),
      )
    }
    if (MAPS.includes(keyword)) return this.#map(value, { path, through })
    if (keyword === 'pattern') return this.#pattern(value, path)
    if (keyword === 'format' && !isFormat(value)) return { path, message: 'is not offered' }
    return this.#values(value, path)
  }

  #map(value: unknown, { path, through }: Place): Found {
    if (!isNode(value)) return { path, message: 'must be an object of schemas' }
    return first(
      Object.entries(value),
      ([name, entry]) =>
        misnamed(name, path) ??
        this.#spend(1, path) ??
        this.schema(entry, { path: below(path, name), through }),
    )
  }

  #reference(value: unknown, { path, through }: Place): Found {
    const [, place = '', name = ''] = REFERENCE.exec(String(value)) ?? []
    const places = this.#root[place]
    const target = isNode(places) && Object.hasOwn(places, name) ? places[name] : undefined
    if (target === undefined) return { path, message: 'must name one of this schema, like #/$defs/name' }
    const pointer = `/${place}/${name}`
    if (through.includes(pointer)) return { path, message: 'refers to itself' }
    return this.schema(target, { path: pointer, through: [...through, pointer] })
  }

  #pattern(value: unknown, path: string): Found {
    if (typeof value !== 'string') return { path, message: 'must be a text' }
    const compiled = compilePattern(value)
    if (typeof compiled === 'string') return { path, message: compiled }
    return this.#spend(Math.ceil(compiled.size / PATTERN_STEPS), path)
  }

  /** Values of plain keywords are compared with data: each counts. */
  #values(value: unknown, path: string): Found {
    if (typeof value !== 'object' || value === null) return undefined
    return first(
      Object.entries(value),
      ([name, entry]) => misnamed(name, path) ?? this.#spend(1, path) ?? this.#values(entry, path),
    )
  }

  #branch(count: number, path: string): Found {
    this.#branches += count
    if (this.#branches <= MAX_BRANCHES) return undefined
    return { path, message: `is too much: a schema may have ${MAX_BRANCHES} alternatives` }
  }

  #spend(steps: number, path: string): Found {
    this.#cost += steps
    if (this.#cost <= MAX_COST) return undefined
    return { path, message: `is too much: a schema may cost ${MAX_COST} steps` }
  }
}

function unique(node: Node, { path }: Place): Found {
  if (node.uniqueItems !== true) return undefined
  if (typeof node.maxItems === 'number' && node.maxItems <= MAX_UNIQUE_ITEMS) return undefined
  const message = `needs maxItems of at most ${MAX_UNIQUE_ITEMS} beside it`
  return { path: below(path, 'uniqueItems'), message }
}

function misnamed(name: string, path: string): Found {
  return name === '__proto__' ? { path, message: 'has a member "__proto__"' } : undefined
}

function first<T>(entries: Iterable<T>, check: (entry: T) => Found): Found {
  for (const entry of entries) {
    const problem = check(entry)
    if (problem !== undefined) return problem
  }
  return undefined
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
