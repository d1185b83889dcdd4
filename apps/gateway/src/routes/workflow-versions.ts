import { findWorkflow, listWorkflows, listWorkflowVersions } from '@carillon/postgres'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  VersionAnswer,
  WorkflowsQuery,
  WorkflowVersionAnswer,
  WorkflowVersionName,
  wantedVersion,
} from '../schemas/rules.js'
import { Key } from '../schemas/shapes.js'

const Named = Type.Object({ key: Key })

/** Reads workflows: those in force, one version, all versions with when they were in force. */
export function addWorkflowReads(app: Edge, deps: EdgeDeps): void {
  const tags = ['workflows']
  app.get(
    '/workflows',
    {
      schema: {
        summary: 'Workflows: published, drafts or shadows',
        tags,
        querystring: WorkflowsQuery,
        response: answers({ 200: Type.Object({ workflows: Type.Array(VersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rows = await deps.database.inTenant(
        tenant,
        (tx) => listWorkflows(tx, tenant, request.query.status),
        { readOnly: true },
      )
      return { workflows: rows.map(shown) }
    },
  )
  app.get(
    '/workflows/:key',
    {
      schema: {
        summary: 'One workflow: published, draft, shadow, or by version',
        tags,
        params: Named,
        querystring: Type.Object(
          { version: Type.Optional(WorkflowVersionName) },
          { additionalProperties: false },
        ),
        response: answers({ 200: VersionAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key, version: wantedVersion(request.query.version) }
      const row = await deps.database.inTenant(tenant, (tx) => findWorkflow(tx, wanted), { readOnly: true })
      if (row === undefined) throw notFound('workflow')
      return shown(row)
    },
  )
  app.get(
    '/workflows/:key/versions',
    {
      schema: {
        summary: 'Versions of a workflow, newest first, and when each was in force',
        tags,
        params: Named,
        response: answers({ 200: Type.Object({ versions: Type.Array(WorkflowVersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key }
      const rows = await deps.database.inTenant(tenant, (tx) => listWorkflowVersions(tx, wanted), {
        readOnly: true,
      })
      if (rows.length === 0) throw notFound('workflow')
      return {
        versions: rows.map(({ publications, ...row }) => ({
          ...shown(row),
          publications: publications.map(({ from, to }) => ({
            from: from.toISOString(),
            to: to?.toISOString() ?? null,
          })),
        })),
      }
    },
  )
}

function shown<T extends { createdAt: Date }>(row: T): Record<string, unknown> {
  return { ...row, createdAt: row.createdAt.toISOString() }
}
