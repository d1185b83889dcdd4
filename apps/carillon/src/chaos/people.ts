import { sealCredentials } from '@carillon/channels'
import { deviceId, userId, type WorkflowDefinition } from '@carillon/contracts'
import { createApiKey, createTenant, putDevice, putProvider, putUser, putWorkflow } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Arranging } from './stage.js'

const USERS = 50

/** Who is there to be told. */
export interface People {
  users: string[]
  /** Of a service that signs them in and speaks in their rooms. */
  apiKey: string
}

/** A tenant with people, phones and mailboxes, a workflow that rings all of them, and one that gathers. */
export async function arrangePeople({ database, simulators, masterKey, tenant }: Arranging): Promise<People> {
  const users = Array.from({ length: USERS }, (_, index) => `u${index}`)
  const apiKey = await database.inTenant(tenant, async (tx) => {
    await createTenant(tx, { id: tenant, name: 'Chaos' })
    for (const kind of ['fcm', 'smtp'] as const) {
      await putProvider(tx, {
        tenant,
        channel: kind === 'fcm' ? 'push' : 'email',
        kind,
        credentials: sealCredentials(masterKey, simulators.credentials[kind], {
          tenant,
          provider: kind,
        }),
      })
    }
    for (const name of users) {
      const id = userId(sha256, tenant, name)
      await putUser(tx, { tenant, id, externalId: name }, { email: `${name}@example.com` })
      const { token } = simulators.fcm.registerDevice({ name })
      await putDevice(tx, {
        tenant,
        id: deviceId(sha256, tenant, 'fcm', token),
        userId: id,
        kind: 'fcm',
        address: { token },
        addressHash: sha256(token),
      })
    }
    for (const definition of WORKFLOWS) await putWorkflow(tx, { tenant, definition, awaits: [] })
    return createApiKey(tx, { tenant, name: 'chaos', scopes: ['users:write', 'channels:write'] })
  })
  return { users, apiKey: apiKey.key }
}

const WORKFLOWS: readonly WorkflowDefinition[] = [
  {
    key: 'tick',
    on: 'chaos.tick.v1',
    to: 'data.user',
    content: { title: 'Tick {{ data.n }}', body: 'for {{ user.id }}' },
    steps: ['inbox', 'push', 'email'],
  },
  {
    key: 'gather',
    on: 'chaos.tick.v1',
    to: 'data.user',
    content: { title: '{{ digest.count }} ticks', body: "{{ digest.items | map: 'n' | join: ' ' }}" },
    steps: [{ wait: '200ms' }, { digest: { window: '3s', maxItems: 20 } }, 'inbox'],
  },
]
