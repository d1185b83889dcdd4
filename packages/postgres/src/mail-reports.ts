import type { Tx } from './tx.js'

/** What mails to bounce addresses are about. Request role, one tenant. */

export interface ReportedMail {
  userId: string
  category: string | null
  /** Somebody complained of this mail before. */
  complained: boolean
}

interface MailKey {
  tenant: string
  runId: string
  id: string
}

/** The mail of a delivery; undefined when there is none, or it was no mail. */
export async function findReportedMail(tx: Tx, mail: MailKey): Promise<ReportedMail | undefined> {
  const { rows } = await tx.query<ReportedMail>({
    text: `SELECT d.user_id AS "userId", r.category, EXISTS (SELECT FROM receipts c
        WHERE c.run_id = d.run_id AND c.delivery_id = d.id AND c.status = 'complained') AS complained
      FROM deliveries d JOIN runs r ON r.id = d.run_id
      WHERE d.tenant_id = $1 AND d.run_id = $2 AND d.id = $3 AND d.channel = 'email'`,
    values: [mail.tenant, mail.runId, mail.id],
  })
  return rows[0]
}

/** Notes on a mail that went out what a server says meanwhile: it is late, or its mailbox has trouble. */
export async function noteOnSentMail(tx: Tx, mail: MailKey & { detail: string }): Promise<void> {
  await tx.query({
    text: `UPDATE deliveries SET detail = $4, updated_at = now()
      WHERE tenant_id = $1 AND run_id = $2 AND id = $3 AND status = 'sent' AND detail IS DISTINCT FROM $4`,
    values: [mail.tenant, mail.runId, mail.id, mail.detail],
  })
}
