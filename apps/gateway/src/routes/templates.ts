import {
  findTemplate,
  listTemplates,
  listTemplateVersions,
  lockTenantRules,
  publishTemplate,
  putTemplate,
  retireTemplate,
  TemplateKindFixed,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { Deed } from '../audit.js'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  PublishedAnswer,
  PublishSchema,
  TemplateSchema,
  VersionAnswer,
  VersionQuery,
  VersionStatus,
  versionOf,
} from '../schemas/rules.js'
import { Key } from '../schemas/shapes.js'
import { assertDraft, assertInForce, assertUnused } from '../template-checks.js'

const Named = Type.Object({ key: Key })

/** Templates of all kinds: texts of notifications, partials that texts render, layouts that mails are put into. */
export function addTemplateRoutes(app: Edge, deps: EdgeDeps): void {
  const tags = ['templates']

  app.put(
    '/templates/:key',
    {
      schema: {
        summary: 'Publish a template, or keep a draft',
        description: 'The same texts again make no new version. A key keeps its kind.',
        tags,
        params: Named,
        body: TemplateSchema,
        response: answers({ 200: PublishedAnswer, 201: PublishedAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const { kind = 'content', locales, draft = false } = request.body
      const done = await deps.outbox.change(tenant, async (tx, tell) => {
        await lockTenantRules(tx, tenant)
        const template = { key, kind, locales }
        await (draft ? assertDraft(tx, tenant, template) : assertInForce(tx, tenant, template))
        const put = await putTemplate(tx, { tenant, key, kind, locales, draft }).catch(refuseKind)
        const action = draft ? 'drafted' : 'published'
        if (put.changed) tell(deps.trail.fact(principal, deed(action, key, put.version), request.id))
        return put
      })
      if (done.changed && !draft) deps.events.changed('template.published', tenant, request.id)
      return reply.code(done.version === 1 && done.changed ? 201 : 200).send({ key, ...done })
    },
  )
  app.post(
    '/templates/:key/publish',
    {
      schema: {
        summary: 'Put a version of a template in force',
        description: 'A draft, or an older version again.',
        tags,
        params: Named,
        body: PublishSchema,
        response: answers({ 200: PublishedAnswer }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const { version } = request.body
      const done = await deps.outbox.change(tenant, async (tx, tell) => {
        await lockTenantRules(tx, tenant)
        const found = await findTemplate(tx, { tenant, key, version })
        if (found === undefined) throw notFound('version of a template')
        await assertInForce(tx, tenant, found)
        const published = await publishTemplate(tx, { tenant, key, version })
        if (published === undefined) throw notFound('version of a template')
        if (published.changed) tell(deps.trail.fact(principal, deed('published', key, version), request.id))
        return published
      })
      if (done.changed) deps.events.changed('template.published', tenant, request.id)
      return { key, ...done }
    },
  )
  app.delete(
    '/templates/:key',
    {
      schema: {
        summary: 'Take a template off',
        description: 'Refused while a published workflow or template needs it. Its versions stay.',
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
        await lockTenantRules(tx, tenant)
        await assertUnused(tx, tenant, key)
        if (!(await retireTemplate(tx, { tenant, key }))) throw notFound('template')
        tell(deps.trail.fact(principal, deed('retired', key), request.id))
      })
      return reply.code(204).send()
    },
  )
  addTemplateReads(app, deps)
}

function addTemplateReads(app: Edge, deps: EdgeDeps): void {
  const tags = ['templates']
  app.get(
    '/templates',
    {
      schema: {
        summary: 'Templates in force, or drafts',
        tags,
        querystring: Type.Object({ status: Type.Optional(VersionStatus) }, { additionalProperties: false }),
        response: answers({ 200: Type.Object({ templates: Type.Array(VersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { status } = request.query
      const rows = await deps.database.inTenant(tenant, (tx) => listTemplates(tx, tenant, status), {
        readOnly: true,
      })
      return { templates: rows.map(shown) }
    },
  )
  app.get(
    '/templates/:key',
    {
      schema: {
        summary: 'One template, published or by version',
        tags,
        params: Named,
        querystring: VersionQuery,
        response: answers({ 200: VersionAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key, version: versionOf(request.query) }
      const row = await deps.database.inTenant(tenant, (tx) => findTemplate(tx, wanted), { readOnly: true })
      if (row === undefined) throw notFound('template')
      return shown(row)
    },
  )
  app.get(
    '/templates/:key/versions',
    {
      schema: {
        summary: 'Versions of a template, newest first',
        tags,
        params: Named,
        response: answers({ 200: Type.Object({ versions: Type.Array(VersionAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const wanted = { tenant, key: request.params.key }
      const rows = await deps.database.inTenant(tenant, (tx) => listTemplateVersions(tx, wanted), {
        readOnly: true,
      })
      if (rows.length === 0) throw notFound('template')
      return { versions: rows.map(shown) }
    },
  )
}

function deed(action: 'published' | 'drafted' | 'retired', key: string, version?: number): Deed {
  const done = { area: 'templates', action, resource: `template:${key}` }
  return version === undefined ? done : { ...done, details: { version } }
}

function refuseKind(error: unknown): never {
  if (!(error instanceof TemplateKindFixed)) throw error
  throw new HttpProblem(409, error.code, error.message, { field: 'kind', cause: error })
}

function shown<T extends { createdAt: Date }>(row: T): Record<string, unknown> {
  return { ...row, createdAt: row.createdAt.toISOString() }
}
