/** A room of one tenant. Both are tokens of subjects: letters, digits and dashes. */
export interface PresenceRoom {
  tenant: string
  id: string
}

/** Leases, and what each node has; one slot of a cluster, so that one script sees all of it. */
export const NODES_KEY = 'pres:{nodes}'

/** How rooms are named among presence's own keys. */
export function roomName({ tenant, id }: PresenceRoom): string {
  return `${tenant}/${id}`
}

export function roomOf(name: string): PresenceRoom {
  const [tenant = '', id = ''] = name.split('/')
  return { tenant, id }
}

/** What all keys of a room begin with: one slot of a cluster. */
export function roomKey(name: string): string {
  return `pres:{${name}}`
}

export function leaseKey(node: string): string {
  return `${NODES_KEY}:lease:${node}`
}

/** Names of the rooms in which a node has places. */
export function roomsKey(node: string): string {
  return `${NODES_KEY}:rooms:${node}`
}

/** Who holds a connection to a node. */
export function onlineKey(node: string): string {
  return `${NODES_KEY}:online:${node}`
}

/** One person of one tenant among those online. */
export function onlineName(tenant: string, user: string): string {
  return `${tenant}/${user}`
}
