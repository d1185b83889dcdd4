import type { Tx } from './tx.js'

/** Where Live Activities of iPhones are updated. */

export interface LiveActivityKey {
  tenant: string
  deviceId: string
  /** The name that the app gave it, or `start` for the token that starts one. */
  activity: string
}

/** Most activities that one device may have registered: an app shows a handful, the rest were forgotten. */
const MOST_OF_DEVICE = 20

/** Keeps or rotates an activity's token. True when it is new. Request role. */
export async function putLiveActivity(tx: Tx, key: LiveActivityKey, token: string): Promise<boolean> {
  const { rows } = await tx.query<{ created: boolean }>({
    text: `INSERT INTO live_activities (tenant_id, device_id, activity, token) VALUES ($1, $2, $3, $4)
      ON CONFLICT (tenant_id, device_id, activity) DO UPDATE SET token = excluded.token, updated_at = now()
      RETURNING xmax = 0 AS created`,
    values: [key.tenant, key.deviceId, key.activity, token],
  })
  await tx.query({
    text: `DELETE FROM live_activities WHERE tenant_id = $1 AND device_id = $2 AND activity IN (
        SELECT activity FROM live_activities WHERE tenant_id = $1 AND device_id = $2 AND activity <> 'start'
        ORDER BY updated_at DESC OFFSET ${MOST_OF_DEVICE})`,
    values: [key.tenant, key.deviceId],
  })
  return rows[0]?.created === true
}

/** Forgets an activity that has ended. False when there is none. Request role. */
export async function deleteLiveActivity(tx: Tx, key: LiveActivityKey): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM live_activities WHERE tenant_id = $1 AND device_id = $2 AND activity = $3',
    values: [key.tenant, key.deviceId, key.activity],
  })
  return rowCount === 1
}

/** Forgets tokens that their provider called dead: the activity is over, its device is not. Worker role. */
export async function forgetLiveActivities(
  tx: Pick<Tx, 'query'>,
  dead: readonly { tenant: string; deviceId: string; token: string }[],
): Promise<void> {
  await tx.query({
    text: `DELETE FROM live_activities l USING unnest($1::text[], $2::uuid[], $3::text[]) AS n (tenant_id, device_id, token)
      WHERE l.tenant_id = n.tenant_id AND l.device_id = n.device_id AND l.token = n.token`,
    values: [dead.map((one) => one.tenant), dead.map((one) => one.deviceId), dead.map((one) => one.token)],
  })
}
