-- How many bytes were moved, by day (UTC, YYYY-MM-DD) and whose budget counts
-- them. What a running session has reserved is in it already.
CREATE TABLE usage (
  day   TEXT    NOT NULL,
  owner TEXT    NOT NULL, -- "down alice home.tinker", "lab alice tinker"
  bytes INTEGER NOT NULL,
  PRIMARY KEY (day, owner)
) STRICT;
