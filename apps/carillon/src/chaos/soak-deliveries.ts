import { sealCredentials } from '@carillon/channels'
import { deliveryId, deviceId, timedUuid, userId } from '@carillon/contracts'
import { createTenant, type Database, NO_ROOM, plainArray, putProvider, textArray } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Simulators } from '@carillon/simulators'
import type { Arranging } from './stage.js'

/** What was put into the queues. */
export interface Queued {
  deliveries: number
  /** Deliveries that go to a phone whose app was deleted. */
  dead: Set<string>
}

const PHONES = 2_000
/** One phone in a hundred is dead, one delivery in ten is a mail. */
const DEAD_EVERY = 100
const MAIL_EVERY = 10
const BATCH = 5_000
const MAX_ATTEMPTS = 12

/** A tenant with phones and mailboxes, and so many deliveries that are due. */
export async function arrangeDeliveries(
  { database, simulators, masterKey, tenant }: Arranging,
  count: number,
): Promise<Queued> {
  await database.inTenant(tenant, async (tx) => {
    await createTenant(tx, { id: tenant, name: 'Chaos' })
    for (const kind of ['fcm', 'smtp'] as const) {
      const credentials = sealCredentials(masterKey, simulators.credentials[kind], { tenant, provider: kind })
      await putProvider(tx, { tenant, channel: kind === 'fcm' ? 'push' : 'email', kind, credentials })
    }
  })
  const phones = await addPhones(database, simulators, { tenant, count: Math.min(PHONES, count) })
  const dead = new Set<string>()
  for (let first = 0; first < count; first += BATCH) {
    await addDeliveries(database, { tenant, phones, first, count: Math.min(BATCH, count - first), dead })
  }
  return { deliveries: count, dead }
}

interface Phone {
  user: string
  device: string
  dead: boolean
}

async function addPhones(
  database: Database,
  simulators: Simulators,
  { tenant, count }: { tenant: string; count: number },
): Promise<Phone[]> {
  const phones = Array.from({ length: count }, (_, index) => {
    const user = userId(sha256, tenant, `u${index}`)
    const { token } = simulators.fcm.registerDevice({ name: `u${index}` })
    const dead = index % DEAD_EVERY === DEAD_EVERY - 1
    if (dead) simulators.fcm.unregister(token)
    return { user, name: `u${index}`, token, device: deviceId(sha256, tenant, 'fcm', token), dead }
  })
  const users = plainArray(phones.map(({ user }) => user))
  await database.query({
    text: `INSERT INTO users (tenant_id, id, external_id) SELECT $1, * FROM unnest($2::uuid[], $3::text[])`,
    values: [tenant, users, textArray(phones.map(({ name }) => name))],
  })
  await database.query({
    text: `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash)
      SELECT $1, device, owner, 'fcm', json_build_object('token', token), convert_to(token, 'UTF8')
      FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS n (device, owner, token)`,
    values: [
      tenant,
      plainArray(phones.map(({ device }) => device)),
      users,
      textArray(phones.map(({ token }) => token)),
    ],
  })
  return phones
}

async function addDeliveries(
  database: Database,
  wanted: { tenant: string; phones: readonly Phone[]; first: number; count: number; dead: Set<string> },
): Promise<void> {
  const { tenant, phones, first, count, dead } = wanted
  const nowMs = Date.now()
  const rows = Array.from({ length: count }, (_, index) => {
    const place = first + index
    const phone = phones[place % phones.length] as Phone
    const run = timedUuid(nowMs, sha256(`soak ${place}`))
    const mail = place % MAIL_EVERY === 0
    const address = mail ? `u${place}@example.com` : phone.device
    const id = deliveryId(sha256, { run, step: 1, address })
    if (!mail && phone.dead) dead.add(id)
    return { run, id, user: phone.user, mail, address }
  })
  const runs = plainArray(rows.map(({ run }) => run))
  const users = plainArray(rows.map(({ user }) => user))
  await database.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
      SELECT run, $1, run, 'soak', 1, person, 'soak', 'normal', 'completed', '[]', $4, false, now()
      FROM unnest($2::uuid[], $3::uuid[]) AS n (run, person)`,
    values: [tenant, runs, users, JSON.stringify({ inbox: { title: 'Soak', body: 'Until all are there.' } })],
  })
  await database.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, max_attempts, detail, due_at, created_at, updated_at)
      SELECT run, id, $1, person, CASE WHEN mail THEN 'email' ELSE 'push' END, 'normal', 1,
        CASE WHEN mail THEN 'email' ELSE 'device' END, address, $7, $8, now(), now(), now()
      FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[], $6::text[]) AS n (run, id, person, mail, address)`,
    values: [
      tenant,
      runs,
      plainArray(rows.map(({ id }) => id)),
      users,
      plainArray(rows.map(({ mail }) => mail)),
      textArray(rows.map(({ address }) => address)),
      MAX_ATTEMPTS,
      NO_ROOM,
    ],
  })
}
