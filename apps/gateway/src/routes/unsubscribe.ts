import { ChannelError, type UnsubscribeClaims, verifyUnsubscribeToken } from '@carillon/channels'
import { findUser, listCategories, listPreferences, putPreference, type Tx } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
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
          async (tx) => {
            const subject = await subjectOf(tx, claims)
            const state = subject.critical ? 'critical' : subject.word === false ? 'off' : 'asked'
            return { name: subject.name, state }
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

interface Outcome {
  name: string | null
  state: UnsubscribeState
}

/** Saying again what was said already changes nothing and tells the trail nothing. */
function change(
  deps: EdgeDeps,
  claims: UnsubscribeClaims,
  enabled: boolean,
  correlationId: string,
): Promise<Outcome> {
  const { tenant, userId, category } = claims
  return deps.outbox.change<Outcome>(tenant, async (tx, tell) => {
    const { name, critical, word } = await subjectOf(tx, claims)
    if (critical) return { name, state: 'critical' }
    const state = enabled ? 'on' : 'off'
    if (word === enabled) return { name, state }
    await putPreference(tx, { tenant, userId, category, channel: 'email', enabled })
    // the link is the credential: whoever holds the mail acts for its reader
    const principal = { kind: 'user', tenant, id: userId, externalId: userId, roles: [] } as const
    const deed = {
      area: 'preferences',
      action: enabled ? 'resubscribed' : 'unsubscribed',
      resource: `user:${userId}`,
      details: { channel: 'email', ...(category === null ? {} : { category }) },
    }
    tell(deps.trail.fact(principal, deed, correlationId))
    return { name, state }
  })
}

interface Subject {
  /** null: all mails. */
  name: string | null
  critical: boolean
  /** What the person said of exactly this; a word with a condition is neither yes nor no. */
  word: boolean | undefined
}

/** What the link is about. @throws HttpProblem 404 when its reader is gone */
async function subjectOf(tx: Tx, { tenant, userId, category }: UnsubscribeClaims): Promise<Subject> {
  if ((await findUser(tx, { tenant, id: userId })) === undefined) throw notFound('person')
  const said = (await listPreferences(tx, { tenant, userId })).find(
    (rule) => rule.category === category && rule.channel === 'email' && rule.if === null,
  )
  if (category === null) return { name: null, critical: false, word: said?.enabled }
  // one that nobody describes is switched off by its key all the same
  const known = (await listCategories(tx, tenant)).find((one) => one.key === category)
  return { name: known?.name ?? category, critical: known?.critical === true, word: said?.enabled }
}

/** Answers with the page of what came of it; a link of nobody's is a page for people and a problem for programs. */
async function answer(
  request: LinkRequest,
  reply: FastifyReply,
  deps: EdgeDeps,
  work: (claims: UnsubscribeClaims) => Promise<Outcome>,
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
