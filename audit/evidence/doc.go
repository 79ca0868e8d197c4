// Package evidence holds recordings and the audit log against each other: the
// log says what was recorded, up to where, and how it ended; the recordings'
// chains say what is there.
//
// # Guarantees
//
// Verify names every recording that isn't what the log knows, by its kind of
// mismatch, and says nothing more than it found: it neither proves the log
// (audit.Verify does, and comes first) nor opens a seal. It needs no key and
// changes nothing. It may run beside a writer: what is being written is held
// against what was committed.
//
// Retention removes recordings only after the log says so, durably. By what it removes them
// is the log's word: whose they are, when they ended, which holds stand, what was ordered.
// Neither a recording's clear header nor the database alone has one removed.
//
// When not to use it: for a recording alone (recording.Verify), or for the log
// alone (audit.Verify).
//
// Sources: package recording has the chain and its ticks, package audit the
// events that carry them.
package evidence
