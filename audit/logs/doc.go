// Package logs reads the audit logs of several servers as one: what each has, in the order
// of time, with the log that it is of; the last events of all and those that come; what is
// searched for, by an index where a log is large.
//
// # Guarantees
//
// Each log is told by a name that no other one of them has: its origin, or its directory.
// What a log has comes in its own order, whatever its times say, and an error as soon as
// it is that log's next, so that a log that can't be read hides nothing of the others.
// A single log has no name, and is read as package audit reads it.
//
// When not to use it: to prove logs (audit/verdict), each of which counts its own records.
package logs
