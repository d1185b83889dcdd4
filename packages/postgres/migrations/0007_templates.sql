-- Up Migration
-- A template is the texts of a notification, a piece of text that others render, or a frame that mails are put into.
ALTER TABLE templates ADD COLUMN kind text NOT NULL DEFAULT 'content'
  CHECK (kind IN ('content', 'partial', 'layout'));
