import {
  type BounceCause,
  type MailReport,
  provenDelivery,
  readMailReport,
  tenantMark,
} from '@carillon/channels'
import { type Reason, type Receipt, receiptSubject, STREAMS } from '@carillon/contracts'
import { findReportedMail, noteOnSentMail, type ReportedMail } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { switchMails } from '../mail-preference.js'
import { MEDIA } from '../parsers.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { MailReportAnswer, MailReportQuery } from '../schemas/mail-reports.js'

const REASON_OF: Readonly<Record<BounceCause, Reason>> = {
  address: 'ADDRESS_INVALID',
  'mailbox-full': 'PROVIDER_REJECTED',
  rejected: 'PROVIDER_REJECTED',
  unavailable: 'PROVIDER_UNAVAILABLE',
}

type Report = Exclude<MailReport, { kind: 'auto-reply' | 'other' }>

/** A mail of the tenant that a report is certainly about. */
interface Reported extends ReportedMail {
  tenant: string
  runId: string
  id: string
}

/** Bounces, delays and complaints, as a mail server or a service for incoming mail hands them in. */
export function addMailReportRoutes(app: Edge, deps: EdgeDeps): void {
  app.post(
    '/callbacks/mail',
    {
      schema: {
        summary: 'Hand in a mail that came back',
        description:
          'The mail as it is, at most 10 MB. Only a report that proves which mail it is about, by the signed address that the mail was sent from, changes anything; the same one again changes nothing.',
        tags: ['receipts'],
        querystring: MailReportQuery,
        body: { content: { [MEDIA.mail]: { schema: Type.Unknown() } } },
        response: answers({ 202: MailReportAnswer }),
      },
    },
    async (request, reply) => {
      const { tenant } = principalOf(request)
      const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const report = await readMailReport(raw, request.query.recipient)
      if (report.kind === 'auto-reply' || report.kind === 'other') {
        const detail = report.kind === 'other' ? 'no report' : 'an automatic reply'
        return reply.code(202).send({ outcome: 'ignored', deliveryId: null, detail })
      }
      const mail = await provenMail(deps, tenant, report)
      const outcome = await actUpon(deps, { report, mail, correlationId: request.id })
      return reply.code(202).send({ outcome, deliveryId: mail.id, detail: detailOf(report) })
    },
  )
}

/** @throws HttpProblem 422 without proof, 404 when it is about no mail of this tenant */
async function provenMail(deps: EdgeDeps, tenant: string, report: Report): Promise<Reported> {
  const proven = provenDelivery(deps.receiptKey, report, deps.now())
  if (proven === undefined) {
    throw new HttpProblem(
      422,
      'REPORT_UNPROVEN',
      'Nothing in this report proves which mail it is about: neither its recipient nor the mail in it carries our signature.',
    )
  }
  if (proven.tenantMark !== tenantMark(tenant)) throw notFound('mail')
  const key = { tenant, runId: proven.notificationId, id: proven.deliveryId }
  const mail = await deps.database.inTenant(tenant, (tx) => findReportedMail(tx, key), { readOnly: true })
  if (mail === undefined) throw notFound('mail')
  return { ...key, ...mail }
}

async function actUpon(
  deps: EdgeDeps,
  { report, mail, correlationId }: { report: Report; mail: Reported; correlationId: string },
): Promise<'bounced' | 'delivered' | 'complained' | 'noted'> {
  const detail = detailOf(report)
  if (report.kind === 'delayed' || (report.kind === 'bounce' && !report.permanent)) {
    await deps.database.inTenant(mail.tenant, (tx) => noteOnSentMail(tx, { ...mail, detail }))
    return 'noted'
  }
  if (report.kind === 'complaint') {
    // told again it would undo what the person said since
    if (!mail.complained) await switchOff(deps, mail, correlationId)
    await publish(deps, mail, { status: 'complained', detail })
    return 'complained'
  }
  if (report.kind === 'delivered') {
    await publish(deps, mail, { status: 'delivered', detail })
    return 'delivered'
  }
  // the history suppresses the mailbox when the reason is its address
  await publish(deps, mail, { status: 'bounced', reason: REASON_OF[report.cause], detail })
  return 'bounced'
}

/** Who marks a mail as spam wants no more of its kind. */
async function switchOff(deps: EdgeDeps, mail: Reported, correlationId: string): Promise<void> {
  try {
    await switchMails(deps, mail, { enabled: false, correlationId, cause: 'complaint' })
  } catch (error) {
    // a person who is gone gets no mail anyway
    if (!(error instanceof HttpProblem) || error.status !== 404) throw error
  }
}

async function publish(
  deps: EdgeDeps,
  { tenant, runId, id, userId }: Reported,
  said: Pick<Receipt, 'status' | 'reason' | 'detail'>,
): Promise<void> {
  const receipt: Receipt = {
    deliveryId: id,
    runId,
    userId,
    channel: 'email',
    at: deps.now(),
    by: 'provider',
    provider: 'smtp',
    ...said,
  }
  const [outcome] = await deps.publisher.publishAll(STREAMS.receipts, [
    { subject: receiptSubject('email', receipt.status, tenant), body: JSON.stringify(receipt) },
  ])
  if (outcome?.ok === false) throw outcome.error
  deps.events.accepted('receipt', 1)
}

function detailOf(report: Report): string {
  if (report.kind === 'complaint') return report.feedbackType
  return `${report.status} ${report.diagnostic}`.trim()
}
