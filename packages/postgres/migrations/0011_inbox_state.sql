-- Up Migration
-- The state of the inbox: put off until later, gone for good, and which of two states is the newer.

ALTER TABLE runs
  -- out of the inbox until then; what wakes it takes the time away, so that predicates need no clock
  ADD COLUMN snoozed_until timestamptz,
  -- when it came back last: it is kept from then on as long as a new one
  ADD COLUMN returned_at timestamptz,
  -- gone from the inbox for good; the history keeps the row
  ADD COLUMN removed_at timestamptz,
  -- counts the changes of the marks
  ADD COLUMN revision integer NOT NULL DEFAULT 0;

-- runs_inbox, runs_unread and runs_archived stay beside these: roles of the version before read their lists by them
CREATE INDEX runs_shown ON runs (tenant_id, user_id, id)
  WHERE in_inbox AND removed_at IS NULL AND archived_at IS NULL AND snoozed_until IS NULL;
CREATE INDEX runs_shown_unread ON runs (tenant_id, user_id, id)
  WHERE in_inbox AND removed_at IS NULL AND archived_at IS NULL AND snoozed_until IS NULL AND read_at IS NULL;
CREATE INDEX runs_shown_archived ON runs (tenant_id, user_id, id)
  WHERE in_inbox AND removed_at IS NULL AND archived_at IS NOT NULL;
CREATE INDEX runs_snoozed ON runs (tenant_id, user_id, id)
  WHERE in_inbox AND removed_at IS NULL AND snoozed_until IS NOT NULL;
-- what comes back next
CREATE INDEX runs_return ON runs (snoozed_until) WHERE snoozed_until IS NOT NULL;

-- roles of the version before count no changes; clients would hold what they mark for no newer than what they have
CREATE FUNCTION count_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revision := OLD.revision + 1;
  RETURN NEW;
END
$$;
CREATE TRIGGER runs_revision BEFORE UPDATE OF seen_at, read_at, archived_at ON runs FOR EACH ROW
  WHEN (NEW.revision = OLD.revision
    AND (NEW.seen_at, NEW.read_at, NEW.archived_at) IS DISTINCT FROM (OLD.seen_at, OLD.read_at, OLD.archived_at))
  EXECUTE FUNCTION count_revision();

GRANT UPDATE (snoozed_until, removed_at, revision) ON runs TO carillon_request;
