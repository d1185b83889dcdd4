import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { WorkflowDefinition } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  CompileError,
  compileWorkflow,
  createWorkflowValidator,
  RenderError,
  templatesOf,
} from '@carillon/decisions'
import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import { placeText, readLocated } from '../golden/located-yaml.js'
import { CommandError } from '../terminal/failure.js'
import { ifThere } from '../terminal/if-there.js'
import type { MeshRules } from './mesh-directory.js'

/** What is compared, and what else takes part on both sides. */
export interface Candidates {
  draft: CompiledWorkflow
  /** For people: a file, or a version. */
  draftName: string
  /** Undefined when nothing is published under that key. */
  published: CompiledWorkflow | undefined
  /** Published workflows that cancel runs of this one. */
  related: CompiledWorkflow[]
}

interface Stored {
  key: string
  version: number
  status: string
  definition: WorkflowDefinition
}

const PLACEHOLDER = /\$\{[A-Z_]+\}/g

/** Finds the draft (a file, or the draft or shadow of a key) and what is published. @throws CommandError */
export async function findCandidates(
  carillon: Pick<CarillonClient, 'call'>,
  rules: MeshRules,
  wanted: { file: string; name: string },
): Promise<Candidates> {
  const text = await ifThere(readFile(wanted.file, 'utf8'))
  const { workflows: all } = await carillon.call<{ workflows: Stored[] }>('GET', '/v1/workflows')
  const written =
    text === undefined
      ? await storedDraft(carillon, wanted.name)
      : { definition: parsed(wanted.name, text), name: wanted.name }
  const { key } = written.definition
  const now = all.find((workflow) => workflow.key === key)
  const compile = compilerOf(rules)
  const cancelling = all.filter(
    (workflow) =>
      workflow.key !== key && JSON.stringify(workflow.definition.steps).includes(`"workflow":"${key}"`),
  )
  return {
    draft: compile(written.definition, (now?.version ?? 0) + 1, written.name),
    draftName: written.name,
    published: now === undefined ? undefined : compile(now.definition, now.version, `version ${now.version}`),
    related: cancelling.map(({ key: other, definition, version }) => compile(definition, version, other)),
  }
}

function parsed(name: string, text: string): WorkflowDefinition {
  const read = readLocated(name, text.replace(PLACEHOLDER, 'https://webhook.example/'))
  if (read.ok) {
    const named = { key: basename(name).replace(/\.ya?ml$/, '') }
    return Object.assign(named, read.yaml.value as WorkflowDefinition)
  }
  const [first] = read.problems
  throw new CommandError(
    first === undefined ? `${name} is not YAML.` : `${placeText(first)} ${first.message}`,
    {
      remedy: first?.remedy ?? 'Mend the file.',
    },
  )
}

async function storedDraft(
  carillon: Pick<CarillonClient, 'call'>,
  key: string,
): Promise<{ definition: WorkflowDefinition; name: string }> {
  for (const status of ['draft', 'shadow']) {
    try {
      const path = `/v1/workflows/${encodeURIComponent(key)}?version=${status}`
      const found = await carillon.call<Stored>('GET', path)
      return { definition: found.definition, name: `the ${status} (version ${found.version})` }
    } catch (error) {
      if (!(error instanceof CarillonClientError) || (error.status !== 404 && error.status !== 400))
        throw error
    }
  }
  throw new CommandError(`There is neither a file "${key}" nor a draft of that key.`, {
    remedy: 'Name a workflow file, or push one with carillon workflow push --draft.',
  })
}

function compilerOf(rules: MeshRules) {
  const validate = createWorkflowValidator()
  const templates = templatesOf(rules.templates)
  return (definition: unknown, version: number, name: string): CompiledWorkflow => {
    const checked = validate(definition, { templates })
    if (!checked.ok) {
      const [first] = checked.problems
      throw new CommandError(`${name}: ${first?.path}: ${first?.message}`, {
        remedy: first?.remedy ?? 'Mend it.',
      })
    }
    try {
      return compileWorkflow(checked.definition, { version, templates })
    } catch (error) {
      if (!(error instanceof CompileError || error instanceof RenderError)) throw error
      throw new CommandError(`${name}: ${error.message}`, {
        remedy: 'Mend it, or publish what it names.',
        cause: error,
      })
    }
  }
}
