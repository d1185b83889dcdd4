import { findUser, listCategories, listPreferences, putPreference, type Tx } from '@carillon/postgres'
import type { EdgeDeps } from './edge-deps.js'
import { notFound } from './problems.js'

/** Whose mails of which category; null stands for all mails. */
export interface MailSubscription {
  tenant: string
  userId: string
  category: string | null
}

export interface MailSubject {
  /** null: all mails. */
  name: string | null
  critical: boolean
  /** What the person said of exactly this; a word with a condition is neither yes nor no. */
  word: boolean | undefined
}

/**
 * Switches mails of a category off or on for the person who got one. What is critical stays; saying again what was
 * said already changes nothing and tells the trail nothing. @throws HttpProblem 404 when the person is gone
 */
export function switchMails(
  deps: Pick<EdgeDeps, 'outbox' | 'trail'>,
  of: MailSubscription,
  change: { enabled: boolean; correlationId: string; cause?: 'complaint' },
): Promise<MailSubject> {
  const { tenant, userId, category } = of
  const { enabled, correlationId, cause } = change
  return deps.outbox.change(tenant, async (tx, tell) => {
    const subject = await mailSubject(tx, of)
    if (subject.critical || subject.word === enabled) return subject
    await putPreference(tx, { tenant, userId, category, channel: 'email', enabled })
    // the mail is the credential: whoever holds it acts for its reader
    const principal = { kind: 'user', tenant, id: userId, externalId: userId, roles: [] } as const
    const deed = {
      area: 'preferences',
      action: enabled ? 'resubscribed' : 'unsubscribed',
      resource: `user:${userId}`,
      details: {
        channel: 'email',
        ...(category === null ? {} : { category }),
        ...(cause === undefined ? {} : { cause }),
      },
    }
    tell(deps.trail.fact(principal, deed, correlationId))
    return subject
  })
}

/** What a mail's link or complaint is about. @throws HttpProblem 404 when its reader is gone */
export async function mailSubject(
  tx: Tx,
  { tenant, userId, category }: MailSubscription,
): Promise<MailSubject> {
  if ((await findUser(tx, { tenant, id: userId })) === undefined) throw notFound('person')
  const said = (await listPreferences(tx, { tenant, userId })).find(
    (rule) => rule.category === category && rule.channel === 'email' && rule.if === null,
  )
  if (category === null) return { name: null, critical: false, word: said?.enabled }
  // one that nobody describes is switched off by its key all the same
  const known = (await listCategories(tx, tenant)).find((one) => one.key === category)
  return { name: known?.name ?? category, critical: known?.critical === true, word: said?.enabled }
}
