import type { EventInput } from '@carillon/sdk'

/** States of a ride and how it may move. Pure. */
export const RIDE_STATES = ['requested', 'accepted', 'arrived', 'completed', 'paid'] as const
export type RideState = (typeof RIDE_STATES)[number]

/** A ride as it is stored. Amounts are in the currency's smallest unit. */
export interface Ride {
  id: string
  state: RideState
  customerId: string
  customer: string
  driverId: string | null
  driver: string | null
  car: string | null
  from: string
  to: string
  city: string
  minutes: number
  amountCents: number
  currency: string
  completedAt: Date | null
}

/** The state a ride must be in before it may become `next`; undefined for the first. */
export function stateBefore(next: RideState): RideState | undefined {
  return RIDE_STATES[RIDE_STATES.indexOf(next) - 1]
}

/** A driver is on the way or has the customer aboard. */
export function isUnderWay(state: RideState): boolean {
  return state === 'accepted' || state === 'arrived'
}

/** Payload of every `rides.ride.*` event. */
export interface RideEventData {
  rideId: string
  customerId: string
  customer: string
  driverId: string | null
  driver: string | null
  car: string | null
  minutes: number
  from: string
  to: string
  city: string
  amount: number
  currency: string
}

/** The domain event that a ride's new state is. Its id names ride and state, so that a repetition is the same event. */
export function rideEvent(ride: Ride): EventInput<RideEventData> & { id: string } {
  return {
    id: `${ride.id}.${ride.state}`,
    type: `rides.ride.${ride.state}.v1`,
    subject: ride.id,
    data: {
      rideId: ride.id,
      customerId: ride.customerId,
      customer: ride.customer,
      driverId: ride.driverId,
      driver: ride.driver,
      car: ride.car,
      minutes: ride.minutes,
      from: ride.from,
      to: ride.to,
      city: ride.city,
      amount: ride.amountCents / 100,
      currency: ride.currency,
    },
  }
}
