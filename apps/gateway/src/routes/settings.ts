import { userId } from '@carillon/contracts'
import { checkExpression } from '@carillon/decisions'
import {
  findUser,
  listCategories,
  listPreferences,
  type PreferenceRule,
  putCategory,
  replacePreferences,
} from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import { type Static, Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { type Principal, personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  CategoryAnswer,
  CategorySchema,
  PreferencesAnswer,
  PreferencesSchema,
} from '../schemas/preferences.js'
import { ExternalId, Key } from '../schemas/shapes.js'

const User = Type.Object({ id: ExternalId })

/** Preferences and categories. */
export function addSettingsRoutes(app: Edge, deps: EdgeDeps): void {
  const read = async (tenant: string, whose: string | null) =>
    deps.database.inTenant(
      tenant,
      async (tx) => {
        if (whose !== null && (await findUser(tx, { tenant, id: whose })) === undefined)
          throw notFound('user')
        return { preferences: (await listPreferences(tx, { tenant, userId: whose })).map(shownRule) }
      },
      { readOnly: true },
    )
  const write = async (
    principal: Principal,
    whose: string | null,
    body: Static<typeof PreferencesSchema>,
    correlationId: string,
  ) => {
    const { tenant } = principal
    const rules = body.preferences.map(
      ({ category = null, channel = null, enabled, if: condition = null }) => ({
        category,
        channel,
        enabled,
        if: condition,
      }),
    )
    assertConditions(rules)
    const names = new Set(rules.map((rule) => `${rule.category} ${rule.channel}`))
    if (names.size < rules.length) {
      throw new HttpProblem(400, 'VALIDATION', 'Two rules name the same category and channel.', {
        field: 'preferences',
      })
    }
    await deps.outbox.change(tenant, async (tx, tell) => {
      if (whose !== null && (await findUser(tx, { tenant, id: whose })) === undefined) throw notFound('user')
      const known = new Map((await listCategories(tx, tenant)).map((one) => [one.key, one]))
      for (const [index, rule] of rules.entries()) {
        if (rule.category !== null && !known.has(rule.category)) {
          throw new HttpProblem(404, 'CATEGORY_UNKNOWN', `There is no category "${rule.category}".`, {
            field: `preferences.${index}.category`,
          })
        }
      }
      await replacePreferences(tx, { tenant, userId: whose }, rules)
      const resource = whose === null ? 'tenant' : `user:${whose}`
      tell(deps.trail.fact(principal, { area: 'preferences', action: 'put', resource }, correlationId))
    })
    return read(tenant, whose)
  }
  const shape = { tags: ['preferences'], response: answers({ 200: PreferencesAnswer }) }

  app.get('/preferences', { schema: { ...shape, summary: 'The defaults of everybody' } }, (request) =>
    read(principalOf(request).tenant, null),
  )
  app.put(
    '/preferences',
    { schema: { ...shape, summary: 'Change the defaults of everybody', body: PreferencesSchema } },
    (request) => write(principalOf(request), null, request.body, request.id),
  )
  app.get(
    '/users/:id/preferences',
    { schema: { ...shape, summary: 'What a user asked for', params: User } },
    (request) => {
      const { tenant } = principalOf(request)
      return read(tenant, userId(sha256, tenant, request.params.id))
    },
  )
  app.put(
    '/users/:id/preferences',
    { schema: { ...shape, summary: 'Change what a user asked for', params: User, body: PreferencesSchema } },
    (request) => {
      const principal = principalOf(request)
      const whose = userId(sha256, principal.tenant, request.params.id)
      return write(principal, whose, request.body, request.id)
    },
  )
  app.get(
    '/me/preferences',
    { schema: { ...shape, tags: ['me'], summary: 'What I asked for' } },
    (request) => {
      const me = personOf(request)
      return read(me.tenant, me.id)
    },
  )
  app.put(
    '/me/preferences',
    { schema: { ...shape, tags: ['me'], summary: 'Change what I asked for', body: PreferencesSchema } },
    (request) => {
      const me = personOf(request)
      return write(me, me.id, request.body, request.id)
    },
  )

  addCategoryRoutes(app, deps)
}

function assertConditions(rules: readonly PreferenceRule[]): void {
  rules.forEach((rule, index) => {
    const problem = rule.if === null ? undefined : checkExpression(rule.if)
    if (problem === undefined) return
    const detail = `The condition can't be judged: ${problem}. It is CEL over data and event, like data.amount > 100.`
    throw new HttpProblem(400, 'VALIDATION', detail, { field: `preferences.${index}.if` })
  })
}

function shownRule({ if: condition, ...rule }: PreferenceRule) {
  return condition === null ? rule : { ...rule, if: condition }
}

function addCategoryRoutes(app: Edge, deps: EdgeDeps): void {
  const tags = ['categories']
  app.get(
    '/categories',
    {
      schema: {
        summary: 'What users can opt in to or out of',
        tags,
        response: answers({ 200: Type.Object({ categories: Type.Array(CategoryAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      return {
        categories: await deps.database.inTenant(tenant, (tx) => listCategories(tx, tenant), {
          readOnly: true,
        }),
      }
    },
  )
  app.put(
    '/categories/:key',
    {
      schema: {
        summary: 'Make or change a category',
        tags,
        params: Type.Object({ key: Key }),
        body: CategorySchema,
        response: answers({ 200: CategoryAnswer, 201: CategoryAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { key } = request.params
      const { name, critical = false } = request.body
      const category = {
        key,
        name,
        critical,
        defaults: { ...request.body.defaults } as Record<string, boolean>,
      }
      const created = await deps.outbox.change(tenant, async (tx, tell) => {
        tell(
          deps.trail.fact(
            principal,
            { area: 'categories', action: 'put', resource: `category:${key}` },
            request.id,
          ),
        )
        return putCategory(tx, tenant, category)
      })
      return reply.code(created ? 201 : 200).send(category)
    },
  )
}
