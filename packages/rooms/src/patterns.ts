import { RE2JS } from 're2js'

/** Longest pattern, and most steps of its program: what one character of a text may cost. */
const MAX_PATTERN = 256
const MAX_PROGRAM = 300

/** A pattern that takes time in proportion to the text, whatever it says. */
export interface Pattern {
  test(text: string): boolean
  /** Steps of its program. */
  size: number
}

/**
 * RE2's patterns: those of JavaScript without looking around and back, the two that can take for ever. The text of the
 * problem is given back for one that can't be used.
 */
export function compilePattern(pattern: string): Pattern | string {
  if (pattern.length > MAX_PATTERN) return `may have ${MAX_PATTERN} characters`
  try {
    const compiled = RE2JS.compile(javaScriptEscapes(pattern))
    const size = compiled.programSize()
    if (size > MAX_PROGRAM) return 'repeats too much'
    return { size, test: (text) => compiled.test(text) }
  } catch (error) {
    return `is no RE2 pattern: ${error instanceof Error ? error.message : 'it can not be read'}`.slice(0, 200)
  }
}

/** `\u00e9`, `\u{e9}` and `\/` are JavaScript's; RE2 writes the first two as `\x{e9}`. */
function javaScriptEscapes(pattern: string): string {
  return pattern.replace(
    /\\(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(\/)|[\s\S])/g,
    (whole, four?: string, braced?: string, slash?: string) => {
      if (slash !== undefined) return '/'
      const code = four ?? braced
      return code === undefined ? whole : `\\x{${code}}`
    },
  )
}
