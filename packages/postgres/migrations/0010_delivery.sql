-- Up Migration
-- Delivery: several accounts of a provider with an order, addresses that must not be used, what was sent again, paces
-- that processes share, and dead letters that can be found.

-- several accounts of one kind for one app: the next is used when the one before is given up on
ALTER TABLE providers ADD COLUMN name text NOT NULL DEFAULT 'default' CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,63}$');
ALTER TABLE providers DROP CONSTRAINT providers_tenant_id_kind_app_key;
ALTER TABLE providers ADD CONSTRAINT providers_account UNIQUE (tenant_id, kind, app, name);

ALTER TABLE deliveries
  -- attempts that each account is given; max_attempts is the sum that may be used up so far
  ADD COLUMN attempts_each smallint NOT NULL DEFAULT 3,
  -- accounts that have used theirs up
  ADD COLUMN tried uuid[] NOT NULL DEFAULT '{}',
  -- attempts whose outcome nobody knows: so often it may have been sent without being counted
  ADD COLUMN unknowns smallint NOT NULL DEFAULT 0,
  -- the account of the last attempt
  ADD COLUMN account uuid,
  -- the moment that is booked for it at an account whose pace is limited
  ADD COLUMN paced_at timestamptz,
  -- clear: takes the notification off a device that shows it, once it was read elsewhere
  ADD COLUMN purpose text NOT NULL DEFAULT 'notify' CHECK (purpose IN ('notify', 'clear')),
  -- how often a dead letter was sent off again, and when last
  ADD COLUMN replays smallint NOT NULL DEFAULT 0,
  ADD COLUMN replayed_at timestamptz;
ALTER TABLE attempts ADD COLUMN account uuid;
-- dead letters by the time at which they died
CREATE INDEX deliveries_dead ON deliveries (tenant_id, updated_at, id) WHERE status = 'failed';

-- Mailboxes, numbers and receivers that nothing is sent to any more: they bounced, complained, said STOP or 410.
CREATE TABLE suppressions (
  tenant_id text NOT NULL REFERENCES tenants (id),
  kind text NOT NULL CHECK (kind IN ('email', 'phone', 'webhook')),
  -- lower case, but for URLs
  address text NOT NULL,
  reason text NOT NULL CHECK (reason IN ('bounced', 'complained', 'stopped', 'refused', 'operator')),
  detail text,
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, kind, address)
);

-- Where a Live Activity of an iPhone is updated, by the name that the app gave it; 'start' is what starts one.
CREATE TABLE live_activities (
  tenant_id text NOT NULL,
  device_id uuid NOT NULL,
  activity text NOT NULL CHECK (length(activity) BETWEEN 1 AND 128),
  token text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, device_id, activity),
  FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, id) ON DELETE CASCADE
);

-- How far the sends of one account (and mail domain) are booked ahead: the theoretical arrival time of GCRA. Losing it
-- costs a burst, so it is written without waiting for the disk.
CREATE UNLOGGED TABLE paces (
  key text PRIMARY KEY,
  booked_until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON paces TO carillon_worker;
ALTER TABLE paces ENABLE ROW LEVEL SECURITY;
ALTER TABLE paces FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON paces TO carillon_worker USING (true) WITH CHECK (true);

DO $$
DECLARE
  name text;
  mine text := '(SELECT nullif(current_setting(''carillon.tenant'', true), ''''))';
BEGIN
  FOREACH name IN ARRAY ARRAY['suppressions', 'live_activities'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY request ON %I TO carillon_request, CURRENT_USER USING (tenant_id = %s) WITH CHECK (tenant_id = %s)', name, mine, mine);
    EXECUTE format('CREATE POLICY worker ON %I TO carillon_worker USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO carillon_request', name);
  END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON suppressions TO carillon_worker;
-- an attempt for which nobody was asked is none
GRANT DELETE ON attempts TO carillon_worker;
-- one that has ended is forgotten
GRANT SELECT, DELETE ON live_activities TO carillon_worker;
-- reading takes the notification off the other devices
GRANT INSERT ON deliveries TO carillon_request;
-- a dead letter is sent off again by who may administer the tenant
GRANT UPDATE (status, reason, detail, due_at, max_attempts, tried, replays, replayed_at, updated_at) ON deliveries TO carillon_request;
