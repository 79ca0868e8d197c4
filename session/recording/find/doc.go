// Package find searches recordings: what was ever to be read in them, what was sent,
// the commands, and the names of moved files.
//
// # Guarantees
//
// What a search didn't look at it names, with the reason: recordings that can't be
// opened or are damaged or cut, channels of which less is kept than all, sessions that
// the log has and that weren't recorded. Hits come in the order of the sessions that
// were asked for, and within one about in the order of time, however many cores work.
// Memory is bounded whatever recordings hold: who finds more waits until it is taken.
//
// What is found is a peer's: package audit/plain makes it fit to be shown.
//
// When not to use it: for the audit log, which audit/evidence searches.
package find
