import { Host, type HostOptions } from '../host/host.js'
import type { Guest, Place } from './place.js'

/** A host for this tab alone. */
export function ownPlace(guest: Guest, options: Omit<HostOptions, 'takesOver'>): Place {
  const host = new Host({ ...options, takesOver: false })
  guest.found(host.attach(guest.id, guest.hello(), (event) => guest.hear(event)))
  return { close: () => host.close() }
}
