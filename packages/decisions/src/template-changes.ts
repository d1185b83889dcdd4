import type { WorkflowDefinition } from '@carillon/contracts'
import { CompileError, compileWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import {
  type StoredTemplate,
  type Templates,
  type TemplateUsers,
  templateProblem,
  templatesOf,
  usersOfTemplate,
} from './templates.js'

/** What is in force: at most one template of a key. */
export interface InForce {
  workflows: readonly WorkflowDefinition[]
  templates: readonly StoredTemplate[]
}

/** Something that works now and wouldn't with a change. */
export interface Broken {
  /** Like `workflow ride-accepted`. */
  name: string
  message: string
}

/**
 * What a template's new version would break, near and far: whoever renders what renders it too. What doesn't work
 * already is nobody's news.
 */
export function brokenBy(change: StoredTemplate, inForce: InForce): Broken[] {
  const others = inForce.templates.filter(({ key }) => key !== change.key)
  const before = templatesOf(inForce.templates)
  const after = templatesOf([...others, change])
  const users = allUsersOf(change, inForce)
  const broken: Broken[] = []
  for (const template of others) {
    if (!users.templates.includes(template.key)) continue
    const problem = templateProblem(template, after)
    if (problem !== undefined && templateProblem(template, before) === undefined)
      broken.push({ name: `template ${template.key}`, message: problem.message })
  }
  for (const workflow of inForce.workflows) {
    if (!users.workflows.includes(workflow.key)) continue
    const problem = workflowProblem(workflow, after)
    if (problem !== undefined && workflowProblem(workflow, before) === undefined)
      broken.push({ name: `workflow ${workflow.key}`, message: problem })
  }
  return broken
}

function workflowProblem(definition: WorkflowDefinition, templates: Templates): string | undefined {
  try {
    compileWorkflow(definition, { version: 1, templates })
    return undefined
  } catch (error) {
    if (error instanceof CompileError || error instanceof RenderError) return error.message
    throw error
  }
}

function allUsersOf(template: StoredTemplate, inForce: InForce): TemplateUsers {
  const users = { workflows: new Set<string>(), templates: new Set<string>() }
  const queue = [template]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const direct = usersOfTemplate(next, inForce)
    for (const key of direct.workflows) users.workflows.add(key)
    for (const user of inForce.templates) {
      if (!direct.templates.includes(user.key) || users.templates.has(user.key)) continue
      users.templates.add(user.key)
      queue.push(user)
    }
  }
  return { workflows: [...users.workflows], templates: [...users.templates] }
}
