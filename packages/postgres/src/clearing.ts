import { plainArray } from './arrays.js'
import { NO_ROOM } from './due-deliveries.js'
import type { Queryable } from './tx.js'

/** A push older than this has left the screen on its own or is too far down to matter. */
const SHOWN_DAYS = 7
/** Who marks a thousand read at once wants an empty list, not a thousand pushes. */
const MOST = 50

/**
 * Queues a silent push for every device that may still show one of these notifications, so that it takes it off the
 * screen: read once is read everywhere. Devices that opened or dismissed it themselves are left alone, and so are
 * browsers, which may show no silent push. Repeating it changes nothing. Either role; the request role for its own tenant.
 */
export async function clearShown(tx: Queryable, runIds: readonly string[]): Promise<number> {
  if (runIds.length === 0) return 0
  const { rowCount } = await tx.query({
    name: 'delivery-clear',
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, purpose, max_attempts,
        detail, due_at, expires_at, created_at, updated_at)
      SELECT d.run_id, md5(d.id::text || ' clear')::uuid, d.tenant_id, d.user_id, d.channel, 'normal', d.step, d.address_kind, d.address,
        'clear', 2, $2, now(), now() + interval '1 day', now(), now()
      FROM deliveries d JOIN runs r ON r.id = d.run_id
        JOIN devices v ON v.tenant_id = d.tenant_id AND v.id = CASE WHEN d.address_kind = 'device' THEN d.address::uuid END
      WHERE d.run_id = ANY ($1::uuid[]) AND d.channel = 'push' AND d.purpose = 'notify' AND d.status IN ('sent', 'delivered')
        AND d.opened_at IS NULL AND d.created_at > now() - make_interval(days => ${SHOWN_DAYS})
        AND v.status = 'active' AND v.kind IN ('fcm', 'apns')
        AND coalesce(r.content #>> ARRAY[d.step::text, 'options', 'clearWhenSeen'], 'true') = 'true'
        AND coalesce(r.content #>> ARRAY[d.step::text, 'options', 'silent'], 'false') = 'false'
        AND NOT EXISTS (SELECT FROM receipts c WHERE c.run_id = d.run_id AND c.delivery_id = d.id AND c.status = 'dismissed')
      ORDER BY d.run_id DESC, d.id LIMIT ${MOST}
      ON CONFLICT DO NOTHING`,
    values: [plainArray(runIds), NO_ROOM],
  })
  return rowCount
}
