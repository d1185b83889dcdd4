import { WorkflowSchema } from '@carillon/contracts'
import { createWorkflowValidator, templatesOf, type WorkflowProblem } from '@carillon/decisions'
import {
  findWorkflow,
  listTemplates,
  listWorkflows,
  listWorkflowVersions,
  lockTenantRules,
  putWorkflow,
  retireWorkflow,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { MEDIA } from '../parsers.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, decodedByHandler, type Edge } from '../route.js'
import { Key, PublishedAnswer, VersionAnswer, VersionQuery, versionOf, WORKFLOW_EXAMPLE } from '../schemas.js'

const Named = Type.Object({ key: Key })

/** The schema without its address: it is used twice in one document. */
const WorkflowBody = Type.Object(WorkflowSchema.properties, {
  additionalProperties: false,
  description: 'A workflow. Everything is CEL, except texts, which are Liquid.',
  examples: [WORKFLOW_EXAMPLE],
})

/** Workflows: put publishes a new version, reading gives what is published. */
export function addRuleRoutes(app: Edge, deps: EdgeDeps): void {
  const validate = createWorkflowValidator()
  const tags = ['workflows']

  app.put(
    '/workflows/:key',
    {
      schema: {
        summary: 'Publish a workflow',
        description: 'JSON or YAML. The same content again makes no new version.',
        tags,
        params: Named,
        body: { content: { [MEDIA.json]: { schema: WorkflowBody }, [MEDIA.yaml]: { schema: WorkflowBody } } },
        response: answers({ 200: PublishedAnswer, 201: PublishedAnswer }),
      },
      // validated below, with the place and the remedy of each problem
      validatorCompiler: decodedByHandler,
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const body: unknown = request.body
      const input =
        typeof body === 'object' && body !== null && !Array.isArray(body) && !('key' in body)
          ? { ...body, key }
          : body
      const published = await deps.outbox.change(tenant, async (tx, tell) => {
        // so that no template is taken off between the check and the change
        await lockTenantRules(tx, tenant)
        const templates = templatesOf(await listTemplates(tx, tenant))
        const checked = validate(input, { templates })
        if (!checked.ok) throw invalidWorkflow(checked.problems)
        if (checked.definition.key !== key) {
          throw new HttpProblem(
            422,
            'WORKFLOW_INVALID',
            `The workflow calls itself "${checked.definition.key}".`,
            {
              field: 'key',
            },
          )
        }
        if (key === 'direct') {
          throw new HttpProblem(
            422,
            'WORKFLOW_INVALID',
            '"direct" is the name of notifications sent directly.',
            {
              field: 'key',
            },
          )
        }
        const done = await putWorkflow(tx, { tenant, definition: checked.definition })
        if (done.changed) {
          tell(
            deps.trail.fact(
              principal,
              {
                area: 'workflows',
                action: 'published',
                resource: `workflow:${key}`,
                details: { version: done.version },
              },
              request.id,
            ),
          )
        }
        return done
      })
      if (published.changed) deps.events.changed('workflow.published', tenant, request.id)
      return reply.code(published.version === 1 && published.changed ? 201 : 200).send({ key, ...published })
    },
  )
  app.get(
    '/workflows',
    {
      schema: {
        summary: 'Published workflows',
        tags,
        response: answers({ 200: Type.Object({ workflows: Type.Array(VersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rows = await deps.database.inTenant(tenant, (tx) => listWorkflows(tx, tenant), { readOnly: true })
      return { workflows: rows.map(shown) }
    },
  )
  app.get(
    '/workflows/:key',
    {
      schema: {
        summary: 'One workflow, published or by version',
        tags,
        params: Named,
        querystring: VersionQuery,
        response: answers({ 200: VersionAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key, version: versionOf(request.query) }
      const row = await deps.database.inTenant(tenant, (tx) => findWorkflow(tx, wanted), { readOnly: true })
      if (row === undefined) throw notFound('workflow')
      return shown(row)
    },
  )
  app.get(
    '/workflows/:key/versions',
    {
      schema: {
        summary: 'Versions of a workflow, newest first',
        tags,
        params: Named,
        response: answers({ 200: Type.Object({ versions: Type.Array(VersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key }
      const rows = await deps.database.inTenant(tenant, (tx) => listWorkflowVersions(tx, wanted), {
        readOnly: true,
      })
      if (rows.length === 0) throw notFound('workflow')
      return { versions: rows.map(shown) }
    },
  )
  app.delete(
    '/workflows/:key',
    {
      schema: {
        summary: 'Take a workflow off',
        description: 'Nothing starts it any more; its versions stay, since the history names them.',
        tags,
        params: Named,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      await deps.outbox.change(tenant, async (tx, tell) => {
        if (!(await retireWorkflow(tx, { tenant, key }))) throw notFound('workflow')
        tell(
          deps.trail.fact(
            principal,
            { area: 'workflows', action: 'retired', resource: `workflow:${key}` },
            request.id,
          ),
        )
      })
      return reply.code(204).send()
    },
  )
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

function shown<T extends { createdAt: Date }>(row: T): Record<string, unknown> {
  return { ...row, createdAt: row.createdAt.toISOString() }
}
