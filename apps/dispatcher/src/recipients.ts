import { type RecipientInput, userId } from '@carillon/contracts'
import { type InlineUser, type Tx, usersByRole, usersByTopic } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Assignment } from './assign.js'

/** One recipient of one assignment. `userId` is internal; `name` is the id that the tenant's services use. */
export interface Recipient {
  userId: string
  name: string
}

/** Internal ids of the recipients of a batch, and the users to create or complete on the way. */
export interface ResolvedRecipients {
  /** In the order of the assignments given. */
  recipients: Recipient[][]
  inline: InlineUser[]
}

/** Resolves users, roles and topics. Roles and topics are read once per batch and tenant. */
export async function resolveRecipients(
  tx: Tx,
  assignments: readonly { tenant: string; assignment: Assignment }[],
): Promise<ResolvedRecipients> {
  const inline = new Map<string, InlineUser>()
  const groups = new Map<string, ReturnType<typeof usersByRole>>()
  const recipients: Recipient[][] = []
  for (const { tenant, assignment } of assignments) {
    const wanted = assignment.recipients
    if (wanted.kind === 'users') {
      recipients.push(wanted.users.map((user) => identify(tenant, user, inline)))
    } else if (wanted.kind === 'none') {
      recipients.push([])
    } else {
      const name = `${wanted.kind} ${tenant} ${wanted.kind === 'role' ? wanted.role : wanted.topic}`
      const members =
        groups.get(name) ??
        (wanted.kind === 'role'
          ? usersByRole(tx, tenant, wanted.role)
          : usersByTopic(tx, tenant, wanted.topic))
      groups.set(name, members)
      recipients.push((await members).map(({ id, externalId }) => ({ userId: id, name: externalId })))
    }
  }
  return { recipients, inline: [...inline.values()] }
}

function identify(tenant: string, user: RecipientInput, inline: Map<string, InlineUser>): Recipient {
  if (typeof user === 'string') return { userId: userId(sha256, tenant, user), name: user }
  const id = userId(sha256, tenant, user.id)
  const { id: externalId, ...fields } = user
  if (Object.keys(fields).length > 0) {
    const key = `${tenant} ${id}`
    inline.set(key, { ...inline.get(key), tenant, id, externalId, ...fields })
  }
  return { userId: id, name: externalId }
}
