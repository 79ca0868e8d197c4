-- Since when codes go by SMS (0 while they don't), and the version of the user
-- agreement that was accepted ('' for none), when.
ALTER TABLE accounts ADD COLUMN sms_since INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET sms_since = CAST(strftime('%s', 'now') AS INTEGER) * 1000000 WHERE code_by_sms <> 0;
ALTER TABLE accounts ADD COLUMN terms TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN terms_at INTEGER NOT NULL DEFAULT 0;
