// Package transfer understands the protocols that move files through a session
// channel, as they pass: what was moved, in which direction, how large it was,
// and its SHA-256 where that can be known. What may move is decided operation by
// operation.
//
// Don't use it to keep payload: that never stays longer than a decoder needs to
// hash it.
//
// # Guarantees
//
// A hash is that of the whole file as it stands at its destination if nobody
// else writes to it, or it isn't given: Entry.Unknown says why then. Somebody else is
// whoever isn't this channel, and who reaches the file by links that others made:
// that two names are one file is known only of links that this channel made. What
// comes from the target beside files' content is bounded or has an entry, "list", with
// its size and hash, since the target may run anything ([MaxWords]). Memory is
// bounded whatever the peers send. What a decoder doesn't understand ends with a
// [Desync]; nothing is guessed from there on.
package transfer
