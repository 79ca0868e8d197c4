// Package store keeps all durable state but the audit log in SQLite: accounts and
// what is spent of them, failures and logins, who waits for approval and what was
// approved, and the bytes moved on a day.
//
// # Guarantees
//
//   - Every changing call is one transaction, on disk when it returns
//     (journal_mode=WAL, synchronous=FULL: the log is synced at each commit).
//   - Several processes may have the same file open; writers wait for each other
//     up to five seconds and then fail. Write transactions begin immediate, so a
//     read inside one can't be outdated when it writes.
//   - Failures are counted in a table of bounded size: see maxTallies.
//   - A change of an account is seen by every process that has the file open,
//     within a second (Changed): it counts a row up in its own transaction.
//   - It knows how far the audit log of each server on it was. Reconcile brings an
//     older database up to its server's log, as far as that took access away; each
//     change of an account notes in its own transaction that it is here.
//   - A main file beside the write-ahead log of another time is refused (ErrMixed), and
//     left as it is: rows have stamps, whose sum is in the transaction of each change.
//   - Files that are moved, replaced or cut while they are open, and an older state that is
//     put into them, are noticed: every write fails from then on (ErrGone).
//   - A full or read-only disk, or one of another account, is said in words (Unwritable).
//   - The schema is made by numbered migrations whose SHA-256 is stored beside
//     them. A file written by a newer entry, or one whose applied migrations
//     differ from those in this binary, is refused and not touched.
//   - The file is created 0600 and refused if others may read or write it.
//
// # When not to use it
//
// Not for events (package audit) or recordings, and not on a network file
// system: WAL needs shared memory between the processes of one machine.
//
// # Sources
//
// https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous,
// https://www.sqlite.org/isolation.html
package store
