-- Up Migration
-- What the workflow engine keeps between the passes of a run: holds, digests, awaited events, cancels, fan-outs.

ALTER TABLE deliveries DROP CONSTRAINT deliveries_address_kind_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_address_kind_check
  CHECK (address_kind IN ('device', 'email', 'phone', 'webhook'));

-- {windows: [{from, to, days}], channels: […]}; null: the tenant's, and null there: none
ALTER TABLE users ADD COLUMN quiet_hours jsonb;
ALTER TABLE tenants ADD COLUMN quiet_hours jsonb;
-- [{count, per, channels}]: per person, across all workflows
ALTER TABLE tenants ADD COLUMN caps jsonb NOT NULL DEFAULT '[]';
GRANT UPDATE (quiet_hours, caps) ON tenants TO carillon_request;
-- CEL over the event's data; the rule says `enabled` while it holds, and the contrary when it doesn't
ALTER TABLE preferences ADD COLUMN condition text;

ALTER TABLE runs
  ADD COLUMN cancel_key text,
  -- seen anywhere wakes it at once
  ADD COLUMN wake_on_seen boolean NOT NULL DEFAULT false,
  -- steps that quiet hours hold, [{step, at}], besides the one that is next
  ADD COLUMN held json,
  -- when the next step is due; differs from wake_at only while something is held
  ADD COLUMN resume_at timestamptz,
  -- the run of the digest that this one went into: one column, so never two digests
  ADD COLUMN digest_id uuid,
  -- its place among the items: those of one batch are first seen in the same millisecond
  ADD COLUMN digest_place integer;
CREATE INDEX runs_cancel ON runs (tenant_id, workflow_key, cancel_key) WHERE cancel_key IS NOT NULL;
CREATE INDEX runs_digest ON runs (digest_id) WHERE digest_id IS NOT NULL;
-- by lane, so that a hundred thousand mails that are due can't hold up a one-time code
DROP INDEX runs_wake;
CREATE INDEX runs_wake ON runs (lane, wake_at) WHERE wake_at IS NOT NULL;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (lane, due_at) WHERE due_at IS NOT NULL;
GRANT UPDATE (wake_at) ON runs TO carillon_request;

-- when a counter is of no use any more: windows last up to a year
ALTER TABLE frequency_counters ADD COLUMN ends_at timestamptz;
UPDATE frequency_counters SET ends_at = window_start + interval '366 days';
ALTER TABLE frequency_counters ALTER COLUMN ends_at SET NOT NULL;
DROP INDEX frequency_counters_age;
CREATE INDEX frequency_counters_age ON frequency_counters (ends_at);

-- The window that gathers now. Whoever joins locks the row, and so does who closes it: nothing falls in between.
CREATE TABLE open_digests (
  tenant_id text NOT NULL,
  workflow_key text NOT NULL,
  workflow_version integer NOT NULL,
  user_id uuid NOT NULL,
  step smallint NOT NULL,
  key text NOT NULL,
  -- the run that goes on when the window closes; null while a flushed window is empty
  digest_id uuid,
  opened_at timestamptz NOT NULL,
  closes_at timestamptz NOT NULL,
  items integer NOT NULL,
  PRIMARY KEY (tenant_id, workflow_key, workflow_version, user_id, step, key)
);
CREATE UNIQUE INDEX open_digests_run ON open_digests (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX open_digests_age ON open_digests (closes_at);

-- Which types some workflow awaits, and how their key is told: written when a version is published.
CREATE TABLE awaited (
  tenant_id text NOT NULL REFERENCES tenants (id),
  type text NOT NULL,
  expression text NOT NULL,
  PRIMARY KEY (tenant_id, type, expression)
);
-- Runs that wait for an event …
CREATE TABLE awaits (
  tenant_id text NOT NULL,
  type text NOT NULL,
  expression text NOT NULL,
  key text NOT NULL,
  run_id uuid NOT NULL,
  -- an event that was first seen before counts no more
  since timestamptz NOT NULL,
  PRIMARY KEY (run_id),
  UNIQUE (tenant_id, type, expression, key, run_id)
);
-- … and the events that somebody may wait for. Both sides look after they have committed, so one of them sees the other.
CREATE TABLE signals (
  tenant_id text NOT NULL,
  type text NOT NULL,
  expression text NOT NULL,
  key text NOT NULL,
  event_id uuid NOT NULL,
  first_seen timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, type, expression, key, event_id)
);
CREATE INDEX signals_age ON signals (first_seen);

-- The last cancel of a key. Every start and every wake looks here, whichever came first.
CREATE TABLE cancels (
  tenant_id text NOT NULL,
  workflow_key text NOT NULL,
  key text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, workflow_key, key)
);
CREATE INDEX cancels_age ON cancels (at);

-- A large audience is told in chunks: ranges of user ids, each done once.
CREATE TABLE fanouts (
  event_id uuid NOT NULL,
  tenant_id text NOT NULL,
  workflow_key text NOT NULL,
  workflow_version integer NOT NULL,
  lane text NOT NULL,
  chunks integer NOT NULL,
  -- when the waker brings the chunks that are still missing; null: all are done
  due_at timestamptz,
  created_at timestamptz NOT NULL,
  finished_at timestamptz,
  PRIMARY KEY (event_id, workflow_key)
);
CREATE INDEX fanouts_due ON fanouts (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE fanout_chunks (
  event_id uuid NOT NULL,
  workflow_key text NOT NULL,
  chunk integer NOT NULL,
  tenant_id text NOT NULL,
  -- recipients that this chunk told
  runs integer NOT NULL,
  done_at timestamptz NOT NULL,
  PRIMARY KEY (event_id, workflow_key, chunk),
  FOREIGN KEY (event_id, workflow_key) REFERENCES fanouts (event_id, workflow_key) ON DELETE CASCADE
);
CREATE INDEX fanouts_age ON fanouts (created_at);
-- chunks read subscribers by ranges of user ids
CREATE INDEX subscriptions_user ON subscriptions (tenant_id, user_id, topic);

ALTER TABLE workflows DROP CONSTRAINT workflows_status_check;
ALTER TABLE workflows ADD CONSTRAINT workflows_status_check CHECK (status IN ('draft', 'published', 'shadow', 'retired'));
CREATE UNIQUE INDEX workflows_shadow ON workflows (tenant_id, key) WHERE status = 'shadow';
-- When which version was in force: what explains an event of last week asks for the rules of then.
CREATE TABLE publications (
  tenant_id text NOT NULL REFERENCES tenants (id),
  key text NOT NULL,
  version integer NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz,
  PRIMARY KEY (tenant_id, key, published_at)
);
INSERT INTO publications (tenant_id, key, version, published_at)
  SELECT tenant_id, key, version, created_at FROM workflows WHERE status = 'published';

DO $$
DECLARE
  name text;
  mine text := '(SELECT nullif(current_setting(''carillon.tenant'', true), ''''))';
BEGIN
  FOREACH name IN ARRAY ARRAY['open_digests', 'awaited', 'awaits', 'signals', 'cancels', 'fanouts', 'fanout_chunks', 'publications'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY request ON %I TO carillon_request, CURRENT_USER USING (tenant_id = %s) WITH CHECK (tenant_id = %s)', name, mine, mine);
    EXECUTE format('CREATE POLICY worker ON %I TO carillon_worker USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT ON %I TO carillon_request', name);
    EXECUTE format('GRANT SELECT ON %I TO carillon_worker', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['open_digests', 'awaits', 'signals', 'cancels', 'fanouts', 'fanout_chunks'] LOOP
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO carillon_worker', name);
  END LOOP;
  GRANT INSERT, UPDATE ON cancels TO carillon_request;
  GRANT INSERT ON awaited TO carillon_request;
  GRANT INSERT, UPDATE ON publications TO carillon_request;
END
$$;

-- As in 0003, but what still waits is kept: a run, and the event that it began with, may be older than the history.
-- `keep` are the days on which something that still waits began; whoever calls can see all tenants' rows, the owner can't.
DROP FUNCTION drop_old_partitions (integer);
CREATE FUNCTION drop_old_partitions(days integer DEFAULT 30, keep date[] DEFAULT '{}') RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  dropped integer := 0;
  oldest timestamptz := now() - make_interval(days => greatest(days, 15));
  child record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('carillon.partitions')) THEN
    RETURN 0;
  END IF;
  FOR child IN
    SELECT name, CASE
        WHEN parent IN ('events', 'runs') AND EXISTS (SELECT FROM unnest(keep) AS d WHERE d >= start AND d < stop) THEN false
        WHEN parent = 'event_keys' THEN start < (date_trunc('week', now(), 'UTC') AT TIME ZONE 'UTC')::date - 7
        ELSE stop AT TIME ZONE 'UTC' < oldest
      END AS is_old
    FROM (
      SELECT c.relname AS name, p.relname AS parent,
        CASE p.relname WHEN 'runs' THEN to_date(right(c.relname, 6), 'YYYYMM') ELSE to_date(right(c.relname, 8), 'YYYYMMDD') END AS start,
        CASE p.relname WHEN 'runs' THEN to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month'
          ELSE to_date(right(c.relname, 8), 'YYYYMMDD') + interval '1 day' END AS stop
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
      WHERE i.inhparent IN ('events'::regclass, 'runs'::regclass, 'deliveries'::regclass, 'attempts'::regclass, 'receipts'::regclass)
      UNION ALL
      SELECT relname, 'event_keys', to_date(right(relname, 6), 'IYYYIW'), NULL
      FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname ~ '^event_keys_[0-9]{6}$'
    ) AS partition
  LOOP
    CONTINUE WHEN NOT child.is_old;
    BEGIN
      EXECUTE format('DROP TABLE %I', child.name);
      dropped := dropped + 1;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      RAISE LOG 'carillon: partition % is in use, dropped another time', child.name;
    END;
  END LOOP;
  RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION drop_old_partitions (integer, date[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_old_partitions (integer, date[]) TO carillon_worker;
