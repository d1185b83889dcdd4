-- Up Migration
-- The request role sees one tenant, the one named in the transaction. The worker role writes batches for many
-- tenants and is reached by no request. Neither has any grant on partitions: rows go through the parents. The owner
-- is bound like a request (policies are forced): setting up a tenant names it in the transaction first.

DO $$
DECLARE
  name text;
  request_reads text[] := ARRAY['tenants','users','devices','subscriptions','categories','preferences','workflows','templates',
    'providers','api_keys','idempotency_keys','events','runs','deliveries','attempts','receipts','statistics','audit','audit_heads','outbox'];
  request_writes text[] := ARRAY['users','devices','subscriptions','categories','preferences','workflows','templates','providers',
    'api_keys','idempotency_keys'];
  worker_reads text[] := ARRAY['tenants','users','devices','subscriptions','categories','preferences','workflows','templates','providers'];
  worker_writes text[] := ARRAY['events','runs','deliveries','attempts','receipts','statistics','frequency_counters','outbox','audit_heads'];
  -- a subquery, so that it is evaluated once a statement and not once a row; '' is what a past transaction leaves
  mine text := '(SELECT nullif(current_setting(''carillon.tenant'', true), ''''))';
BEGIN
  FOREACH name IN ARRAY request_reads || ARRAY['frequency_counters'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY request ON %I TO carillon_request, CURRENT_USER USING (%s = %s) WITH CHECK (%s = %s)', name,
      CASE name WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END, mine, CASE name WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END, mine);
    EXECUTE format('CREATE POLICY worker ON %I TO carillon_worker USING (true) WITH CHECK (true)', name);
  END LOOP;
  FOREACH name IN ARRAY request_reads LOOP
    EXECUTE format('GRANT SELECT ON %I TO carillon_request', name);
  END LOOP;
  FOREACH name IN ARRAY request_writes LOOP
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO carillon_request', name);
  END LOOP;
  FOREACH name IN ARRAY worker_reads LOOP
    EXECUTE format('GRANT SELECT ON %I TO carillon_worker', name);
  END LOOP;
  FOREACH name IN ARRAY worker_writes LOOP
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO carillon_worker', name);
  END LOOP;
END
$$;

-- for find_api_key (0001), which runs as the owner: the key it was asked for, and that key's tenant
CREATE POLICY lookup ON api_keys FOR SELECT TO CURRENT_USER
  USING (id = (SELECT nullif(current_setting('carillon.api_key', true), '')));
CREATE POLICY lookup ON tenants FOR SELECT TO CURRENT_USER
  USING (id IN (SELECT k.tenant_id FROM api_keys k WHERE k.id = (SELECT nullif(current_setting('carillon.api_key', true), ''))));

-- What a signed-in person may change of a notification, and nothing else of the row.
GRANT UPDATE (seen_at, read_at, archived_at, in_inbox) ON runs TO carillon_request;
GRANT UPDATE (epoch, locale, timezone, name) ON tenants TO carillon_request;
GRANT INSERT, DELETE ON outbox TO carillon_request;
GRANT DELETE ON outbox, frequency_counters, idempotency_keys TO carillon_worker;
GRANT SELECT ON idempotency_keys TO carillon_worker;
-- inline recipients are identified on the way; a dead token is marked; a broken credential is held
GRANT INSERT, UPDATE ON users TO carillon_worker;
GRANT UPDATE (status, reason, updated_at) ON devices TO carillon_worker;
GRANT UPDATE (held_until, held_reason, updated_at) ON providers TO carillon_worker;
-- append-only by grant
GRANT SELECT, INSERT ON audit TO carillon_worker;
