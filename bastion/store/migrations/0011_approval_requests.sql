-- An approval is withdrawn by the ID of the request that it answered.
ALTER TABLE approvals ADD COLUMN request TEXT NOT NULL DEFAULT '';
-- Those of before get one of their own.
UPDATE approvals SET request = lower(hex(randomblob(4)));
