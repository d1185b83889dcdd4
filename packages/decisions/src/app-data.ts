import { RenderError } from './errors.js'
import { compileStructures, type Structures } from './structures.js'
import type { TextCompiler, TextOptions } from './texts.js'

/** What Carillon itself hands to the app; see `deviceData` of the channels. */
const OWN = new Set(['nid', 'did', 'rt', 'url', 'actions', 'clear'])
/** What FCM and Apple keep for themselves. */
const RESERVED = /^(from|message_type|collapse_key|notification|aps)$|^(google|gcm)\./

/**
 * What an app gets along with the texts, by key.
 * @throws RenderError for a key that would not arrive, and as `compileStructures`
 */
export function compileData(
  compiler: TextCompiler,
  data: Readonly<Record<string, unknown>>,
  at: string,
  options: Omit<TextOptions, 'html'>,
): Structures {
  for (const key of Object.keys(data)) {
    const whose = OWN.has(key) ? "Carillon's" : RESERVED.test(key) ? "the push services'" : undefined
    if (whose === undefined) continue
    throw new RenderError(
      'TEMPLATE',
      `${at}.${key}`,
      `${at}: the key "${key}" is ${whose} own; use another one.`,
    )
  }
  return compileStructures(compiler, data, at, options)
}
