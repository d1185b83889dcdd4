import type { WorkflowDefinition } from '@carillon/contracts'
import { createWorkflowValidator, templatesOf, type WorkflowProblem } from '@carillon/decisions'
import { listTemplates, type Tx } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'

/** Checks a workflow with the templates of its tenant. */
export interface WorkflowChecks {
  /**
   * The definition as it would be stored. A draft or shadow may name templates that are drafts themselves.
   * @throws HttpProblem with the place and the remedy of every problem
   */
  assertWorks(
    tx: Tx,
    workflow: { tenant: string; key?: string; input: unknown; withDrafts?: boolean },
  ): Promise<WorkflowDefinition>
}

/** Name of notifications that are sent directly. */
const RESERVED = 'direct'

export function createWorkflowChecks(): WorkflowChecks {
  const validate = createWorkflowValidator()
  return {
    async assertWorks(tx, { tenant, key, input, withDrafts = false }) {
      const published = await listTemplates(tx, tenant)
      const drafts = withDrafts ? await listTemplates(tx, tenant, 'draft') : []
      const checked = validate(named(input, key), { templates: templatesOf([...published, ...drafts]) })
      const problems = checked.ok ? nameProblems(checked.definition.key, key) : checked.problems
      if (!checked.ok || problems.length > 0) throw invalidWorkflow(problems)
      return checked.definition
    },
  }
}

/** The key of the address is the workflow's unless it says another. */
function named(input: unknown, key: string | undefined): unknown {
  const isPlain = typeof input === 'object' && input !== null && !Array.isArray(input)
  return isPlain && key !== undefined && !('key' in input) ? { ...input, key } : input
}

function nameProblems(own: string, key: string | undefined): WorkflowProblem[] {
  if (key !== undefined && own !== key) {
    return [{ path: 'key', message: `The workflow calls itself "${own}".`, remedy: `Write key: ${key}.` }]
  }
  if (own !== RESERVED) return []
  const message = `"${RESERVED}" is the name of notifications sent directly.`
  return [{ path: 'key', message, remedy: 'Give it another key.' }]
}

function invalidWorkflow(problems: readonly WorkflowProblem[]): HttpProblem {
  const errors = problems.map(({ path, message, remedy }) => ({
    field: path,
    detail: `${message} ${remedy}`,
  }))
  const first = errors[0]
  return new HttpProblem(422, 'WORKFLOW_INVALID', first?.detail ?? 'The workflow is not valid.', {
    ...(first === undefined ? {} : { field: first.field }),
    errors,
  })
}
