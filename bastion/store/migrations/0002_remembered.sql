-- What makes an account fit or not, beside disabled.
ALTER TABLE accounts ADD COLUMN ends         INTEGER NOT NULL DEFAULT 0; -- last moment
ALTER TABLE accounts ADD COLUMN active_since INTEGER NOT NULL DEFAULT 0; -- when an operator enabled it last

-- A reset that waits for a second operator; reset_asked is 0 for none.
ALTER TABLE accounts ADD COLUMN reset_asked           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN reset_passphrase_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN reset_uid             INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN reset_login_uid       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN reset_by              TEXT    NOT NULL DEFAULT '';

ALTER TABLE authenticators ADD COLUMN used INTEGER NOT NULL DEFAULT 0; -- when last_step was spent

-- A key that needs no code from one network until a certain time. What it was
-- proven with takes it along: the key, and the authenticator of the code.
CREATE TABLE remembered_keys (
  account       TEXT    NOT NULL,
  fingerprint   TEXT    NOT NULL,
  network       TEXT    NOT NULL, -- prefix, 192.0.2.7/32
  authenticator TEXT    REFERENCES authenticators (id) ON DELETE CASCADE, -- NULL where a touch stood for the code
  since         INTEGER NOT NULL, -- when the code was given
  until         INTEGER NOT NULL,
  used          INTEGER NOT NULL,
  PRIMARY KEY (account, fingerprint, network),
  FOREIGN KEY (account, fingerprint) REFERENCES public_keys (account, fingerprint) ON DELETE CASCADE
) STRICT;
CREATE INDEX remembered_by_authenticator ON remembered_keys (authenticator);

CREATE TABLE logins (
  id      INTEGER PRIMARY KEY,
  account TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  at      INTEGER NOT NULL,
  source  TEXT    NOT NULL, -- IP address
  method  TEXT    NOT NULL
) STRICT;
CREATE INDEX logins_by_account ON logins (account, at);

-- Failures by (name, source) and by source. The keys are HMACs: people type
-- passphrases where a name belongs.
CREATE TABLE tallies (
  key      BLOB    NOT NULL PRIMARY KEY,
  failures INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  locked   INTEGER NOT NULL,
  trusted  INTEGER NOT NULL,
  keep     INTEGER NOT NULL -- after this time the row says nothing
) STRICT, WITHOUT ROWID;
CREATE INDEX tallies_by_keep ON tallies (keep);
