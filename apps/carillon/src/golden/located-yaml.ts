import { isMap, isNode, LineCounter, type Pair, parseDocument } from 'yaml'

/** Where something stands in a file; both count from 1. */
export interface Place {
  file: string
  line: number
  column: number
}

/** Something that keeps a file from being used, and what to do about it. */
export interface FileProblem extends Place {
  message: string
  remedy: string
}

/** A YAML or JSON file that knows where its parts stand. */
export interface LocatedYaml {
  file: string
  text: string
  value: unknown
  /** The place of the innermost part of a path that is there; `key`: of its name, where it has one. */
  placeOf(path: readonly (string | number)[], of?: 'key' | 'value'): Place
  /** Begin and end of a top-level pair in the text; undefined when it isn't there. */
  rangeOf(key: string): [begin: number, end: number] | undefined
}

type Read = { ok: true; yaml: LocatedYaml } | { ok: false; problems: FileProblem[] }

/** Parses a file's text. */
export function readLocated(file: string, text: string): Read {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ message, pos }) => ({
      ...placeAt(pos[0]),
      message: `It is not YAML: ${message.split('\n', 1)[0]}`,
      remedy: 'Mend the indentation, or quote the text.',
    }))
    return { ok: false, problems }
  }
  const pairOf = (key: string): Pair | undefined =>
    isMap(document.contents)
      ? document.contents.items.find((pair) => isNode(pair.key) && String(pair.key) === key)
      : undefined
  const offsetOf = (path: readonly (string | number)[], of: 'key' | 'value'): number => {
    for (let length = path.length; length > 0; length--) {
      const part = path.slice(0, length)
      const node = document.getIn(part, true)
      const parent = length === 1 ? document.contents : document.getIn(part.slice(0, -1), true)
      const pair = isMap(parent)
        ? parent.items.find((one) => isNode(one.key) && String(one.key) === String(part.at(-1)))
        : undefined
      if (pair !== undefined && (of === 'key' || length < path.length) && isNode(pair.key))
        return pair.key.range?.[0] ?? 0
      if (isNode(node) && node.range) return node.range[0]
    }
    return 0
  }
  return {
    ok: true,
    yaml: {
      file,
      text,
      value: document.toJS(),
      placeOf: (path, of = 'value') => placeAt(offsetOf(path, of)),
      rangeOf(key) {
        const pair = pairOf(key)
        if (pair === undefined || !isNode(pair.key)) return undefined
        const end = isNode(pair.value) ? pair.value.range?.[2] : pair.key.range?.[2]
        return [pair.key.range?.[0] ?? 0, end ?? text.length]
      },
    },
  }
}

/** `file:line:column` */
export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`
}
