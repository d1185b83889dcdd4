-- Up Migration
-- Who exists and what they asked for: tenants, users, devices, preferences, workflows, credentials.
-- Group roles; people and services log in as members of them. They own nothing.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carillon_request') THEN
    CREATE ROLE carillon_request NOLOGIN NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carillon_worker') THEN
    CREATE ROLE carillon_worker NOLOGIN NOBYPASSRLS;
  END IF;
EXCEPTION
  -- roles belong to the whole server: another database may be migrating at the same moment
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE TABLE tenants (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,64}$'),
  name text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  locale text NOT NULL DEFAULT 'en',
  timezone text NOT NULL DEFAULT 'UTC',
  -- raised by every change of a workflow, template, category or default: dispatchers reload when it moved
  epoch bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 256),
  email text,
  phone text,
  name text,
  locale text,
  timezone text,
  roles text[] NOT NULL DEFAULT '{}',
  attributes jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, external_id)
);
CREATE INDEX users_roles ON users USING gin (roles);

CREATE TABLE devices (
  tenant_id text NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('fcm', 'apns', 'webpush')),
  -- which app of the person: a driver app and a customer app are two sets of devices
  app text NOT NULL DEFAULT 'default',
  -- {token, environment} or {endpoint, p256dh, auth}
  address jsonb NOT NULL,
  address_hash bytea NOT NULL,
  locale text,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'gone')),
  reason text,
  registered_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  -- a token belongs to one user and moves with the sign-in
  UNIQUE (tenant_id, kind, address_hash),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX devices_user ON devices (tenant_id, user_id);

CREATE TABLE subscriptions (
  tenant_id text NOT NULL,
  topic text NOT NULL CHECK (length(topic) BETWEEN 1 AND 128),
  user_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, topic, user_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE categories (
  tenant_id text NOT NULL REFERENCES tenants (id),
  key text NOT NULL CHECK (key ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
  name text NOT NULL,
  critical boolean NOT NULL DEFAULT false,
  -- channel → true or false; a missing channel is on
  defaults jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, key)
);

-- user_id null: the tenant's default. category or channel null: all of them.
CREATE TABLE preferences (
  tenant_id text NOT NULL REFERENCES tenants (id),
  user_id uuid,
  category text,
  channel text CHECK (channel IN ('inbox', 'push', 'email', 'sms', 'webhook')),
  enabled boolean NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, category, channel)
);

CREATE TABLE workflows (
  tenant_id text NOT NULL REFERENCES tenants (id),
  key text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  definition jsonb NOT NULL,
  status text NOT NULL DEFAULT 'published' CHECK (status IN ('draft', 'published', 'retired')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key, version)
);
CREATE UNIQUE INDEX workflows_published ON workflows (tenant_id, key) WHERE status = 'published';

CREATE TABLE templates (
  tenant_id text NOT NULL REFERENCES tenants (id),
  key text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  -- locale → content; the tenant's locale is the last resort
  locales jsonb NOT NULL,
  status text NOT NULL DEFAULT 'published' CHECK (status IN ('draft', 'published', 'retired')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key, version)
);
CREATE UNIQUE INDEX templates_published ON templates (tenant_id, key) WHERE status = 'published';

CREATE TABLE providers (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  channel text NOT NULL CHECK (channel IN ('push', 'email', 'sms', 'webhook')),
  kind text NOT NULL CHECK (kind IN ('fcm', 'apns', 'webpush', 'smtp', 'webhook', 'sms')),
  app text NOT NULL DEFAULT 'default',
  -- sealed by the application; the database never sees the plain text
  credentials bytea NOT NULL,
  settings jsonb NOT NULL DEFAULT '{}',
  position integer NOT NULL DEFAULT 0,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
  -- a broken credential or a circuit that is open: nothing is tried before this moment
  held_until timestamptz,
  held_reason text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, kind, app)
);

CREATE TABLE api_keys (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9]{8,32}$'),
  tenant_id text NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  -- SHA-256 of the secret part, which has 256 random bits
  hash bytea NOT NULL,
  scopes text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id);

CREATE TABLE idempotency_keys (
  tenant_id text NOT NULL REFERENCES tenants (id),
  route text NOT NULL,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  fingerprint bytea NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done')),
  locked_until timestamptz NOT NULL,
  status integer,
  body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Finding a key comes before knowing the tenant. The function names the one key that it may see; policies of the
-- owner, under whom it runs, open that row and its tenant's (0004).
CREATE FUNCTION find_api_key(wanted text)
  RETURNS TABLE (tenant_id text, hash bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz, tenant_status text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
  AS $$
BEGIN
  PERFORM set_config('carillon.api_key', wanted, true);
  RETURN QUERY
    SELECT k.tenant_id, k.hash, k.scopes, k.expires_at, k.revoked_at, t.status
    FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
    WHERE k.id = wanted;
  PERFORM set_config('carillon.api_key', '', true);
END
$$;
REVOKE ALL ON FUNCTION find_api_key (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key (text) TO carillon_request;
