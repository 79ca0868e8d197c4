// Package plain makes text for people: what a peer sent, sizes, durations,
// times and tables, so that each looks the same wherever it is shown.
//
// # Guarantees
//
// Whatever goes in, what comes out of its functions has no control character but
// the line feeds of Lines, no C1, nothing that reorders or hides text (bidi
// controls, line and paragraph separators) and no invalid UTF-8. Terminals obey
// such bytes: a user's name, a command or a target's prompt could otherwise
// rewrite what an operator reads. A fuzz test holds every function to that.
//
// Which function to take:
//
//	Word    a value beside others on one line: quoted unless it is one plain word
//	Line    the only thing on its line or in its cell: quoted unless it is ASCII
//	Quote   always quoted, in ASCII
//	Text    a name or comment in its owner's script: what can't be seen is a ?
//	ASCII   what a client prints by itself, and what the log keeps of it
//	Lines   a target's prompts and notices, which may have several lines
//	Shell   a word of a command that is shown to be copied
//	JSON    what programs read, and people see in a terminal
//
// They make at most ten bytes of each byte of s. Clip bounds s itself, and comes
// first: it makes nothing safe.
//
// When not to use it: for terminal output that keeps colours and movement (session/recording/play
// does that), and for parsing.
package plain
