import type { Lane } from '@carillon/contracts'
import { plainArray, textArray } from './arrays.js'
import { type CapRow, loadTenantRules, type QuietHoursRow, type TenantRules } from './dispatch-facts.js'
import type { Tx } from './tx.js'

/** What has happened and what decisions rest on, to be judged again elsewhere. Request role, one tenant. */

export interface RecordedEventRow {
  /** Row id. */
  id: string
  source: string
  eventId: string
  type: string
  subject: string | null
  time: string | null
  lane: Lane
  data: unknown
  firstSeen: Date
}

/** Most bytes of data in one page, besides its first event. */
const PAGE_BYTES = 8_000_000

/**
 * Events of some types, oldest first, with their data; a type that ends in `.*` stands for every type below it. A page
 * ends early when its data becomes large, so only an empty one is the last.
 */
export async function listRecordedEvents(
  tx: Tx,
  page: { tenant: string; types: readonly string[]; after: string; until: string; limit: number },
): Promise<RecordedEventRow[]> {
  const exact = page.types.filter((type) => !type.endsWith('.*'))
  const below = page.types.filter((type) => type.endsWith('.*')).map((type) => type.slice(0, -1))
  const { rows } = await tx.query<RecordedEventRow>({
    text: `SELECT id, source, event_id AS "eventId", type, subject, time, lane, data, first_seen AS "firstSeen" FROM (
        SELECT *, sum(octet_length(data::text)) OVER (ORDER BY id) - octet_length(data::text) AS before FROM (
          SELECT * FROM events WHERE tenant_id = $1 AND id > $2::uuid AND id < $3::uuid
            AND (type = ANY ($4::text[]) OR type ^@ ANY ($5::text[]))
          ORDER BY id LIMIT $6
        ) AS page
      ) AS sized WHERE before < $7 ORDER BY id`,
    values: [page.tenant, page.after, page.until, textArray(exact), textArray(below), page.limit, PAGE_BYTES],
  })
  return rows
}

/** A person as decisions see one: of devices only what they are, no addresses. */
export interface RecordedPerson {
  id: string
  email: string | null
  phone: string | null
  name: string | null
  locale: string | null
  timezone: string | null
  roles: string[]
  attributes: unknown
  status: 'active' | 'suspended'
  quietHours: QuietHoursRow | null
  devices: { kind: string; app: string }[]
  preferences: {
    category: string | null
    channel: string | null
    enabled: boolean
    condition: string | null
  }[]
}

/** People by their internal ids. Unknown ones are missing from the answer. */
export async function lookUpPeople(
  tx: Tx,
  people: { tenant: string; ids: readonly string[] },
): Promise<RecordedPerson[]> {
  const { rows } = await tx.query<RecordedPerson>({
    text: `SELECT u.external_id AS id, u.email, u.phone, u.name, u.locale, u.timezone, u.roles, u.attributes, u.status,
        u.quiet_hours AS "quietHours",
        (SELECT coalesce(json_agg(json_build_object('kind', d.kind, 'app', d.app) ORDER BY d.id), '[]') FROM devices d
          WHERE d.tenant_id = $1 AND d.user_id = u.id AND d.status = 'active') AS devices,
        (SELECT coalesce(json_agg(json_build_object('category', p.category, 'channel', p.channel, 'enabled', p.enabled,
          'condition', p.condition)), '[]') FROM preferences p WHERE p.tenant_id = $1 AND p.user_id = u.id) AS preferences
      FROM users u WHERE u.tenant_id = $1 AND u.id = ANY ($2::uuid[]) ORDER BY u.id`,
    values: [people.tenant, plainArray(people.ids)],
  })
  return rows
}

/** What a tenant has decided for all its people. */
export interface RecordedRules {
  tenant: string
  locale: string
  timezone: string
  quietHours: QuietHoursRow | null
  caps: CapRow[]
  categories: TenantRules['categories']
  preferences: TenantRules['defaults']
  /** Published ones. */
  templates: TenantRules['templates']
}

export async function loadRecordedRules(tx: Tx, tenant: string): Promise<RecordedRules | undefined> {
  const { rows } = await tx.query<{ locale: string; timezone: string }>({
    text: 'SELECT locale, timezone FROM tenants WHERE id = $1',
    values: [tenant],
  })
  if (rows[0] === undefined) return undefined
  const { quietHours, caps, categories, defaults, templates } = await loadTenantRules(tx, tenant)
  return { tenant, ...rows[0], quietHours, caps, categories, preferences: defaults, templates }
}
