-- What each server wrote here last is marked by a random number, so that it knows the
-- database again: an older state that is put back while it runs has another one.
CREATE TABLE marks (
	node TEXT PRIMARY KEY,
	mark INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
