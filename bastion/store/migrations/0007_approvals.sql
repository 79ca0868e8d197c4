-- Who waits for whose approval, at whichever server. epoch is the account's when
-- the waiting began: a change that takes access away ends it.
CREATE TABLE waiters (
  id      TEXT    NOT NULL PRIMARY KEY,
  request TEXT    NOT NULL, -- what approvers name; one for each seat and rule
  account TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  epoch   INTEGER NOT NULL,
  target  TEXT    NOT NULL,
  source  TEXT    NOT NULL, -- IP address
  rule    TEXT    NOT NULL,
  until   INTEGER NOT NULL,
  node    TEXT    NOT NULL  -- of the server where it waits
) STRICT;
CREATE INDEX waiters_by_account ON waiters (account);

CREATE TABLE approvals (
  id       INTEGER NOT NULL PRIMARY KEY,
  account  TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  target   TEXT    NOT NULL,
  source   TEXT    NOT NULL,
  rule     TEXT    NOT NULL,
  approver TEXT    NOT NULL,
  acting   TEXT    NOT NULL, -- "as root"; '' for a login of the approver's own
  at       INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  uses     INTEGER NOT NULL  -- sessions; 0 for any number
) STRICT;
CREATE INDEX approvals_by_account ON approvals (account, target);

-- What has used an approval for few sessions, and rests on it while it runs.
CREATE TABLE approval_uses (
  approval INTEGER NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
  session  TEXT    NOT NULL,
  PRIMARY KEY (approval, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_uses_by_session ON approval_uses (session);
