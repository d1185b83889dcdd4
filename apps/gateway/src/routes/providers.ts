import { openCredentials, PROVIDERS, type Provider, sealCredentials } from '@carillon/channels'
import {
  changeProvider,
  deleteProvider,
  listProviders,
  type ProviderName,
  type ProviderRecord,
  putProvider,
  resumeProvider,
  sealedProvider,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { type Static, Type } from 'typebox'
import { assertLetIn, type Checked, UNTRIED, unopened } from '../credential-checks.js'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  AccountQuery,
  CheckAnswer,
  ProviderAnswer,
  ProviderPutAnswer,
  ProviderSchema,
} from '../schemas/providers.js'

const Kind = Type.Object({ kind: Type.Unsafe<Provider>({ type: 'string', enum: [...PROVIDERS] }) })
const CHANNEL_OF = {
  fcm: 'push',
  apns: 'push',
  webpush: 'push',
  smtp: 'email',
  sms: 'sms',
  webhook: 'webhook',
} as const
/** Paces that only one kind knows. */
const ONLY_FOR = { domains: 'smtp', originPerSecond: 'webpush' } as const
const tags = ['providers']

/** Accounts at providers: put, checked, paused, ordered, forgotten. Workers follow within a batch, without a restart. */
export function addProviderRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/providers',
    {
      schema: {
        summary: 'Providers, without their credentials',
        tags,
        response: answers({ 200: Type.Object({ providers: Type.Array(ProviderAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rows = await deps.database.inTenant(tenant, (tx) => listProviders(tx, tenant), { readOnly: true })
      return { providers: rows.map(shown) }
    },
  )
  addPutRoute(app, deps)
  addAccountRoutes(app, deps)
}

function addPutRoute(app: Edge, deps: EdgeDeps): void {
  app.put(
    '/providers/:kind',
    {
      schema: {
        summary: 'Put the credentials of a provider for one app, or change how they are used',
        description:
          'New credentials are tried out first: what the provider refuses is not saved. A provider that is away is no reason not to save.',
        tags,
        params: Kind,
        querystring: Type.Object(
          {
            check: Type.Optional(Type.Unsafe<'true' | 'false'>({ type: 'string', enum: ['true', 'false'] })),
          },
          { additionalProperties: false, description: '`check=false` saves without asking the provider.' },
        ),
        body: ProviderSchema,
        response: answers({ 200: ProviderPutAnswer, 201: ProviderPutAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { kind } = request.params
      const { app: of = 'default', name = 'default', credentials, ...change } = request.body
      assertSettings(kind, change.settings)
      const account = { tenant, kind, app: of, name }
      let checked = UNTRIED
      if (credentials !== undefined) {
        await deps.credentialChecks.assertShape(kind, credentials)
        if (request.query.check !== 'false') checked = await deps.credentialChecks.tryOut(kind, credentials)
        assertLetIn(checked)
      }
      const provider = await deps.outbox.change(tenant, async (tx, tell) => {
        const details = {
          app: of,
          name,
          credentials: credentials === undefined ? 'kept' : 'new',
          checked: checked.checked,
          ...(change.status === undefined ? {} : { status: change.status }),
        }
        const deed = { area: 'providers', action: 'put', resource: `provider:${kind}`, details }
        tell(deps.trail.fact(principal, deed, request.id))
        if (credentials === undefined) {
          const changed = await changeProvider(tx, { ...account, ...change })
          if (changed === undefined) throw withoutCredentials(account)
          return { ...changed, created: false }
        }
        const sealed = sealCredentials(deps.masterKey, credentials, { tenant, provider: kind })
        return putProvider(tx, { ...account, channel: CHANNEL_OF[kind], credentials: sealed, ...change })
      })
      return reply.code(provider.created ? 201 : 200).send({ ...shown(provider), ...warned(checked) })
    },
  )
}

function addAccountRoutes(app: Edge, deps: EdgeDeps): void {
  const shape = { tags, params: Kind, querystring: AccountQuery }
  app.post(
    '/providers/:kind/check',
    {
      schema: {
        ...shape,
        summary: 'Ask the provider again whether it takes the stored credentials',
        response: answers({ 200: CheckAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const account = accountOf(tenant, request.params.kind, request.query)
      const sealed = await deps.database.inTenant(tenant, (tx) => sealedProvider(tx, account), {
        readOnly: true,
      })
      if (sealed === undefined) throw notFound('provider')
      return checkSealed(deps, account, sealed)
    },
  )
  app.post(
    '/providers/:kind/resume',
    {
      schema: {
        ...shape,
        summary: 'Use an account again at once that is paused or on hold',
        response: answers({ 200: ProviderAnswer }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const account = accountOf(principal.tenant, request.params.kind, request.query)
      return deps.outbox.change(principal.tenant, async (tx, tell) => {
        const resumed = await resumeProvider(tx, account)
        if (resumed === undefined) throw notFound('provider')
        tell(deps.trail.fact(principal, deedOf('resumed', account), request.id))
        return shown(resumed)
      })
    },
  )
  app.delete(
    '/providers/:kind',
    {
      schema: {
        ...shape,
        summary: 'Forget the credentials of a provider for one app',
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const account = accountOf(principal.tenant, request.params.kind, request.query)
      await deps.outbox.change(principal.tenant, async (tx, tell) => {
        if (!(await deleteProvider(tx, account))) throw notFound('provider')
        tell(deps.trail.fact(principal, deedOf('deleted', account), request.id))
      })
      return reply.code(204).send()
    },
  )
}

type Account = ProviderName & { kind: Provider }

function accountOf(tenant: string, kind: Provider, query: Static<typeof AccountQuery>): Account {
  return { tenant, kind, app: query.app ?? 'default', name: query.name ?? 'default' }
}

function deedOf(action: string, { kind, app, name }: Account) {
  return { area: 'providers', action, resource: `provider:${kind}`, details: { app, name } }
}

async function checkSealed(deps: EdgeDeps, { tenant, kind }: Account, sealed: Buffer): Promise<Checked> {
  let credentials: unknown
  try {
    credentials = openCredentials(deps.masterKey, sealed, { tenant, provider: kind })
  } catch (error) {
    return unopened(error)
  }
  return deps.credentialChecks.tryOut(kind, credentials)
}

function assertSettings(kind: Provider, settings: Static<typeof ProviderSchema>['settings']): void {
  for (const [field, only] of Object.entries(ONLY_FOR)) {
    if (kind === only || settings === undefined || !Object.hasOwn(settings, field)) continue
    throw new HttpProblem(400, 'VALIDATION', `${field} is for ${only} alone.`, { field: `settings.${field}` })
  }
}

function withoutCredentials({ kind, app, name }: Account): HttpProblem {
  return new HttpProblem(
    422,
    'CREDENTIALS_MISSING',
    `There is no ${kind} account "${name}" of the app "${app}" yet: send its credentials.`,
    { field: 'credentials' },
  )
}

function warned({ checked, reason, remedy }: Checked): Record<string, string> {
  return reason === null ? { checked } : { checked, warning: `${reason}: ${remedy}` }
}

function shown(provider: ProviderRecord): Record<string, unknown> {
  return {
    ...provider,
    heldUntil: provider.heldUntil?.toISOString() ?? null,
    updatedAt: provider.updatedAt.toISOString(),
  }
}
