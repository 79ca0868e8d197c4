// Package index knows which records of an audit log are of a user, a target, a session, a
// type, a reference or a time, so that a search in a log of years needs a moment. It is for
// who reads a log, on any machine, and each reader's own: nothing of it lies beside the log, where it
// would take the log's disk, or come with a copy that somebody else made.
//
// # What it may do
//
// An index is never believed for more than where to look. What is shown is read from the
// log itself, from lines that are what they were when the index was made, and say what the
// index said. What it doesn't show it leaves out on the word of
//
//   - a MAC of every row, by a key that lies beside the index and that its reader alone has:
//     a row that was changed, put elsewhere or taken from another log is none, and a row that is
//     missing is missed, since each chunk of records has the same ones;
//   - the file: one that was replaced, changed, compressed or moved since (by its number,
//     size and times) is read again as a whole, and what isn't the same forgotten.
//
// Where one of them doesn't fit the log is read, as where there is no index, and the index
// made anew from that. So a broken, foreign, old or lost one costs time alone.
//
// It proves nothing: whether the log is what was written is for audit.Verify. Lines of
// sealed files that aren't events are told of by who reads them; a file that has one
// isn't indexed.
//
// # How it grows
//
// Who searches tells the index of what had to be read (audit.Index). So the first search of
// a log takes as long as reading it, and no writer does anything. Records are kept in
// chunks of at most some thousand, in one transaction each: a crash loses one, and several
// readers may be at it at once. Of the last file, which grows, whole chunks are
// kept; the rest is always read.
//
// # What lies on disk
//
//	FOLDER/key      32 random bytes, for the MACs
//	FOLDER/….db     one SQLite database for each log, by the path of its directory
//
// No name, address or ID is in it: what is looked for are keyed hashes of them.
//
// Memory is bounded by one chunk and some bytes for each chunk of the log.
package index
