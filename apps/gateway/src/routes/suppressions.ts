import {
  deleteSuppression,
  listSuppressions,
  putSuppression,
  type Suppression,
  type SuppressionKind,
  suppressedAddress,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { normalPhone } from '../phone-number.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { limitOf } from '../schemas/shapes.js'
import {
  SuppressionAnswer,
  SuppressionParams,
  SuppressionQuery,
  SuppressionSchema,
  SuppressionsAnswer,
} from '../schemas/suppressions.js'

const tags = ['suppressions']

/** Mailboxes, numbers and receivers that nothing is sent to any more: found, added by hand, taken off again. */
export function addSuppressionRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/suppressions',
    {
      schema: {
        summary: 'Suppressed addresses',
        tags,
        querystring: SuppressionQuery,
        response: answers({ 200: SuppressionsAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { kind, address, after } = request.query
      const limit = limitOf(request.query.limit)
      const of = { tenant, kind, address, after: after === undefined ? undefined : pageAfter(after), limit }
      const rows = await deps.database.inTenant(tenant, (tx) => listSuppressions(tx, of), { readOnly: true })
      const last = rows.length === limit ? rows.at(-1) : undefined
      return {
        suppressions: rows.map(shown),
        next: last === undefined ? null : `${last.kind}:${last.address}`,
      }
    },
  )
  app.put(
    '/suppressions/:kind/:address',
    {
      schema: {
        summary: 'Send nothing to an address any more',
        tags,
        params: SuppressionParams,
        body: SuppressionSchema,
        response: answers({ 200: SuppressionAnswer, 201: SuppressionAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { kind } = request.params
      const address = checkedAddress(kind, request.params.address)
      const { detail = null } = request.body
      const row = await deps.outbox.change(tenant, async (tx, tell) => {
        tell(deps.trail.fact(principal, deedOf('put', kind, address), request.id))
        return putSuppression(tx, { tenant, kind, address, detail })
      })
      return reply.code(row.created ? 201 : 200).send(shown(row))
    },
  )
  app.delete(
    '/suppressions/:kind/:address',
    {
      schema: {
        summary: 'Send to an address again',
        description: 'What it did not get meanwhile is not sent any more.',
        tags,
        params: SuppressionParams,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { kind, address } = request.params
      await deps.outbox.change(tenant, async (tx, tell) => {
        if (!(await deleteSuppression(tx, { tenant, kind, address }))) throw notFound('suppression')
        tell(deps.trail.fact(principal, deedOf('deleted', kind, address), request.id))
      })
      return reply.code(204).send()
    },
  )
}

/** The trail is kept for years and shown to many: it says which address without saying it. */
function deedOf(action: string, kind: SuppressionKind, address: string) {
  return {
    area: 'suppressions',
    action,
    resource: `suppression:${kind}`,
    details: { address: masked(kind, address) },
  }
}

function masked(kind: SuppressionKind, address: string): string {
  if (kind === 'phone') return `…${address.slice(-3)}`
  if (kind === 'webhook') return URL.canParse(address) ? new URL(address).host : '…'
  return `${address.slice(0, 1)}…${address.slice(address.lastIndexOf('@'))}`
}

/** @throws HttpProblem 400 for what nothing could be sent to anyway */
function checkedAddress(kind: SuppressionKind, address: string): string {
  if (kind === 'phone') return normalPhone(address)
  const fits = kind === 'email' ? /^[^\s@]{1,64}@[^\s@]{1,255}$/.test(address.trim()) : URL.canParse(address)
  if (fits) return suppressedAddress(kind, address)
  const wanted = kind === 'email' ? 'a mail address' : 'a URL'
  throw new HttpProblem(400, 'VALIDATION', `The address is not ${wanted}.`, { field: 'address' })
}

function pageAfter(text: string): { kind: string; address: string } {
  const cut = text.indexOf(':')
  return { kind: text.slice(0, cut), address: text.slice(cut + 1) }
}

function shown(row: Suppression): Record<string, unknown> {
  const { kind, address, reason, detail, since } = row
  return { kind, address, reason, detail, since: since.toISOString() }
}
