import type pg from 'pg'
import { inTransaction, LOCKS } from './database.js'

/** The rides service's own tables, in its own schema. Carillon's are never touched. Safe to repeat, and at once. */
export async function createTables(pool: pg.Pool): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCKS.tables])
    await client.query(RIDES)
    await client.query(OUTBOX)
    await client.query(CHAT)
    await client.query(DRIVERS)
  })
}

const RIDES = `
  CREATE SCHEMA IF NOT EXISTS rides;
  CREATE TABLE IF NOT EXISTS rides.rides (
    id uuid PRIMARY KEY, state text NOT NULL, customer_id text NOT NULL, customer text NOT NULL,
    driver_id text, driver text, car text, "from" text NOT NULL, "to" text NOT NULL, city text NOT NULL,
    minutes integer NOT NULL, amount_cents integer NOT NULL, currency text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  ALTER TABLE rides.rides ADD COLUMN IF NOT EXISTS completed_at timestamptz;
  CREATE INDEX IF NOT EXISTS rides_under_way ON rides.rides (driver_id) WHERE state IN ('accepted', 'arrived')`

// what is published: an event, or something said in a channel; `story` is whose order counts
const OUTBOX = `
  CREATE TABLE IF NOT EXISTS rides.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event jsonb, created_at timestamptz NOT NULL DEFAULT now());
  ALTER TABLE rides.outbox ALTER COLUMN event DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS publication jsonb, ADD COLUMN IF NOT EXISTS story text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS refused_at timestamptz, ADD COLUMN IF NOT EXISTS problem text;
  CREATE INDEX IF NOT EXISTS outbox_waiting ON rides.outbox (id) WHERE refused_at IS NULL`

// numbers of messages have no gap within a conversation, so that what follows one can be counted
const CHAT = `
  CREATE TABLE IF NOT EXISTS rides.conversations (
    ride_id uuid PRIMARY KEY REFERENCES rides.rides, customer_id text NOT NULL, driver_id text NOT NULL,
    last_number integer NOT NULL DEFAULT 0, opened_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX IF NOT EXISTS conversations_of_customer ON rides.conversations (customer_id);
  CREATE INDEX IF NOT EXISTS conversations_of_driver ON rides.conversations (driver_id);
  CREATE TABLE IF NOT EXISTS rides.messages (
    ride_id uuid NOT NULL REFERENCES rides.conversations, number integer NOT NULL, id uuid NOT NULL UNIQUE,
    from_id text NOT NULL, client_id text NOT NULL, text text NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (ride_id, number), UNIQUE (ride_id, from_id, client_id));
  CREATE TABLE IF NOT EXISTS rides.read_markers (
    ride_id uuid NOT NULL REFERENCES rides.conversations, user_id text NOT NULL, number integer NOT NULL,
    message_id uuid NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (ride_id, user_id));
  INSERT INTO rides.conversations (ride_id, customer_id, driver_id)
    SELECT id, customer_id, driver_id FROM rides.rides WHERE driver_id IS NOT NULL ON CONFLICT DO NOTHING`

// one position per driver, the last, seconds old; none of who is offline
const DRIVERS = `
  CREATE TABLE IF NOT EXISTS rides.drivers (
    id text PRIMARY KEY, online boolean NOT NULL DEFAULT false, city text, changed_at timestamptz, seen_at timestamptz,
    lat double precision, lon double precision, heading real, speed real, at timestamptz);
  CREATE INDEX IF NOT EXISTS drivers_near ON rides.drivers (lat, lon) WHERE online`
