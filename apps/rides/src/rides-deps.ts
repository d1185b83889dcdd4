import type { CarillonClient } from '@carillon/sdk'
import type pg from 'pg'
import type { PersonTokens } from './access/person-token.js'
import type { Positions } from './driving/positions.js'
import type { Relay } from './outbox/relay.js'

/** What the routes of this service share. */
export interface RidesDeps {
  pool: pg.Pool
  relay: Relay
  positions: Positions
  persons: PersonTokens
  carillon: Pick<CarillonClient, 'userToken' | 'channelToken'>
  /** True: Carillon asks us on NATS who may enter a ride's channels, so tokens needn't say it. */
  answersOnNats: boolean
  /** Milliseconds. */
  now(): number
}
