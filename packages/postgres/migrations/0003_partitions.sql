-- Up Migration
-- Partitions are made ahead and dropped by age. Ids lead with 48 bits of milliseconds.

CREATE FUNCTION lowest_id_at(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partitions from `since` for `days_ahead` days. Safe to call at any time, by several at once.
CREATE FUNCTION ensure_partitions(days_ahead integer DEFAULT 7, since timestamptz DEFAULT now()) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  made integer := 0;
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
    WHILE start <= now() + make_interval(days => days_ahead) LOOP
      stop := date_trunc(unit, start + (CASE unit WHEN 'day' THEN interval '25 hours' ELSE interval '32 days' END), 'UTC');
      name := parent || to_char(start AT TIME ZONE 'UTC', CASE unit WHEN 'day' THEN '_YYYYMMDD' ELSE '_YYYYMM' END);
      IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, lowest_id_at(start), lowest_id_at(stop));
        made := made + 1;
      END IF;
      start := stop;
    END LOOP;
  END LOOP;
  start := date_trunc('week', since, 'UTC') - interval '7 days';
  WHILE start <= now() + make_interval(days => days_ahead) LOOP
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

-- Drops what is older than `days` (events, runs, deliveries, attempts, receipts) and generations of event keys that
-- no horizon reaches any more.
CREATE FUNCTION drop_old_partitions(days integer DEFAULT 30) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  dropped integer := 0;
  child record;
  ends timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('carillon.partitions'));
  FOR child IN
    SELECT c.relname AS name, p.relname AS parent
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relname IN ('events', 'runs', 'deliveries', 'attempts', 'receipts') AND p.relkind = 'p'
  LOOP
    ends := CASE
      WHEN child.parent = 'runs' THEN (to_date(right(child.name, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC'
      ELSE (to_date(right(child.name, 8), 'YYYYMMDD') + interval '1 day') AT TIME ZONE 'UTC'
    END;
    IF ends < now() - make_interval(days => days) THEN
      EXECUTE format('DROP TABLE %I', child.name);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  FOR child IN SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname ~ '^event_keys_[0-9]{6}$' LOOP
    IF to_date(right(child.name, 6), 'IYYYIW') < (date_trunc('week', now(), 'UTC') AT TIME ZONE 'UTC')::date - 7 THEN
      EXECUTE format('DROP TABLE %I', child.name);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  RETURN dropped;
END
$$;

-- First seen: inserts the keys that are new and says of every key when it was first seen and whether this transaction
-- was the one that saw it. A key that another transaction is inserting is waited for, so `fresh` is true for exactly
-- one of them and everything the other wrote is visible afterwards.
CREATE FUNCTION claim_event_keys(keys bytea[])
  RETURNS TABLE (key bytea, first_seen timestamptz, fresh boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  week timestamptz := date_trunc('week', now(), 'UTC');
  current text := 'event_keys' || to_char(week AT TIME ZONE 'UTC', '_IYYYIW');
  frozen text := 'event_keys' || to_char((week - interval '7 days') AT TIME ZONE 'UTC', '_IYYYIW');
BEGIN
  -- A transaction that began in the old week may still be inserting there: the lock waits until it is done.
  IF now() < week + interval '5 minutes' THEN
    EXECUTE format('LOCK TABLE %I IN SHARE MODE', frozen);
  END IF;
  EXECUTE format(
    'INSERT INTO %I (key, first_seen)
     SELECT k, date_trunc(''milliseconds'', now()) FROM unnest($1) AS k
     WHERE NOT EXISTS (SELECT FROM %I f WHERE f.key = k) ORDER BY k ON CONFLICT DO NOTHING', current, frozen) USING keys;
  -- A second statement: its snapshot sees what a concurrent transaction committed while the first one waited.
  RETURN QUERY EXECUTE format(
    'SELECT c.key, c.first_seen, c.xmin = pg_current_xact_id()::xid FROM %I c WHERE c.key = ANY ($1)
     UNION ALL SELECT f.key, f.first_seen, false FROM %I f WHERE f.key = ANY ($1)', current, frozen) USING keys;
END
$$;

SELECT ensure_partitions(14);

REVOKE ALL ON FUNCTION ensure_partitions (integer, timestamptz), drop_old_partitions (integer), claim_event_keys (bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions (integer, timestamptz), drop_old_partitions (integer), claim_event_keys (bytea[]) TO carillon_worker;
