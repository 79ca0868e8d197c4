-- One row that every change of an account counts up in its own transaction
-- (logins aren't changes): how the other processes learn of it.
CREATE TABLE changes (
  id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  counter INTEGER NOT NULL
) STRICT;
INSERT INTO changes (id, counter) VALUES (1, 1);
