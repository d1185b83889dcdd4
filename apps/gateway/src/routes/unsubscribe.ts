import { ChannelError, type UnsubscribeClaims, verifyUnsubscribeToken } from '@carillon/channels'
import { findUser, listCategories, putPreference, type Tx } from '@carillon/postgres'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { MEDIA } from '../parsers.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { renderUnsubscribePage, type UnsubscribePage } from '../unsubscribe-page.js'

const Link = Type.Object({ token: Type.String({ minLength: 1, maxLength: 400 }) })
const form = { content: { [MEDIA.form]: { schema: Type.Unknown() } } }
const Html = Type.String({ description: 'A page.' })
const tags = ['preferences']

/** One-click unsubscribe (RFC 8058): the link in a mail, the button of the mail program, and the way back. */
export function addUnsubscribeRoutes(app: Edge, deps: EdgeDeps): void {
  const claimsOf = (token: string): UnsubscribeClaims => {
    try {
      return verifyUnsubscribeToken(deps.receiptKey, token)
    } catch (error) {
      if (error instanceof ChannelError) throw notFound('unsubscribe link')
      throw error
    }
  }
  const change = (
    request: FastifyRequest<{ Params: { token: string } }>,
    enabled: boolean,
  ): Promise<Subject> => {
    const claims = claimsOf(request.params.token)
    return deps.outbox.change(claims.tenant, async (tx, tell) => {
      const what = await subjectOf(tx, claims)
      if (what.critical) return what
      const { tenant, userId, category } = claims
      await putPreference(tx, { tenant, userId, category, channel: 'email', enabled })
      // the link is the credential: whoever holds the mail acts for its reader
      const principal = { kind: 'user', tenant, id: userId, externalId: userId, roles: [] } as const
      const deed = {
        area: 'preferences',
        action: enabled ? 'resubscribed' : 'unsubscribed',
        resource: `user:${userId}`,
        details: { channel: 'email', ...(category === null ? {} : { category }) },
      }
      tell(deps.trail.fact(principal, deed, request.id))
      return what
    })
  }
  app.get(
    '/unsubscribe/:token',
    {
      schema: {
        summary: 'The page behind the link of a mail',
        tags,
        params: Link,
        response: answers({ 200: Html }),
      },
    },
    async (request, reply) => {
      const claims = claimsOf(request.params.token)
      const { tenant } = claims
      const what = await deps.database.inTenant(tenant, (tx) => subjectOf(tx, claims), { readOnly: true })
      if (what.critical) {
        return send(reply, {
          title: 'These can’t be switched off',
          text: `Mails of ${what.name} are sent because something depends on them.`,
        })
      }
      return send(reply, {
        title: 'Unsubscribe?',
        text: `You will get no mails of ${what.name} any more. Everything else stays as it is.`,
        button: { action: `/v1/unsubscribe/${request.params.token}`, label: 'Unsubscribe' },
      })
    },
  )
  app.post(
    '/unsubscribe/:token',
    {
      schema: {
        summary: 'Unsubscribe with one click',
        tags,
        params: Link,
        body: form,
        response: answers({ 200: Html }),
      },
    },
    async (request, reply) => {
      const what = await change(request, false)
      return send(reply, {
        title: 'Unsubscribed',
        text: `You get no mails of ${what.name} any more.`,
        button: { action: `/v1/unsubscribe/${request.params.token}/undo`, label: 'Switch them on again' },
      })
    },
  )
  app.post(
    '/unsubscribe/:token/undo',
    {
      schema: {
        summary: 'Take an unsubscription back',
        tags,
        params: Link,
        body: form,
        response: answers({ 200: Html }),
      },
    },
    async (request, reply) => {
      const what = await change(request, true)
      return send(reply, {
        title: 'Switched on again',
        text: `You get mails of ${what.name} as before.`,
        button: { action: `/v1/unsubscribe/${request.params.token}`, label: 'Unsubscribe' },
      })
    },
  )
}

interface Subject {
  name: string
  critical: boolean
}

/** What the link is about. @throws HttpProblem 404 when its reader is gone */
async function subjectOf(tx: Tx, { tenant, userId, category }: UnsubscribeClaims): Promise<Subject> {
  if ((await findUser(tx, { tenant, id: userId })) === undefined) throw notFound('person')
  if (category === null) return { name: 'any kind', critical: false }
  // one that nobody describes is switched off by its key all the same
  const known = (await listCategories(tx, tenant)).find((one) => one.key === category)
  return { name: `“${known?.name ?? category}”`, critical: known?.critical === true }
}

function send(reply: FastifyReply, page: UnsubscribePage): FastifyReply {
  const { html, contentSecurityPolicy } = renderUnsubscribePage(page)
  return reply
    .header('content-security-policy', contentSecurityPolicy)
    .header('referrer-policy', 'no-referrer')
    .type('text/html; charset=utf-8')
    .send(html)
}
