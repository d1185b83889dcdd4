import {
  brokenBy,
  type InForce,
  type StoredTemplate,
  templateProblem,
  templatesOf,
  usersOfTemplate,
} from '@carillon/decisions'
import { findTemplate, listTemplates, listWorkflows, type Tx } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { notFound } from './problems.js'

async function inForce(tx: Tx, tenant: string): Promise<InForce> {
  const workflows = await listWorkflows(tx, tenant)
  const templates = await listTemplates(tx, tenant)
  return { workflows: workflows.map(({ definition }) => definition), templates }
}

/**
 * Refuses what can't be rendered, or what others that are in force couldn't be rendered with: here, not when somebody
 * should have been told something.
 * @throws HttpProblem
 */
export async function assertInForce(tx: Tx, tenant: string, template: StoredTemplate): Promise<void> {
  const current = await inForce(tx, tenant)
  assertRenders(template, current.templates)
  const [first, ...others] = brokenBy(template, current)
  if (first === undefined) return
  throw new HttpProblem(
    409,
    'TEMPLATE_IN_USE',
    `The ${first.name} would not work any more: ${first.message}`,
    {
      errors: [first, ...others].map(({ name, message }) => ({ field: name, detail: message })),
    },
  )
}

/** A draft may need other drafts. @throws HttpProblem */
export async function assertDraft(tx: Tx, tenant: string, template: StoredTemplate): Promise<void> {
  const published = await listTemplates(tx, tenant)
  assertRenders(template, [...published, ...(await listTemplates(tx, tenant, 'draft'))])
}

function assertRenders(template: StoredTemplate, others: readonly StoredTemplate[]): void {
  const problem = templateProblem(template, templatesOf([...others, template]))
  if (problem !== undefined) {
    throw new HttpProblem(422, 'TEMPLATE_INVALID', problem.message, { field: problem.field })
  }
}

/** Refuses to take off what is needed. @throws HttpProblem that names who needs it */
export async function assertUnused(tx: Tx, tenant: string, key: string): Promise<void> {
  const template = await findTemplate(tx, { tenant, key })
  if (template === undefined) throw notFound('template')
  const { workflows, templates } = usersOfTemplate(template, await inForce(tx, tenant))
  const names = [
    ...workflows.map((name) => `workflow ${name}`),
    ...templates.filter((name) => name !== key).map((name) => `template ${name}`),
  ]
  if (names.length === 0) return
  throw new HttpProblem(409, 'TEMPLATE_IN_USE', `"${key}" is needed by ${names.join(', ')}.`, {
    errors: names.map((name) => ({ field: name, detail: `It needs the ${template.kind} "${key}".` })),
  })
}
