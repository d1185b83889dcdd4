import { plainArray } from './arrays.js'
import type { Tx } from './tx.js'

/** Who hears which topic. One tenant a transaction (request role). */

export interface Subscription {
  tenant: string
  topic: string
  userId: string
}

/** True when the subscription is new. The user must exist. */
export async function subscribe(tx: Tx, subscription: Subscription): Promise<boolean> {
  const { tenant, topic, userId } = subscription
  return (await subscribeAll(tx, { tenant, topic, userIds: [userId] })).length === 1
}

/** Subscribes those of the given users who exist, in one statement. Gives the ids whose subscription is new. */
export async function subscribeAll(
  tx: Tx,
  wanted: { tenant: string; topic: string; userIds: readonly string[] },
): Promise<string[]> {
  // sorted, so that two requests can't wait in a circle
  const { rows } = await tx.queryArrays<[string]>({
    text: `INSERT INTO subscriptions (tenant_id, topic, user_id)
      SELECT $1, $2, id FROM users WHERE tenant_id = $1 AND id = ANY ($3::uuid[]) ORDER BY id
      ON CONFLICT DO NOTHING RETURNING user_id`,
    values: [wanted.tenant, wanted.topic, plainArray([...wanted.userIds])],
  })
  return rows.map(([id]) => id)
}

/** True when there was one. */
export async function unsubscribe(tx: Tx, subscription: Subscription): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM subscriptions WHERE tenant_id = $1 AND topic = $2 AND user_id = $3',
    values: [subscription.tenant, subscription.topic, subscription.userId],
  })
  return rowCount === 1
}

/** Those of the given users who exist. */
export async function existingUsers(
  tx: Tx,
  users: { tenant: string; ids: readonly string[] },
): Promise<Set<string>> {
  const { rows } = await tx.queryArrays<[string]>({
    text: 'SELECT id FROM users WHERE tenant_id = $1 AND id = ANY ($2::uuid[])',
    values: [users.tenant, plainArray([...users.ids])],
  })
  return new Set(rows.map(([id]) => id))
}

/** A page of a topic's own subscribers by external id. */
export async function listSubscribers(
  tx: Tx,
  page: { tenant: string; topic: string; after?: string | undefined; limit: number },
): Promise<string[]> {
  const { rows } = await tx.queryArrays<[string]>({
    text: `SELECT u.external_id FROM subscriptions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
      WHERE s.tenant_id = $1 AND s.topic = $2 AND u.external_id > coalesce($3, '') ORDER BY u.external_id LIMIT $4`,
    values: [page.tenant, page.topic, page.after, page.limit],
  })
  return rows.map(([externalId]) => externalId)
}

/** A page of what a user subscribed to, by name; `after` is the last topic of the page before. */
export async function listTopics(
  tx: Tx,
  page: { tenant: string; userId: string; after?: string | undefined; limit: number },
): Promise<string[]> {
  const { rows } = await tx.queryArrays<[string]>({
    text: `SELECT topic FROM subscriptions WHERE tenant_id = $1 AND user_id = $2 AND topic > coalesce($3, '')
      ORDER BY topic LIMIT $4`,
    values: [page.tenant, page.userId, page.after, page.limit],
  })
  return rows.map(([topic]) => topic)
}
