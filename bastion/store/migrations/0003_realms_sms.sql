-- Who judges the passphrase ('' for entry itself), and where codes go by SMS.
ALTER TABLE accounts ADD COLUMN realm       TEXT    NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN phone       TEXT    NOT NULL DEFAULT ''; -- E.164
ALTER TABLE accounts ADD COLUMN code_by_sms INTEGER NOT NULL DEFAULT 0;
