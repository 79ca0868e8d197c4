-- What a server's log is signed by now, where that isn't the key that it began with, by
-- which it is called: so a log that lost the changes of its key isn't taken for another one.
ALTER TABLE log_positions ADD COLUMN key TEXT NOT NULL DEFAULT '';
