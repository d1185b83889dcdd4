-- Up Migration
-- Who was deleted: their tokens outlive them. A user whom nobody has stored yet may be let in, a deleted one not, until
-- they are stored again. Kept as long as tokens are taken to live.
CREATE TABLE deleted_users (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX deleted_users_age ON deleted_users (at);
ALTER TABLE deleted_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE deleted_users FORCE ROW LEVEL SECURITY;
CREATE POLICY request ON deleted_users TO carillon_request, CURRENT_USER
  USING (tenant_id = (SELECT nullif(current_setting('carillon.tenant', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(current_setting('carillon.tenant', true), '')));
CREATE POLICY worker ON deleted_users TO carillon_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON deleted_users TO carillon_request;
GRANT SELECT, DELETE ON deleted_users TO carillon_worker;

-- Which of some users, each with their tenant, may do nothing any more: suspended, deleted, or all of a tenant that is
-- suspended or not there. Many tenants in one statement, each one's rows read as that tenant alone: the caller's rights
-- and policies hold. Afterwards the transaction sees the tenant that it saw before.
CREATE FUNCTION find_fallen(tenants_asked text[], users_asked uuid[])
  RETURNS SETOF uuid LANGUAGE plpgsql SET search_path = public, pg_temp
  AS $$
DECLARE
  before text := current_setting('carillon.tenant', true);
  one record;
BEGIN
  FOR one IN
    SELECT asked.tenant, array_agg(asked.id) AS users FROM unnest(tenants_asked, users_asked) AS asked (tenant, id) GROUP BY 1
  LOOP
    PERFORM set_config('carillon.tenant', one.tenant, true);
    RETURN QUERY
      SELECT asked.id FROM unnest(one.users) AS asked (id)
        LEFT JOIN tenants t ON t.id = one.tenant
        LEFT JOIN users u ON u.tenant_id = one.tenant AND u.id = asked.id
        LEFT JOIN deleted_users d ON d.tenant_id = one.tenant AND d.id = asked.id
      WHERE t.status IS DISTINCT FROM 'active' OR u.status = 'suspended' OR (u.id IS NULL AND d.id IS NOT NULL);
  END LOOP;
  PERFORM set_config('carillon.tenant', coalesce(before, ''), true);
END
$$;
REVOKE ALL ON FUNCTION find_fallen (text[], uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_fallen (text[], uuid[]) TO carillon_request;
