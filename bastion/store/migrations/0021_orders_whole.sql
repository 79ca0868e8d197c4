-- Holds and erasures have stamps, as 0013 gave them to what users may.

ALTER TABLE holds ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER holds_made AFTER INSERT ON holds BEGIN
  UPDATE holds SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM holds WHERE id = NEW.id);
END;
CREATE TRIGGER holds_changed AFTER UPDATE ON holds WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE holds SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM holds WHERE id = NEW.id);
END;
CREATE TRIGGER holds_gone AFTER DELETE ON holds BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE holds SET stamp = stamp;

ALTER TABLE erasures ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER erasures_made AFTER INSERT ON erasures BEGIN
  UPDATE erasures SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps + (SELECT stamp FROM erasures WHERE id = NEW.id);
END;
CREATE TRIGGER erasures_changed AFTER UPDATE ON erasures WHEN NEW.stamp = OLD.stamp BEGIN
  UPDATE erasures SET stamp = random() & 1099511627775 WHERE id = NEW.id;
  UPDATE whole SET stamps = stamps - OLD.stamp + (SELECT stamp FROM erasures WHERE id = NEW.id);
END;
CREATE TRIGGER erasures_gone AFTER DELETE ON erasures BEGIN
  UPDATE whole SET stamps = stamps - OLD.stamp;
END;
UPDATE erasures SET stamp = stamp;
