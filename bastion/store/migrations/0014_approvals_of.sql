-- What an approval is of, and whose account its approver has ('' for none), as of when.
-- Of those of before nobody can tell: they are asked for again.
DELETE FROM waiters;
DELETE FROM approvals;
ALTER TABLE waiters ADD COLUMN gives TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN gives TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN by_account TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN by_epoch INTEGER NOT NULL DEFAULT 0;
