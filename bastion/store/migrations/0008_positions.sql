-- How far each server's log is known here: a log is never behind it. Of the
-- records after done, what takes access away may not have come here yet.
CREATE TABLE log_positions (
  node TEXT    NOT NULL PRIMARY KEY, -- the log's key
  size INTEGER NOT NULL,             -- records
  root BLOB    NOT NULL,             -- RFC 6962, over them
  done INTEGER NOT NULL,
  at   INTEGER NOT NULL
) STRICT;

-- The generation of the last change of an account that came here from a server,
-- in the transaction of that change.
CREATE TABLE applied (
  account    TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  node       TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (account, node)
) STRICT, WITHOUT ROWID;
