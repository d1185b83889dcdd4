import { WorkflowSchema } from '@carillon/contracts'
import { awaitedBy } from '@carillon/decisions'
import {
  dropShadow,
  findWorkflow,
  lockTenantRules,
  publishVersion,
  putWorkflow,
  retireWorkflow,
  WorkflowMoved,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { Deed } from '../audit.js'
import type { EdgeDeps } from '../edge-deps.js'
import { MEDIA } from '../parsers.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, decodedByHandler, type Edge } from '../route.js'
import {
  ExpectQuery,
  expectedOf,
  PutWorkflowQuery,
  WORKFLOW_EXAMPLE,
  WorkflowChangeAnswer,
  WorkflowVersionName,
  wantedVersion,
} from '../schemas/rules.js'
import { Key } from '../schemas/shapes.js'
import { createWorkflowChecks } from '../workflow-checks.js'
import { addWorkflowReads } from './workflow-versions.js'

const Named = Type.Object({ key: Key })

/** The schema without its address: it is used several times in one document. */
const WorkflowBody = Type.Object(WorkflowSchema.properties, {
  additionalProperties: false,
  description: 'A workflow. Everything is CEL, except texts, which are Liquid.',
  examples: [WORKFLOW_EXAMPLE],
})
const body = { content: { [MEDIA.json]: { schema: WorkflowBody }, [MEDIA.yaml]: { schema: WorkflowBody } } }

const ACTIONS = { published: 'published', draft: 'drafted', shadow: 'shadowed' } as const

/** Workflows: put one in force, keep it as a draft or let it be judged as a shadow; publish, roll back, take off. */
export function addWorkflowRoutes(app: Edge, deps: EdgeDeps): void {
  const checks = createWorkflowChecks()
  const tags = ['workflows']

  app.put(
    '/workflows/:key',
    {
      schema: {
        summary: 'Publish a workflow, or keep it as draft or shadow',
        description:
          'JSON or YAML. The same content again makes no new version. A draft waits to be published; a shadow is judged on live events without sending.',
        tags,
        params: Named,
        querystring: PutWorkflowQuery,
        body,
        response: answers({ 200: WorkflowChangeAnswer, 201: WorkflowChangeAnswer }),
      },
      // the body is validated below, with the place and the remedy of each problem
      validatorCompiler: decodedByHandler,
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const { as, expect } = putQueryOf(request.query)
      const done = await deps.outbox.change(tenant, async (tx, tell) => {
        // so that no template is taken off between the check and the change
        await lockTenantRules(tx, tenant)
        const definition = await checks.assertWorks(tx, {
          tenant,
          key,
          input: request.body,
          withDrafts: as !== 'published',
        })
        const awaits = awaitedBy(definition)
        const put = await putWorkflow(tx, { tenant, definition, as, awaits, expect }).catch(refuseMoved)
        if (put.changed) tell(deps.trail.fact(principal, deed(ACTIONS[as], key, put), request.id))
        return put
      })
      if (done.changed) deps.events.changed(`workflow.${ACTIONS[as]}`, tenant, request.id)
      return reply.code(done.version === 1 && done.changed ? 201 : 200).send({ key, ...done })
    },
  )
  app.post(
    '/workflows/:key/versions/:version/publish',
    {
      schema: {
        summary: 'Put a version of a workflow in force',
        description: 'A draft, a shadow, or any earlier version again. It keeps its number.',
        tags,
        params: Type.Object({ key: Key, version: WorkflowVersionName }),
        querystring: ExpectQuery,
        response: answers({ 200: WorkflowChangeAnswer }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const expect = expectedOf(request.query)
      const done = await deps.outbox.change(tenant, async (tx, tell) => {
        await lockTenantRules(tx, tenant)
        const found = await findWorkflow(tx, { tenant, key, version: wantedVersion(request.params.version) })
        if (found === undefined) throw notFound('version of a workflow')
        // templates may have gone since it was stored
        const definition = await checks.assertWorks(tx, { tenant, key, input: found.definition })
        const awaits = awaitedBy(definition)
        const published = await publishVersion(tx, {
          tenant,
          key,
          version: found.version,
          awaits,
          expect,
        }).catch(refuseMoved)
        if (published === undefined) throw notFound('version of a workflow')
        if (published.changed) tell(deps.trail.fact(principal, deed('published', key, published), request.id))
        return published
      })
      if (done.changed) deps.events.changed('workflow.published', tenant, request.id)
      return { key, ...done }
    },
  )
  app.post(
    '/workflows/validate',
    {
      schema: {
        summary: 'Check a workflow and store nothing',
        description:
          'Checks what publishing it would, with the templates in force. All problems are told at once.',
        tags,
        querystring: Type.Pick(PutWorkflowQuery, ['as']),
        body,
        response: answers({ 200: Type.Object({ valid: Type.Literal(true) }) }),
      },
      validatorCompiler: decodedByHandler,
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const withDrafts = putQueryOf(request.query).as !== 'published'
      const work = { tenant, input: request.body, withDrafts }
      await deps.database.inTenant(tenant, (tx) => checks.assertWorks(tx, work), { readOnly: true })
      return { valid: true }
    },
  )
  app.delete(
    '/workflows/:key/shadow',
    {
      schema: {
        summary: 'Stop judging the shadow of a workflow',
        description: 'Its version stays and can be published.',
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
        if (!(await dropShadow(tx, { tenant, key }))) throw notFound('shadow')
        tell(deps.trail.fact(principal, deed('unshadowed', key), request.id))
      })
      return reply.code(204).send()
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
        tell(deps.trail.fact(principal, deed('retired', key), request.id))
      })
      return reply.code(204).send()
    },
  )
  addWorkflowReads(app, deps)
}

function deed(action: string, key: string, change?: { version: number; previous: number | null }): Deed {
  const done = { area: 'workflows', action, resource: `workflow:${key}` }
  if (change === undefined) return done
  const { version, previous } = change
  return { ...done, details: { version, ...(previous === null ? {} : { previous }) } }
}

function refuseMoved(error: unknown): never {
  if (!(error instanceof WorkflowMoved)) throw error
  throw new HttpProblem(409, error.code, error.message, { field: 'expect', cause: error })
}

/** Its own route's body decodes itself, and so the query does too. @throws HttpProblem */
function putQueryOf(query: { as?: string; expect?: string }): {
  as: keyof typeof ACTIONS
  expect: number | undefined
} {
  const { as = 'published', expect } = query
  if (!Object.hasOwn(ACTIONS, as)) {
    throw new HttpProblem(400, 'REQUEST_INVALID', 'Write published, draft or shadow.', { field: 'as' })
  }
  if (expect !== undefined && !/^[0-9]{1,9}$/.test(expect)) {
    throw new HttpProblem(400, 'REQUEST_INVALID', 'Write the number of a version, or 0 for none.', {
      field: 'expect',
    })
  }
  return { as: as as keyof typeof ACTIONS, expect: expectedOf(query) }
}
