import { auditPage, createApiKey, listApiKeys, revokeApiKey } from '@carillon/postgres'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { ApiKeySchema } from '../schemas/administration.js'
import { LimitText, limitOf } from '../schemas/shapes.js'

const nothing = answers({ 204: Type.Null() })
const nullable = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const ApiKeyAnswer = Type.Object({
  id: Type.String(),
  name: Type.String(),
  scopes: Type.Array(Type.String()),
  createdAt: Type.String(),
  expiresAt: nullable,
  revokedAt: nullable,
})

/** API keys and the trail: for administrators. */
export function addAdministrationRoutes(app: Edge, deps: EdgeDeps): void {
  addKeyRoutes(app, deps)
  app.get(
    '/audit',
    {
      schema: {
        summary: 'What was done, newest first',
        tags: ['audit'],
        querystring: Type.Object(
          {
            before: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,15}$' })),
            limit: Type.Optional(LimitText),
          },
          { additionalProperties: false },
        ),
        response: answers({
          200: Type.Object({
            facts: Type.Array(
              Type.Object({ sequence: Type.Integer(), recordedAt: Type.String(), fact: Type.Unknown() }),
            ),
            next: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
          }),
        }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const limit = limitOf(request.query.limit)
      const before = request.query.before === undefined ? undefined : Number(request.query.before)
      const rows = await deps.database.inTenant(tenant, (tx) => auditPage(tx, { tenant, before, limit }), {
        readOnly: true,
      })
      return {
        facts: rows.map((row) => ({
          sequence: row.sequence,
          recordedAt: row.recordedAt.toISOString(),
          fact: JSON.parse(row.fact) as unknown,
        })),
        next: rows.length === limit ? (rows.at(-1)?.sequence ?? null) : null,
      }
    },
  )
}

function addKeyRoutes(app: Edge, deps: EdgeDeps): void {
  const tags = ['keys']
  app.get(
    '/keys',
    {
      schema: {
        summary: 'API keys, without their secrets',
        tags,
        response: answers({ 200: Type.Object({ keys: Type.Array(ApiKeyAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rows = await deps.database.inTenant(tenant, (tx) => listApiKeys(tx, tenant), { readOnly: true })
      return {
        keys: rows.map((row) => ({
          ...row,
          createdAt: row.createdAt.toISOString(),
          expiresAt: row.expiresAt?.toISOString() ?? null,
          revokedAt: row.revokedAt?.toISOString() ?? null,
        })),
      }
    },
  )
  app.post(
    '/keys',
    {
      schema: {
        summary: 'Make an API key',
        description: 'The key is shown here and never again.',
        tags,
        body: ApiKeySchema,
        response: answers({ 201: Type.Object({ id: Type.String(), key: Type.String() }) }),
      },
      config: { secretAnswer: true },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { name, scopes, environment = 'live', expiresAt } = request.body
      const made = await deps.outbox.change(tenant, async (tx, tell) => {
        const key = await createApiKey(tx, {
          tenant,
          name,
          scopes,
          environment,
          expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
        })
        const deed = {
          area: 'keys',
          action: 'created',
          resource: `key:${key.id}`,
          details: { scopes: scopes.join(' ') },
        }
        tell(deps.trail.fact(principal, deed, request.id))
        return key
      })
      return reply.code(201).send(made)
    },
  )
  app.delete(
    '/keys/:id',
    {
      schema: {
        summary: 'Revoke an API key',
        description: 'It is refused everywhere within three seconds.',
        tags,
        params: Type.Object({ id: Type.String({ pattern: '^[a-z0-9]{8,32}$' }) }),
        response: nothing,
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { id } = request.params
      await deps.outbox.change(tenant, async (tx, tell) => {
        if (!(await revokeApiKey(tx, { tenant, id }))) throw notFound('key')
        tell(
          deps.trail.fact(principal, { area: 'keys', action: 'revoked', resource: `key:${id}` }, request.id),
        )
      })
      return reply.code(204).send()
    },
  )
}
