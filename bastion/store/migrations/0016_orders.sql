-- Orders of operators to end a session that another server on this database has.
-- That one takes them.
CREATE TABLE orders (
  session    TEXT    NOT NULL PRIMARY KEY,
  reason     TEXT    NOT NULL,
  uid        INTEGER NOT NULL,
  login_uid  INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  login_name TEXT    NOT NULL,
  given      INTEGER NOT NULL
) STRICT;
