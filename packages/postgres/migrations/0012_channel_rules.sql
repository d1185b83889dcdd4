-- Up Migration
-- How the rooms of one namespace behave: `room:ride-9` and `latest:ride-9` are of the namespace `ride`.
CREATE TABLE channel_rules (
  tenant_id text NOT NULL REFERENCES tenants (id),
  namespace text NOT NULL CHECK (namespace ~ '^[a-z0-9]{1,64}$'),
  -- services are asked about whom a token lets in no further
  authorise boolean NOT NULL,
  -- what everybody who is let in may do besides
  allow text[] NOT NULL CHECK (allow <@ ARRAY['subscribe', 'publish', 'presence', 'history']),
  -- subscribers are told who comes and goes
  joins boolean NOT NULL,
  -- JSON Schema of what may be published, as it was written; null for any object
  schema json,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, namespace)
);
ALTER TABLE channel_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE channel_rules FORCE ROW LEVEL SECURITY;
CREATE POLICY request ON channel_rules TO carillon_request, CURRENT_USER
  USING (tenant_id = (SELECT nullif(current_setting('carillon.tenant', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(current_setting('carillon.tenant', true), '')));
CREATE POLICY worker ON channel_rules TO carillon_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON channel_rules TO carillon_request;
