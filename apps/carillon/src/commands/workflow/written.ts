import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { type WorkflowDefinition, WorkflowSchema } from '@carillon/contracts'
import { Document, isMap, isScalar, visit } from 'yaml'

/** Where editors find the schema of workflow files: in this project, else by its address. */
const SCHEMA_ADDRESS = (WorkflowSchema as { $id?: string }).$id
const SCHEMA_FILE = join('docs', 'schemas', 'workflow.json')

/** Names as one would write them: what it is, when, for whom, what it says, then what it does. */
const ORDER = [
  ...Object.keys(WorkflowSchema.properties),
  ...['name', 'share', 'title', 'subject', 'body', 'template', 'content', 'event', 'at', 'count', 'window'],
  ...['sliding', 'atMost', 'for', 'per', 'then', 'else'],
]
const rank = new Map([...new Set(ORDER)].map((name, index) => [name, index]))

/** A definition as YAML, in one order whatever order it was stored in: the same definition is the same text. */
export function writeYaml(definition: WorkflowDefinition): string {
  const document = new Document(ordered(definition))
  visit(document, {
    // one line for what fits: - email: { template: ride-accepted }
    Map(_, node, path) {
      const isSmall = node.items.length <= 3 && node.items.every(({ value }) => isScalar(value))
      if (path.length > 3 && isMap(node) && isSmall && JSON.stringify(node).length <= 60) node.flow = true
    },
  })
  return document.toString({ lineWidth: 110 })
}

/** The line by which editors know what the file is. */
export function schemaLine(base: string, file: string): string {
  const local = join(base, SCHEMA_FILE)
  const address = existsSync(local) ? relative(dirname(file), local) : SCHEMA_ADDRESS
  return `# yaml-language-server: $schema=${address}\n`
}

/** Names of locales and whatever else is not ours come after, by name. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const place = (name: string) => rank.get(name) ?? ORDER.length
  const names = Object.keys(value).sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))
  return Object.fromEntries(names.map((name) => [name, ordered((value as Record<string, unknown>)[name])]))
}
