-- Up Migration
-- What a shadow would have told, beside what was told: per channel and day, and some examples.
CREATE TABLE shadow_results (
  tenant_id text NOT NULL REFERENCES tenants (id),
  workflow_key text NOT NULL,
  shadow_version integer NOT NULL,
  -- 0: nothing was published
  published_version integer NOT NULL,
  channel text NOT NULL,
  day date NOT NULL,
  -- person by person: both, only the shadow, only the published one
  same bigint NOT NULL,
  more bigint NOT NULL,
  less bigint NOT NULL,
  PRIMARY KEY (tenant_id, workflow_key, shadow_version, published_version, channel, day)
);
CREATE TABLE shadow_examples (
  tenant_id text NOT NULL REFERENCES tenants (id),
  workflow_key text NOT NULL,
  shadow_version integer NOT NULL,
  published_version integer NOT NULL,
  event_id uuid NOT NULL,
  recipient text NOT NULL,
  at timestamptz NOT NULL,
  -- step by step: {type, outcome, reason, detail}
  published json NOT NULL,
  shadow json NOT NULL,
  PRIMARY KEY (tenant_id, workflow_key, shadow_version, event_id, recipient)
);

DO $$
DECLARE
  name text;
  mine text := '(SELECT nullif(current_setting(''carillon.tenant'', true), ''''))';
BEGIN
  FOREACH name IN ARRAY ARRAY['shadow_results', 'shadow_examples'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY request ON %I TO carillon_request, CURRENT_USER USING (tenant_id = %s) WITH CHECK (tenant_id = %s)', name, mine, mine);
    EXECUTE format('CREATE POLICY worker ON %I TO carillon_worker USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT ON %I TO carillon_request', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO carillon_worker', name);
  END LOOP;
END
$$;
