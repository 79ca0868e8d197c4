-- Whether all pages of this file are of one time: a main file beside another
-- write-ahead log, or none, isn't one database. Every row that says what somebody may,
-- or up to which record of a log that is so, has a stamp, drawn anew with each
-- change; the sum of all is in one row, of the same transaction. A row of another
-- time, one that is missing or one too many changes the sum. 40 bits each: 8 million
-- rows fit. INSERT OR REPLACE would run no trigger for the row that it replaces.
CREATE TABLE whole (
  id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  stamps INTEGER NOT NULL
) STRICT;
INSERT INTO whole (id, stamps) VALUES (1, 0);

ALTER TABLE accounts ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER accounts_made AFTER INSERT ON accounts BEGIN
  UPDATE accounts SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM accounts WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER accounts_changed AFTER UPDATE ON accounts WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE accounts SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM accounts WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER accounts_gone AFTER DELETE ON accounts BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE accounts SET stamp = stamp;

ALTER TABLE authenticators ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER authenticators_made AFTER INSERT ON authenticators BEGIN
  UPDATE authenticators SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM authenticators WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER authenticators_changed AFTER UPDATE ON authenticators WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE authenticators SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM authenticators WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER authenticators_gone AFTER DELETE ON authenticators BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE authenticators SET stamp = stamp;

ALTER TABLE recovery_codes ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER recovery_codes_made AFTER INSERT ON recovery_codes BEGIN
  UPDATE recovery_codes SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM recovery_codes WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER recovery_codes_changed AFTER UPDATE ON recovery_codes WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE recovery_codes SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM recovery_codes WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER recovery_codes_gone AFTER DELETE ON recovery_codes BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE recovery_codes SET stamp = stamp;

ALTER TABLE public_keys ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER public_keys_made AFTER INSERT ON public_keys BEGIN
  UPDATE public_keys SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM public_keys WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER public_keys_changed AFTER UPDATE ON public_keys WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE public_keys SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM public_keys WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER public_keys_gone AFTER DELETE ON public_keys BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE public_keys SET stamp = stamp;

ALTER TABLE remembered_keys ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER remembered_keys_made AFTER INSERT ON remembered_keys BEGIN
  UPDATE remembered_keys SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM remembered_keys WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER remembered_keys_changed AFTER UPDATE ON remembered_keys WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE remembered_keys SET stamp = random() & 1099511627775 WHERE rowid = NEW.rowid;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM remembered_keys WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER remembered_keys_gone AFTER DELETE ON remembered_keys BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE remembered_keys SET stamp = stamp;

ALTER TABLE approvals ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER approvals_made AFTER INSERT ON approvals BEGIN
  UPDATE approvals SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM approvals WHERE id = NEW.id);
END;
CREATE TRIGGER approvals_changed AFTER UPDATE ON approvals WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE approvals SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM approvals WHERE id = NEW.id);
END;
CREATE TRIGGER approvals_gone AFTER DELETE ON approvals BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE approvals SET stamp = stamp;

ALTER TABLE approval_uses ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER approval_uses_made AFTER INSERT ON approval_uses BEGIN
  UPDATE approval_uses SET stamp = random() & 1099511627775 WHERE approval = NEW.approval AND session = NEW.session;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM approval_uses WHERE approval = NEW.approval AND session = NEW.session);
END;
CREATE TRIGGER approval_uses_changed AFTER UPDATE ON approval_uses WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE approval_uses SET stamp = random() & 1099511627775 WHERE approval = NEW.approval AND session = NEW.session;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM approval_uses WHERE approval = NEW.approval AND session = NEW.session);
END;
CREATE TRIGGER approval_uses_gone AFTER DELETE ON approval_uses BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE approval_uses SET stamp = stamp;

ALTER TABLE applied ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER applied_made AFTER INSERT ON applied BEGIN
  UPDATE applied SET stamp = random() & 1099511627775 WHERE account = NEW.account AND node = NEW.node;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM applied WHERE account = NEW.account AND node = NEW.node);
END;
CREATE TRIGGER applied_changed AFTER UPDATE ON applied WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE applied SET stamp = random() & 1099511627775 WHERE account = NEW.account AND node = NEW.node;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM applied WHERE account = NEW.account AND node = NEW.node);
END;
CREATE TRIGGER applied_gone AFTER DELETE ON applied BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE applied SET stamp = stamp;

ALTER TABLE log_positions ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER log_positions_made AFTER INSERT ON log_positions BEGIN
  UPDATE log_positions SET stamp = random() & 1099511627775 WHERE node = NEW.node;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM log_positions WHERE node = NEW.node);
END;
CREATE TRIGGER log_positions_changed AFTER UPDATE ON log_positions WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE log_positions SET stamp = random() & 1099511627775 WHERE node = NEW.node;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM log_positions WHERE node = NEW.node);
END;
CREATE TRIGGER log_positions_gone AFTER DELETE ON log_positions BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE log_positions SET stamp = stamp;
