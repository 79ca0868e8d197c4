-- Legal holds: what they name isn't removed after its retention.
CREATE TABLE holds (
  id         TEXT    NOT NULL PRIMARY KEY,
  session    TEXT    NOT NULL,
  user       TEXT    NOT NULL,
  lab        TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  uid        INTEGER NOT NULL,
  login_uid  INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  login_name TEXT    NOT NULL,
  placed     INTEGER NOT NULL
) STRICT;
