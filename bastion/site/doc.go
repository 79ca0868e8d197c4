//go:build linux

// Package site is one installation of entry on this machine: the directory,
// keys, accounts, audit log and server that a configuration describes. It is
// where all packages are put together, in an order that leaves nothing half
// done. What a thing does is said in its package; here are its files and order.
//
//	Init     makes a directory with a configuration, keys and an empty policy
//	Check    says what Serve would refuse, and changes nothing
//	Serve    runs the server; New is the same in two steps
//	AcceptGap  begins the audit log anew where records of it are lost
//	Operate  reaches the running server, or takes its place
//	Guide    makes a user's access guide, to be written or published
//
// # Guarantees
//
// What can be refused is refused before the first session. One process at a
// time writes the audit log of a site. Closing seals recordings first, because
// their last tick goes to the log, and closes the log last. The goroutines that
// all sessions depend on are vital (package group). Before anybody can log in,
// what an older database has back is taken away again (store.Reconcile).
//
// Errors that operators can do something about say what (Error).
//
// When not to use it: to read a log or recordings. They are files; packages
// audit, evidence and recording read them, on any system.
package site
