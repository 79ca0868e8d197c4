-- Orders of operators to erase recordings: they wait while stands is 0.
CREATE TABLE erasures (
  id                TEXT    NOT NULL PRIMARY KEY,
  session           TEXT    NOT NULL,
  user              TEXT    NOT NULL,
  lab               TEXT    NOT NULL,
  reason            TEXT    NOT NULL,
  uid               INTEGER NOT NULL,
  login_uid         INTEGER NOT NULL,
  name              TEXT    NOT NULL,
  login_name        TEXT    NOT NULL,
  ordered           INTEGER NOT NULL,
  stands            INTEGER NOT NULL,
  second_uid        INTEGER,
  second_login_uid  INTEGER,
  second_name       TEXT,
  second_login_name TEXT
) STRICT;
