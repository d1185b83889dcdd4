import { basename } from 'node:path'
import type { WorkflowDefinition } from '@carillon/contracts'
import { createWorkflowValidator } from '@carillon/decisions'
import { type FileProblem, type LocatedYaml, placeText, readLocated } from '../golden/located-yaml.js'

/** A workflow as a file says it. */
export interface WorkflowSource {
  file: string
  /** The text with its places filled in: what is pushed. */
  text: string
  definition: WorkflowDefinition
  /** The problem of a part of the definition, like `steps.2.email.template`, at its place in the file. */
  problemAt(part: string, problem: { message: string; remedy: string }): SourceProblem
}

export interface SourceProblem extends FileProblem {
  /** Like `steps.2.email.template`; empty when the file can't be read as a whole. */
  path: string
}

type ReadSource = { ok: true; source: WorkflowSource } | { ok: false; problems: SourceProblem[] }

/** Reads one file's text and checks all of it; `file` is how it is told. Compiles the schema: made once, kept. */
export type SourceReader = (file: string, text: string) => ReadSource

/** Stands in a file for the address of the development mesh's webhook catcher. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of files
export const WEBHOOK_PLACE = '${WEBHOOK_URL}'
/** Stands for the address of a catcher that isn't known where nothing is sent. */
const SOME_ADDRESS = 'https://webhook.example/'

export interface SourcePlaces {
  /** The address that `${WEBHOOK_URL}` in a file stands for. */
  webhookUrl?: string
  /** Files that name an address that isn't known are refused; where nothing is sent, any will do. */
  sends?: boolean
}

/** Templates aren't known here; naming one that is missing is told by the edge. */
export function createSourceReader({ webhookUrl, sends = false }: SourcePlaces = {}): SourceReader {
  const validate = createWorkflowValidator()
  return (file, written) => {
    const unknown = sends && webhookUrl === undefined ? written.indexOf(WEBHOOK_PLACE) : -1
    if (unknown >= 0) return { ok: false, problems: [unknownAddress(file, written.slice(0, unknown))] }
    const text = written.replaceAll(WEBHOOK_PLACE, () => webhookUrl ?? SOME_ADDRESS)
    const read = readYaml(file, text)
    if (!read.ok) return { ok: false, problems: read.problems.map((problem) => ({ ...problem, path: '' })) }
    const { yaml } = read
    const problemAt: WorkflowSource['problemAt'] = (path, { message, remedy }) => ({
      ...yaml.placeOf(partsOf(path)),
      path,
      message,
      remedy,
    })
    const checked = validate(named(file, yaml.value))
    if (checked.ok) return { ok: true, source: { file, text, definition: checked.definition, problemAt } }
    return { ok: false, problems: checked.problems.map((problem) => problemAt(problem.path, problem)) }
  }
}

function unknownAddress(file: string, before: string): SourceProblem {
  const lines = before.split('\n')
  return {
    ...{ file, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1, path: '' },
    message: `${WEBHOOK_PLACE} stands for an address that is not known.`,
    remedy: 'Set WEBHOOK_URL.',
  }
}

/** `file:line:column  path  message  remedy` */
export function problemLine(problem: SourceProblem): string {
  const { path, message, remedy } = problem
  return [placeText(problem), path, message, remedy].filter((part) => part !== '').join('  ')
}

/** References that multiply are found only when they are followed. */
function readYaml(
  file: string,
  text: string,
): { ok: true; yaml: LocatedYaml } | { ok: false; problems: FileProblem[] } {
  try {
    return readLocated(file, text)
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const problem = { file, line: 1, column: 1, message: `It is not YAML: ${error.message}` }
    return { ok: false, problems: [{ ...problem, remedy: 'Write fewer references (*name).' }] }
  }
}

/** A file that doesn't say its key is named by it. */
function named(file: string, value: unknown): unknown {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain && !('key' in value)
    ? { key: basename(file).replace(/\.(ya?ml|json)$/, ''), ...value }
    : value
}

function partsOf(path: string): (string | number)[] {
  return path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
