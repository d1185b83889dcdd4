import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import {
  type CompiledWorkflow,
  CompileError,
  compileWorkflow,
  createWorkflowValidator,
  RenderError,
  type StoredTemplate,
  templatesOf,
} from '@carillon/decisions'
import { isWorkflowFile } from '../mesh/workflow-names.js'
import { ifThere } from '../terminal/if-there.js'
import { type FileProblem, readLocated } from './located-yaml.js'
import type { Fixture } from './read-fixture.js'

export type Loaded = { ok: true; workflows: CompiledWorkflow[] } | { ok: false; problems: FileProblem[] }

/** Loads the workflows of a test: those it names, else every one of its folder. */
export type WorkflowLoader = (fixture: Fixture) => Promise<Loaded>

/** `${NAME}` in a workflow file stands for an address that a mesh puts there; any will do where nothing is sent. */
const PLACEHOLDER = /\$\{[A-Z_]+\}/g
const SOME_ADDRESS = 'https://webhook.example/'

/** @param base folder that places are told from */
export function createWorkflowLoader(base: string): WorkflowLoader {
  const validate = createWorkflowValidator()

  const loadOne = (file: string, text: string, templates: readonly StoredTemplate[]): Loaded => {
    const read = readLocated(relative(base, file), text.replace(PLACEHOLDER, SOME_ADDRESS))
    if (!read.ok) return read
    const { yaml } = read
    const written = yaml.value
    const named = { key: basename(file).replace(/\.ya?ml$/, ''), ...(written as object | null) }
    const known = templatesOf(templates)
    const checked = validate(typeof written === 'object' ? named : written, { templates: known })
    if (!checked.ok) {
      const problems = checked.problems.map(({ path, message, remedy }) => ({
        ...yaml.placeOf(partsOf(path)),
        message,
        remedy,
      }))
      return { ok: false, problems }
    }
    try {
      return { ok: true, workflows: [compileWorkflow(checked.definition, { version: 1, templates: known })] }
    } catch (error) {
      if (!(error instanceof CompileError || error instanceof RenderError)) throw error
      const path = error instanceof CompileError ? error.path : error.field
      const remedy = 'Mend the workflow, or give what it needs under `templates` of the test.'
      return { ok: false, problems: [{ ...yaml.placeOf(partsOf(path)), message: error.message, remedy }] }
    }
  }

  return async (fixture) => {
    const folder = join(base, dirname(fixture.file))
    const names = fixture.body.workflows
    const templates = templatesIn(fixture)
    const loaded: Loaded[] = []
    for (const [index, name] of (names ?? (await workflowsOf(folder))).entries()) {
      const path = names === undefined ? [] : ['workflows', index]
      const text = await ifThere(readFile(join(folder, name), 'utf8'))
      if (text === undefined) {
        const message = `There is no file "${name}" beside it.`
        const problem = { ...fixture.yaml.placeOf(path), message, remedy: 'Name a workflow file.' }
        loaded.push({ ok: false, problems: [problem] })
      } else loaded.push(loadOne(join(folder, name), text, templates))
    }
    const problems = loaded.flatMap((one) => (one.ok ? [] : one.problems))
    if (problems.length > 0) return { ok: false, problems }
    const workflows = loaded.flatMap((one) => (one.ok ? one.workflows : []))
    if (workflows.length > 0) return { ok: true, workflows }
    const message = 'There is no workflow in its folder.'
    return {
      ok: false,
      problems: [{ ...fixture.yaml.placeOf([]), message, remedy: 'Name them: workflows: [a.yaml].' }],
    }
  }
}

async function workflowsOf(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter(isWorkflowFile).sort()
}

function templatesIn({ body }: Fixture): StoredTemplate[] {
  return Object.entries(body.templates ?? {}).map(([key, { kind = 'content', locales }]) => ({
    key,
    kind,
    locales,
  }))
}

function partsOf(path: string): (string | number)[] {
  return path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
