import { CHANNELS, userId } from '@carillon/contracts'
import { createConditions, judgePreferences } from '@carillon/decisions'
import { findUser, listCategories, listPreferences, type PreferenceRule, type Tx } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { EffectiveAnswer } from '../schemas/preferences.js'
import { ExternalId } from '../schemas/shapes.js'

/** What holds for a person in the end, and which layer decided: what a preference page shows. */
export function addEffectivePreferenceRoutes(app: Edge, deps: EdgeDeps): void {
  const shape = { response: answers({ 200: EffectiveAnswer }) }
  const read = (tenant: string, whose: string) =>
    deps.database.inTenant(tenant, (tx) => effective(tx, tenant, whose), { readOnly: true })
  app.get(
    '/users/:id/preferences/effective',
    {
      schema: {
        ...shape,
        summary: 'What holds for a user, and which layer decided',
        tags: ['preferences'],
        params: Type.Object({ id: ExternalId }),
      },
    },
    (request) => {
      const { tenant } = principalOf(request)
      return read(tenant, userId(sha256, tenant, request.params.id))
    },
  )
  app.get(
    '/me/preferences/effective',
    { schema: { ...shape, summary: 'What holds for me, and which layer decided', tags: ['me'] } },
    (request) => {
      const me = personOf(request)
      return read(me.tenant, me.id)
    },
  )
}

async function effective(tx: Tx, tenant: string, whose: string) {
  if ((await findUser(tx, { tenant, id: whose })) === undefined) throw notFound('user')
  const conditions = createConditions()
  const preferenceOf = ({ category, channel, enabled, if: condition }: PreferenceRule) =>
    conditions.preferenceOf({ category, channel, enabled, condition })
  const preferences = (await listPreferences(tx, { tenant, userId: whose })).map(preferenceOf)
  const tenantDefaults = (await listPreferences(tx, { tenant, userId: null })).map(preferenceOf)
  const categories = await listCategories(tx, tenant)
  return {
    effective: [null, ...categories].map((category) => ({
      category: category?.key ?? null,
      name: category?.name ?? null,
      critical: category?.critical === true,
      channels: Object.fromEntries(
        CHANNELS.map((channel) => {
          const { enabled, decidedBy } = judgePreferences({ category, preferences, tenantDefaults }, channel)
          return [channel, { enabled, decidedBy }]
        }),
      ),
    })),
  }
}
