-- Up Migration
-- One event's way: keys, events, runs, deliveries, attempts, receipts. Partitioned by derived id, whose leading
-- bits are the event's first-seen time, so that a primary key is global and also the index of pages.

CREATE TABLE events (
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  source text NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  subject text,
  time text,
  lane text NOT NULL,
  data json NOT NULL,
  -- per workflow that listens to the type: {workflow, version, matched, reason, detail, recipients}
  outcome json NOT NULL,
  first_seen timestamptz NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE TABLE runs (
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  event_id uuid NOT NULL,
  workflow_key text NOT NULL,
  workflow_version integer NOT NULL,
  -- null when the recipient the event named is not known
  user_id uuid,
  recipient text NOT NULL,
  lane text NOT NULL,
  category text,
  state text NOT NULL,
  reason text,
  -- the explained plan, one entry per pass
  plan json NOT NULL,
  -- rendered texts: {inbox: {…}, "<step>": {…}}; a step that shows the same as the inbox has no entry
  content json,
  next_step smallint,
  wake_at timestamptz,
  -- rows were written whose jobs or frames may not have been published yet (only for runs that were woken)
  publish_pending boolean NOT NULL DEFAULT false,
  in_inbox boolean NOT NULL,
  expires_at timestamptz,
  collapse_key text,
  created_at timestamptz NOT NULL,
  seen_at timestamptz,
  read_at timestamptz,
  archived_at timestamptz,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
-- Each list of the inbox is one backward scan of an index that holds nothing else, so a page costs the same however
-- much a person has archived or read; older partitions are never opened.
CREATE INDEX runs_inbox ON runs (tenant_id, user_id, id) WHERE in_inbox AND archived_at IS NULL;
CREATE INDEX runs_unread ON runs (tenant_id, user_id, id) WHERE in_inbox AND read_at IS NULL AND archived_at IS NULL;
CREATE INDEX runs_archived ON runs (tenant_id, user_id, id) WHERE in_inbox AND archived_at IS NOT NULL;
CREATE INDEX runs_event ON runs (event_id);
CREATE INDEX runs_wake ON runs (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE deliveries (
  run_id uuid NOT NULL,
  id uuid NOT NULL,
  tenant_id text NOT NULL,
  user_id uuid NOT NULL,
  channel text NOT NULL,
  lane text NOT NULL,
  step smallint NOT NULL,
  address_kind text NOT NULL CHECK (address_kind IN ('device', 'email', 'webhook')),
  -- device id, mailbox or URL
  address text NOT NULL,
  provider text,
  status text NOT NULL DEFAULT 'queued',
  reason text,
  detail text,
  attempt_no smallint NOT NULL DEFAULT 0,
  max_attempts smallint NOT NULL DEFAULT 3,
  -- when the waker looks at the row: a retry that is due, a job that never came, a lease that lapsed
  due_at timestamptz,
  expires_at timestamptz,
  provider_id text,
  sent_at timestamptz,
  delivered_at timestamptz,
  opened_at timestamptz,
  clicked_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (run_id, id)
) PARTITION BY RANGE (run_id);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
  run_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  attempt_no smallint NOT NULL,
  tenant_id text NOT NULL,
  provider text,
  -- null while the provider is being asked, and for ever when the worker died meanwhile
  verdict text,
  reason text,
  detail text,
  provider_id text,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  PRIMARY KEY (run_id, delivery_id, attempt_no)
) PARTITION BY RANGE (run_id);

CREATE TABLE receipts (
  run_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  status text NOT NULL,
  tenant_id text NOT NULL,
  channel text NOT NULL,
  by text NOT NULL,
  at timestamptz NOT NULL,
  detail text,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, delivery_id, status)
) PARTITION BY RANGE (run_id);

CREATE TABLE statistics (
  tenant_id text NOT NULL,
  day date NOT NULL,
  channel text NOT NULL,
  status text NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, channel, status)
);

-- Counters of caps: one row per user, scope (a workflow's key) and window. Updated in the dispatch transaction.
CREATE TABLE frequency_counters (
  tenant_id text NOT NULL,
  user_id uuid NOT NULL,
  scope text NOT NULL,
  window_start timestamptz NOT NULL,
  count integer NOT NULL,
  PRIMARY KEY (tenant_id, user_id, scope, window_start)
);
CREATE INDEX frequency_counters_age ON frequency_counters (window_start);

-- State that must also be heard is written together with a row here; a relay publishes and deletes it.
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text NOT NULL,
  stream text NOT NULL,
  subject text NOT NULL,
  message_id text NOT NULL,
  body text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit (
  tenant_id text NOT NULL,
  sequence bigint NOT NULL,
  fact_id text NOT NULL,
  -- the fact as text, exactly as it was hashed
  fact text NOT NULL,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, sequence),
  UNIQUE (tenant_id, fact_id)
);

CREATE TABLE audit_heads (
  tenant_id text PRIMARY KEY,
  sequence bigint NOT NULL,
  hash bytea NOT NULL
);
