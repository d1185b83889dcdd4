import { integerKey, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** What the ride-hailing backend needs to know: its own database, and how to reach Carillon's public edge. */
export const RidesConfig = Type.Object({
  databaseUrl: textKey({
    env: 'RIDES_DATABASE_URL',
    description: 'PostgreSQL of the rides service.',
    secret: true,
  }),
  carillonUrl: textKey({ env: 'CARILLON_URL', description: "Address of Carillon's edge." }),
  carillonKey: textKey({
    env: 'CARILLON_API_KEY',
    description: 'API key with events:write and users:write.',
    secret: true,
  }),
  token: textKey({
    env: 'RIDES_TOKEN',
    description: 'Bearer token that callers of /rides must show.',
    secret: true,
    minLength: 16,
  }),
  host: textKey({ env: 'RIDES_HOST', description: 'Address to listen on.', default: '127.0.0.1' }),
  port: integerKey({
    env: 'RIDES_PORT',
    description: 'Port to listen on; 0 takes a free one.',
    default: 0,
    minimum: 0,
    maximum: 65535,
  }),
})
export type RidesConfig = Readonly<Static<typeof RidesConfig>>
