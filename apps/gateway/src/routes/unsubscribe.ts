import { ChannelError, type UnsubscribeClaims, verifyUnsubscribeToken } from '@carillon/channels'
import { HttpProblem } from '@carillon/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { mailSubject, switchMails } from '../mail-preference.js'
import { MEDIA } from '../parsers.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  renderUnsubscribePage,
  type UnsubscribeState,
  unsubscribePage,
  unsubscribePolicy,
} from '../unsubscribe-page.js'

const Link = Type.Object({ token: Type.String({ minLength: 1, maxLength: 400 }) })
// RFC 8058 §3.2: a mail program should send the one and may send the other
const form = {
  content: { [MEDIA.multipart]: { schema: Type.Unknown() }, [MEDIA.form]: { schema: Type.Unknown() } },
}
const shape = {
  tags: ['preferences'],
  params: Link,
  response: answers({ 200: Type.String({ description: 'A page.' }) }),
}

type LinkRequest = FastifyRequest<{ Params: { token: string } }>

/** One-click unsubscribe (RFC 8058): the link in a mail, the button of the mail program, and the way back. */
export function addUnsubscribeRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/unsubscribe/:token',
    { schema: { ...shape, summary: 'The page behind the link of a mail' } },
    (request, reply) =>
      answer(request, reply, deps, (claims) =>
        deps.database.inTenant(
          claims.tenant,
          async (tx): Promise<PageContent> => {
            const { name, critical, word } = await mailSubject(tx, claims)
            return { name, state: critical ? 'critical' : word === false ? 'off' : 'asked' }
          },
          { readOnly: true },
        ),
      ),
  )
  app.post(
    '/unsubscribe/:token',
    { schema: { ...shape, summary: 'Unsubscribe with one click', body: form } },
    (request, reply) => answer(request, reply, deps, (claims) => change(deps, claims, false, request.id)),
  )
  app.post(
    '/unsubscribe/:token/undo',
    { schema: { ...shape, summary: 'Take an unsubscription back', body: form } },
    (request, reply) => answer(request, reply, deps, (claims) => change(deps, claims, true, request.id)),
  )
}

interface PageContent {
  name: string | null
  state: UnsubscribeState
}

async function change(
  deps: EdgeDeps,
  claims: UnsubscribeClaims,
  enabled: boolean,
  correlationId: string,
): Promise<PageContent> {
  const { name, critical } = await switchMails(deps, claims, { enabled, correlationId })
  return { name, state: critical ? 'critical' : enabled ? 'on' : 'off' }
}

/** Answers with the page of what came of it; a link of nobody's is a page for people and a problem for programs. */
async function answer(
  request: LinkRequest,
  reply: FastifyReply,
  deps: EdgeDeps,
  work: (claims: UnsubscribeClaims) => Promise<PageContent>,
): Promise<FastifyReply> {
  const { token } = request.params
  try {
    const { state, name } = await work(claimsOf(deps, token))
    return send(reply, renderUnsubscribePage(unsubscribePage(state, name, token)))
  } catch (error) {
    const gone = error instanceof HttpProblem && error.status === 404
    if (!gone || request.headers.accept?.includes('text/html') !== true) throw error
    return send(reply.code(404), renderUnsubscribePage(unsubscribePage('gone', null, token)))
  }
}

function claimsOf({ receiptKey }: EdgeDeps, token: string): UnsubscribeClaims {
  try {
    return verifyUnsubscribeToken(receiptKey, token)
  } catch (error) {
    if (error instanceof ChannelError) throw notFound('unsubscribe link')
    throw error
  }
}

function send(reply: FastifyReply, html: string): FastifyReply {
  return reply
    .header('content-security-policy', unsubscribePolicy())
    .header('referrer-policy', 'no-referrer')
    .type('text/html; charset=utf-8')
    .send(html)
}
