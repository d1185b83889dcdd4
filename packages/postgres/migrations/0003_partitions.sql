-- Up Migration
-- Partitions are made ahead and dropped by age. Ids lead with 48 bits of milliseconds.

CREATE FUNCTION lowest_id_at(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partitions from `since` for `days_ahead` days. Safe to call at any time, by several at once. A partition
-- is made apart and attached: unlike CREATE … PARTITION OF, that stops nobody who reads or writes the parent.
CREATE FUNCTION ensure_partitions(days_ahead integer DEFAULT 14, since timestamptz DEFAULT now()) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET client_min_messages = warning AS $$
DECLARE
  made integer := 0;
  until timestamptz := now() + make_interval(days => least(greatest(days_ahead, 1), 90));
  parent text;
  unit text;
  start timestamptz;
  stop timestamptz;
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('carillon.partitions'));
  FOR parent, unit IN VALUES ('events', 'day'), ('runs', 'month'), ('deliveries', 'day'), ('attempts', 'day'), ('receipts', 'day')
  LOOP
    start := date_trunc(unit, since, 'UTC');
    WHILE start <= until LOOP
      stop := date_trunc(unit, start + (CASE unit WHEN 'day' THEN interval '25 hours' ELSE interval '32 days' END), 'UTC');
      name := parent || to_char(start AT TIME ZONE 'UTC', CASE unit WHEN 'day' THEN '_YYYYMMDD' ELSE '_YYYYMM' END);
      IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name, parent);
        -- through the parent, its policies count; by its own name a partition shows nothing, to the owner either
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, lowest_id_at(start), lowest_id_at(stop));
        made := made + 1;
      END IF;
      start := stop;
    END LOOP;
  END LOOP;
  start := date_trunc('week', since, 'UTC') - interval '7 days';
  WHILE start <= until LOOP
    name := 'event_keys' || to_char(start AT TIME ZONE 'UTC', '_IYYYIW');
    IF to_regclass(name) IS NULL THEN
      EXECUTE format('CREATE TABLE %I (key bytea PRIMARY KEY, first_seen timestamptz NOT NULL)', name);
      made := made + 1;
    END IF;
    start := start + interval '7 days';
  END LOOP;
  RETURN made;
END
$$;

-- Drops what is older than `days` (events, runs, deliveries, attempts, receipts), never less than 15: an event key is
-- remembered for up to 14 days and its event's rows must still have a place. Generations of event keys go when no
-- horizon reaches them. A partition that is in use is left for the next time: a waiting DROP would hold up all
-- that comes behind it.
CREATE FUNCTION drop_old_partitions(days integer DEFAULT 30) RETURNS integer
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
    SELECT c.relname AS name, CASE p.relname
        WHEN 'runs' THEN (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC'
        ELSE (to_date(right(c.relname, 8), 'YYYYMMDD') + interval '1 day') AT TIME ZONE 'UTC'
      END < oldest AS is_old
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE i.inhparent IN ('events'::regclass, 'runs'::regclass, 'deliveries'::regclass, 'attempts'::regclass, 'receipts'::regclass)
    UNION ALL
    SELECT relname, to_date(right(relname, 6), 'IYYYIW') < (date_trunc('week', now(), 'UTC') AT TIME ZONE 'UTC')::date - 7
    FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname ~ '^event_keys_[0-9]{6}$'
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

-- First seen: inserts the keys that are new and says of every key when it was first seen and whether this call was
-- the one that saw it. A key that another transaction is inserting is waited for, so `fresh` is true for exactly
-- one of them and everything the other wrote is visible afterwards. Needs READ COMMITTED: every statement in here
-- has a snapshot of its own.
CREATE FUNCTION claim_event_keys(keys bytea[])
  RETURNS TABLE (key bytea, first_seen timestamptz, fresh boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  week timestamptz;
  present text;
  frozen text;
  inserted bytea[];
BEGIN
  -- The clock decides, not the transaction's begin, and once more after the lock: whoever still gets a lock on the
  -- old week's table knows that nobody has written in the new week while it waited.
  LOOP
    week := date_trunc('week', clock_timestamp(), 'UTC');
    present := 'event_keys' || to_char(week AT TIME ZONE 'UTC', '_IYYYIW');
    frozen := 'event_keys' || to_char((week - interval '7 days') AT TIME ZONE 'UTC', '_IYYYIW');
    -- what nobody has prepared is made now: missing maintenance must not stop events
    IF to_regclass(present) IS NULL OR to_regclass(frozen) IS NULL
      OR to_regclass('events' || to_char(clock_timestamp() AT TIME ZONE 'UTC', '_YYYYMMDD')) IS NULL THEN
      PERFORM ensure_partitions();
    END IF;
    EXECUTE format('LOCK TABLE %I IN ROW EXCLUSIVE MODE', present);
    EXIT WHEN clock_timestamp() < week + interval '7 days';
  END LOOP;
  -- A transaction of the old week may still be open: wait until it is done, so that its keys can be seen. After ten
  -- minutes none is.
  IF clock_timestamp() < week + interval '10 minutes' THEN
    EXECUTE format('LOCK TABLE %I IN SHARE MODE', frozen);
  END IF;
  EXECUTE format(
    'WITH new AS (
       INSERT INTO %I AS c (key, first_seen)
       SELECT DISTINCT k, date_trunc(''milliseconds'', now()) FROM unnest($1) AS k
       WHERE NOT EXISTS (SELECT FROM %I f WHERE f.key = k) ORDER BY k ON CONFLICT DO NOTHING RETURNING c.key)
     SELECT coalesce(array_agg(new.key), ''{}'') FROM new', present, frozen) INTO inserted USING keys;
  -- A second statement: its snapshot sees what a concurrent transaction committed while the first one waited.
  RETURN QUERY EXECUTE format(
    'SELECT c.key, c.first_seen, c.key = ANY ($2) FROM %I c WHERE c.key = ANY ($1)
     UNION ALL SELECT f.key, f.first_seen, false FROM %I f WHERE f.key = ANY ($1)', present, frozen) USING keys, inserted;
END
$$;

SELECT ensure_partitions(14);

REVOKE ALL ON FUNCTION ensure_partitions (integer, timestamptz), drop_old_partitions (integer), claim_event_keys (bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions (integer, timestamptz), drop_old_partitions (integer), claim_event_keys (bytea[]) TO carillon_worker;
