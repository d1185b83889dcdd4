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
    description:
      'API key with events:write, users:write and channels:write; with admin we put the rule of our channels ourselves.',
    secret: true,
  }),
  natsUrl: Type.Optional(
    textKey({
      env: 'RIDES_NATS_URL',
      description:
        "NATS of Carillon; with it we answer who may enter a ride's channels, without it tokens say so.",
    }),
  ),
  natsSeed: Type.Optional(
    textKey({ env: 'RIDES_NATS_SEED', description: 'Seed of our nkey user at that NATS.', secret: true }),
  ),
  tenant: Type.Optional(
    textKey({
      env: 'RIDES_CARILLON_TENANT',
      description: "Carillon's name for us; needed with RIDES_NATS_URL.",
    }),
  ),
  token: textKey({
    env: 'RIDES_TOKEN',
    description: 'Bearer token of the services that call us; signs the sessions of persons as well.',
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
