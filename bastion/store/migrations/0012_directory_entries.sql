-- Which entry of its directory an account was last seen as: one of the same name
-- that was made anew is another person's.
ALTER TABLE accounts ADD COLUMN entry TEXT NOT NULL DEFAULT '';
