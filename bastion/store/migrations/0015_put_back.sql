-- When it was found at a start that this database had been put back. A log whose
-- position was noted last before that has not been held against it since.
CREATE TABLE put_back (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL
) STRICT;
