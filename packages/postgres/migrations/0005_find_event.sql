-- Up Migration
-- When an event was first seen, by its key; null when no generation knows it. The key is a hash over tenant, source and
-- id, so whoever can ask for it names all three.
CREATE FUNCTION find_event_key(wanted bytea) RETURNS timestamptz
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  generation text;
  found timestamptz;
BEGIN
  FOR generation IN
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname ~ '^event_keys_[0-9]{6}$'
    ORDER BY relname DESC
  LOOP
    EXECUTE format('SELECT first_seen FROM %I WHERE key = $1', generation) INTO found USING wanted;
    IF found IS NOT NULL THEN
      RETURN found;
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION find_event_key (bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_event_key (bytea) TO carillon_request;
