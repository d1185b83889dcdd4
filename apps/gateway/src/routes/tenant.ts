import { changeTenantSettings, findTenant, type TenantSettings } from '@carillon/postgres'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { TenantAnswer, TenantSchema } from '../schemas/administration.js'
import { assertTimezone } from '../timezone.js'

/** The tenant of the credential: its name, and the language and clock of everybody without their own. */
export function addTenantRoutes(app: Edge, deps: EdgeDeps): void {
  const shape = { tags: ['tenant'], response: answers({ 200: TenantAnswer }) }
  app.get('/tenant', { schema: { ...shape, summary: 'Name, language and time zone' } }, async (request) => {
    const { tenant } = principalOf(request)
    const found = await deps.database.inTenant(tenant, (tx) => findTenant(tx, tenant), { readOnly: true })
    return shown(found)
  })
  app.put(
    '/tenant',
    { schema: { ...shape, summary: 'Change name, language or time zone', body: TenantSchema } },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      assertTimezone(request.body.timezone)
      return deps.outbox.change(tenant, async (tx, tell) => {
        tell(deps.trail.fact(principal, { area: 'tenants', action: 'put', resource: 'tenant' }, request.id))
        return shown(await changeTenantSettings(tx, tenant, request.body))
      })
    },
  )
}

function shown(settings: TenantSettings | undefined): TenantSettings {
  if (settings === undefined) throw notFound('tenant')
  const { id, name, locale, timezone } = settings
  return { id, name, locale, timezone }
}
