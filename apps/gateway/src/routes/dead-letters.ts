import { userId } from '@carillon/contracts'
import {
  attemptsOf,
  type DeadLetter,
  type DeadLetterFilter,
  type DeliveryKey,
  deliveriesOf,
  findDeadLetter,
  listDeadLetters,
  type RedriveRefusal,
  receiptsOf,
  redriveDeadLetters,
} from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import type { Static } from 'typebox'
import { deadLetterId, parseDeadLetterId, parsePlace, placeText } from '../dead-letter-id.js'
import { REFUSED_BECAUSE, wordsOf } from '../dead-letter-words.js'
import { timelineOf } from '../delivery-timeline.js'
import type { EdgeDeps } from '../edge-deps.js'
import { deliverySummary } from '../explained.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { redrive } from '../redrive.js'
import { answers, type Edge } from '../route.js'
import {
  DeadLetterAnswer,
  DeadLetterParams,
  DeadLettersAnswer,
  DeadLettersQuery,
  RedriveAnswer,
  RedriveSchema,
} from '../schemas/dead-letters.js'
import { limitOf } from '../schemas/shapes.js'

const tags = ['dead letters']
const iso = (moment: Date | null): string | null => moment?.toISOString() ?? null
const MOST_REFUSALS = 200
const MOST_AT_ONCE = 1000

/** Deliveries that failed: found, looked at, sent off again. */
export function addDeadLetterRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/dead-letters',
    {
      schema: {
        summary: 'Deliveries that failed',
        description: 'What failed last comes first.',
        tags,
        querystring: DeadLettersQuery,
        response: answers({ 200: DeadLettersAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { after, limit: limitText, replayed, ...rest } = request.query
      const limit = limitOf(limitText)
      const filter = filterOf(tenant, {
        ...rest,
        ...(replayed === undefined ? {} : { replayed: replayed === 'true' }),
      })
      const page = { tenant, filter, after: after === undefined ? undefined : parsePlace(after), limit }
      const rows = await deps.database.inTenant(tenant, (tx) => listDeadLetters(tx, page), { readOnly: true })
      const last = rows.length === limit ? rows.at(-1) : undefined
      return { deadLetters: rows.map(listed), next: last === undefined ? null : placeText(last) }
    },
  )
  app.get(
    '/dead-letters/:id',
    {
      schema: {
        summary: 'One of them: what it says, each attempt, and what can be done',
        description: 'Also after it was sent off again.',
        tags,
        params: DeadLetterParams,
        response: answers({ 200: DeadLetterAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const key = parseDeadLetterId(request.params.id)
      if (key === undefined) throw notFound('dead letter')
      return deps.database.inTenant(tenant, async (tx) => {
        const letter = await findDeadLetter(tx, { tenant, ...key })
        const of = { tenant, ids: [key.runId] }
        const delivery = (await deliveriesOf(tx, of)).find(({ id }) => id === key.id)
        if (letter === undefined || delivery === undefined) throw notFound('dead letter')
        const attempts = (await attemptsOf(tx, of)).filter(({ deliveryId }) => deliveryId === key.id)
        const receipts = (await receiptsOf(tx, of)).filter(({ deliveryId }) => deliveryId === key.id)
        const ask = { tenant, keys: [key], evenUnknown: false, dryRun: true }
        const refused = (await redriveDeadLetters(tx, ask))[0]?.refused ?? null
        const { workflow, version, recipient, category, lane, content } = letter
        return {
          ...deliverySummary(delivery),
          id: request.params.id,
          notification: key.runId,
          delivery: key.id,
          workflow,
          version,
          user: recipient,
          category,
          lane,
          content: content ?? null,
          expiresAt: iso(delivery.expiresAt),
          ...(delivery.status === 'failed' ? wordsOf(delivery.reason) : { said: null, remedy: null }),
          redrive: refused === null ? { possible: true } : { possible: false, ...refusal(refused) },
          attempts: attempts.map(({ deliveryId: _delivery, attemptNo: number, ...attempt }) => ({
            number,
            ...attempt,
          })),
          receipts: receipts.map(({ deliveryId: _delivery, ...receipt }) => receipt),
          timeline: timelineOf(delivery, { attempts, receipts }),
        }
      })
    },
  )
  app.post(
    '/dead-letters/redrive',
    {
      schema: {
        summary: 'Send them off again',
        description:
          'Each goes once, however often this is repeated. Nothing goes after it expires, to an address that is gone, or, unless `evenUnknown`, when it may have been sent.',
        tags,
        body: RedriveSchema,
        response: answers({ 200: RedriveAnswer }),
      },
    },
    async (request) => {
      const principal = principalOf(request)
      const { ids, filter, evenUnknown = false, dryRun = false, limit = MOST_AT_ONCE, after } = request.body
      if ((ids === undefined) === (filter === undefined)) {
        throw new HttpProblem(400, 'VALIDATION', 'Say either ids or filter.', { field: 'ids' })
      }
      // what fails from now on is not meant: else what fails again would be sent again at once
      const to = filter === undefined ? undefined : earlier(filter.to, deps.now())
      const which =
        filter === undefined
          ? { keys: (ids ?? []).map(keyOf) }
          : {
              filter: { ...filterOf(principal.tenant, filter), to },
              after: after === undefined ? undefined : parsePlace(after),
              limit,
            }
      const asked =
        ids === undefined ? { ...filter, to: iso(to ?? null) ?? '' } : { ids: ids.slice(0, 10).join(' ') }
      const order = { principal, correlationId: request.id, which, evenUnknown, dryRun, asked }
      const { letters, next } = await redrive(order, deps)
      const refused = letters.flatMap(({ refused, ...key }) => (refused === null ? [] : [{ key, refused }]))
      const counts: Record<string, number> = {}
      for (const one of refused) counts[one.refused] = (counts[one.refused] ?? 0) + 1
      const redriven = letters.length - refused.length
      if (!dryRun) deps.events.redriven(redriven, counts)
      return {
        dryRun,
        matched: letters.length,
        redriven,
        refused: counts,
        refusals: refused
          .slice(0, MOST_REFUSALS)
          .map(({ key, refused }) => ({ id: deadLetterId(key), ...refusal(refused) })),
        to: iso(to ?? null),
        next: next === undefined ? null : placeText(next),
      }
    },
  )
}

type Filter = NonNullable<Static<typeof RedriveSchema>['filter']>

function filterOf(tenant: string, { user, from, to, ...rest }: Filter): DeadLetterFilter {
  return {
    ...rest,
    userId: user === undefined ? undefined : userId(sha256, tenant, user),
    from: momentOf('from', from),
    to: momentOf('to', to),
  }
}

/** @throws HttpProblem 400 for a day that no calendar has */
function momentOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const moment = new Date(text)
  if (!Number.isNaN(moment.getTime())) return moment
  throw new HttpProblem(400, 'VALIDATION', 'There is no such moment.', { field })
}

function earlier(to: string | undefined, nowMs: number): Date {
  return new Date(Math.min(momentOf('to', to)?.getTime() ?? nowMs, nowMs))
}

function keyOf(id: string): DeliveryKey {
  // what never was an id is answered as one that is not known
  return parseDeadLetterId(id) ?? { runId: NOBODY, id: NOBODY }
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

function refusal(reason: RedriveRefusal): { reason: string; detail: string } {
  return { reason, detail: REFUSED_BECAUSE[reason] }
}

function listed(letter: DeadLetter): Record<string, unknown> {
  const { runId, id: _id, atMicros: _at, recipient, failedAt, expiresAt, replayedAt, ...rest } = letter
  return {
    ...rest,
    id: deadLetterId(letter),
    notification: runId,
    user: recipient,
    failedAt: failedAt.toISOString(),
    expiresAt: iso(expiresAt),
    replayedAt: iso(replayedAt),
  }
}
