import {
  ChannelError,
  isSignedByTwilio,
  openCredentials,
  type ReceiptClaims,
  readSmsNews,
  type SmsFailure,
  type SmsNews,
  verifyReceiptToken,
} from '@carillon/channels'
import { isUuid, type Reason, type Receipt, receiptSubject, STREAMS } from '@carillon/contracts'
import { deliveryOwners, findProviderCredentials } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { MEDIA } from '../parsers.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'

const REASON_OF: Readonly<Record<SmsFailure, Reason>> = {
  address: 'ADDRESS_INVALID',
  rejected: 'PROVIDER_REJECTED',
  config: 'CONFIGURATION',
  unavailable: 'PROVIDER_UNAVAILABLE',
  expired: 'EXPIRED',
}

/** The person answered STOP: no fault of the number. */
const STOPPED = 'TWILIO_21610'

/** What providers of texts tell afterwards. Repeating it changes nothing. */
export function addCallbackRoutes(app: Edge, deps: EdgeDeps): void {
  app.post(
    '/callbacks/twilio/:provider',
    {
      schema: {
        summary: 'What became of a text message, told by the account that sent it',
        tags: ['receipts'],
        params: Type.Object({ provider: Type.String({ maxLength: 64 }) }),
        querystring: Type.Object(
          { token: Type.String({ maxLength: 256 }) },
          { additionalProperties: false, description: 'The token that the message was sent with.' },
        ),
        body: { content: { [MEDIA.form]: { schema: Type.Unknown() } } },
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const claims = claimsOf(deps, request.query.token)
      const account = await accountOf(deps, claims, request.params.provider)
      const form = new URLSearchParams(request.bodyText ?? '')
      const url = `${deps.publicUrl.replace(/\/+$/, '')}${request.url}`
      const signature = request.headers['x-twilio-signature']
      const signed = { url, form, signature: typeof signature === 'string' ? signature : '' }
      if (!isSignedByTwilio(account.authToken, signed)) {
        throw new HttpProblem(
          403,
          'SIGNATURE_INVALID',
          'This was not signed by the account that sent the text.',
        )
      }
      const news = readSmsNews(form)
      if (news.kind === 'pending') return reply.code(204).send()
      const { userId } = account
      const receipt = receiptOf(claims, { news, userId, sid: form.get('MessageSid'), nowMs: deps.now() })
      const [outcome] = await deps.publisher.publishAll(STREAMS.receipts, [
        { subject: receiptSubject('sms', receipt.status, claims.tenant), body: JSON.stringify(receipt) },
      ])
      if (outcome?.ok === false) throw outcome.error
      deps.events.accepted('receipt', 1)
      return reply.code(204).send()
    },
  )
}

function claimsOf(deps: EdgeDeps, token: string): ReceiptClaims {
  try {
    return verifyReceiptToken(deps.receiptKey, token, deps.now())
  } catch (error) {
    if (error instanceof ChannelError) throw new HttpProblem(401, error.code, error.message)
    throw error
  }
}

/** Whose text it was, and what its account signs with. @throws HttpProblem 404 when either is gone */
async function accountOf(
  deps: EdgeDeps,
  claims: ReceiptClaims,
  provider: string,
): Promise<{ authToken: string; userId: string }> {
  if (!isUuid(provider)) throw notFound('provider')
  const { tenant } = claims
  const deliveries = [{ runId: claims.notificationId, id: claims.deliveryId }]
  const { sealed, owner } = await deps.database.inTenant(
    tenant,
    async (tx) => ({
      sealed: await findProviderCredentials(tx, { tenant, id: provider, kind: 'sms' }),
      owner: (await deliveryOwners(tx, { tenant, deliveries }))[0],
    }),
    { readOnly: true },
  )
  if (sealed === undefined) throw notFound('provider')
  if (owner?.channel !== 'sms') throw notFound('delivery')
  const { authToken } = openCredentials(deps.masterKey, sealed, { tenant, provider: 'sms' }) as {
    authToken?: unknown
  }
  if (typeof authToken !== 'string') throw notFound('provider')
  return { authToken, userId: owner.userId }
}

/**
 * A text that the network gave up on is a bounce: it was accepted before, and nobody tries it again. The history
 * suppresses numbers by its reason.
 */
function receiptOf(
  claims: ReceiptClaims,
  told: { news: Exclude<SmsNews, { kind: 'pending' }>; userId: string; sid: string | null; nowMs: number },
): Receipt {
  const { news, userId, sid, nowMs } = told
  return {
    deliveryId: claims.deliveryId,
    runId: claims.notificationId,
    userId,
    channel: 'sms',
    status: news.kind === 'delivered' ? 'delivered' : 'bounced',
    at: nowMs,
    by: 'provider',
    provider: 'sms',
    ...(sid === null ? {} : { providerId: sid.slice(0, 64) }),
    ...(news.kind === 'delivered' ? {} : { reason: reasonOf(news), detail: news.detail }),
  }
}

function reasonOf({ cause, detail }: Extract<SmsNews, { kind: 'failed' }>): Reason {
  return detail === STOPPED ? 'UNSUBSCRIBED' : REASON_OF[cause]
}
