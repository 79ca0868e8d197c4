-- Times are microseconds since 1970 UTC, 0 for none. Hashes and seeds are blobs.
CREATE TABLE accounts (
  id              TEXT    NOT NULL PRIMARY KEY,
  name            TEXT    NOT NULL UNIQUE,
  generation      INTEGER NOT NULL,
  epoch           INTEGER NOT NULL,
  disabled        INTEGER NOT NULL,
  passphrase      TEXT    NOT NULL, -- argon2id, PHC string; '' for none
  passphrase_set  INTEGER NOT NULL,
  temporary       BLOB,             -- SHA-256; NULL for none
  temporary_until INTEGER NOT NULL,
  created         INTEGER NOT NULL,
  last_login      INTEGER NOT NULL,
  failures        INTEGER NOT NULL DEFAULT 0,
  failures_since  INTEGER NOT NULL DEFAULT 0,
  locked_until    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE authenticators (
  id        TEXT    NOT NULL PRIMARY KEY,
  account   TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name      TEXT    NOT NULL,
  sealed    BLOB    NOT NULL, -- seed under AES-256-GCM; the key is not in this file
  created   INTEGER NOT NULL,
  last_step INTEGER NOT NULL
) STRICT;
CREATE INDEX authenticators_by_account ON authenticators (account);

CREATE TABLE recovery_codes (
  account TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  hash    BLOB    NOT NULL, -- HMAC-SHA256; the key is not in this file
  used    INTEGER NOT NULL,
  PRIMARY KEY (account, hash)
) STRICT;

CREATE TABLE public_keys (
  account     TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  fingerprint TEXT    NOT NULL,
  line        TEXT    NOT NULL,
  comment     TEXT    NOT NULL,
  added       INTEGER NOT NULL,
  PRIMARY KEY (account, fingerprint)
) STRICT;
