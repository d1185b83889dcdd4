/** The roles of the mesh in the order of an event's way; started in this order, stopped in reverse. */
export const ROLE_NAMES = ['audit', 'history', 'delivery', 'dispatcher', 'realtime', 'gateway'] as const
export type RoleName = (typeof ROLE_NAMES)[number]
