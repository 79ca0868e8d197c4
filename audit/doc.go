// Package audit keeps the log of what happened at the jump host: typed events,
// one JSON object a line, in an append-only RFC 6962 Merkle tree whose signed
// head is published after every batch. It is a row of segments (package segment).
//
// # Guarantees
//
// Append returns nil only after the events are on disk (fdatasync), the signed
// checkpoint that covers them has replaced the one before (write, fsync,
// rename, fsync of the directory) and, where a witness directory is configured,
// that checkpoint is durable there too. What no checkpoint covers was therefore never
// acknowledged, and never becomes a part of the log: a start sets it aside, and readers
// stop before it. Events of one Append stand together and
// in order; the sequence number is the line number, starting at 1. A failure to
// write, sync, rename or witness is final: every later Append returns it, and
// Failed is closed. There is no setting that makes the log fail open. A full disk
// alone isn't final: what found no room is taken back, and ErrFull says so.
//
// Durability is of names: before every batch, and every second, each file has to be
// where it was, as long as it was written, and to begin and end with what was
// written. What was renamed, removed, replaced, cut, overwritten or mounted over ends
// the log, with an event alarm.file-gone as the last one of what is left. So nothing
// may rotate it. What was changed in the middle alone, Verify finds.
//
// Under Options.Reserve the log goes on and says so (Space, SpaceChanged,
// alarm.log-space): what depends on it begins nothing, then ends what runs, while
// there still is room for what has to be written about that. Free files (inodes) count
// as bytes do; where none is left, a spare one takes the next checkpoint, and changes
// places with the one before, and the log goes on in the segment that it has.
//
// # Segments
//
// A segment is sealed when it is large (Options.Segment) or of a day before: its file gets
// the name of its first record, and another one its place. It is never written again. Until
// the next one has a record that is signed the log is as it was, so a crash in between
// leaves nothing to repair. Each but the first begins with a record log.segment, which says
// how many records the one before has: so none can lose its beginning or its end and pass
// for another, or for one that was moved away.
//
// Open reads the last segment alone. From what DIR/hashes has of the records before, which
// was made durable when they were sealed, its lines have to lead to the signed root: that
// proves both. Where they don't, Open reads all. Verify reads all that are there, on all
// cores; for records that aren't (segment.Absent) their hashes stand in, and the signed
// root proves those. So what the file has of sealed segments is held against them by Verify,
// and looked through after each start, which mends what it can. VerifyOptions.Since has it
// go on from a checkpoint as a start does. Whoever reads events is told which aren't there, and goes on behind them (Told).
// Search passes over what an Index knows not to be asked for; package index has one, of the reader's own.
//
// # What lies on disk
//
//	DIR/events.jsonl      the last segment; the RFC 6962 leaf is the exact line, without its newline
//	DIR/events-FIRST.jsonl  a sealed segment, by the number of its first record, 12 digits; .gz, .zst
//	DIR/archive/          sealed segments may lie here too
//	DIR/events.new        the next segment, in the moment in which one is sealed
//	DIR/checkpoint        the signed tree head (C2SP tlog-checkpoint, signed note)
//	DIR/checkpoint.spare  a file for the next one, where the disk has no other; it may hold an older one
//	DIR/keys              the changes of the log's key: below. Not there before the first
//	DIR/hashes            tlog's stored hashes, 32 bytes each, rebuilt from the lines when missing or
//	                      wrong; it stands in for lines that aren't here
//	DIR/lock              flock of the one writer
//	DIR/aside.*           what a start found beyond the checkpoint, and set aside
//	WITNESS/checkpoints   every checkpoint ever signed, appended
//	DIR/before/           the log before, where this one begins anew; audit.pub is its key
//	DIR.next/             a log that is about to begin anew; nothing starts beside it
//
// Every byte of a segment is printable ASCII or a newline: anything else that
// a peer sent is escaped as \uXXXX, so that no listing can carry a control byte.
//
// # What verifying can and can't say
//
// Verify needs the files and the public key. It finds any change to a record
// that a checkpoint covers. Somebody who can write DIR can put back an older
// log together with its older checkpoint: only the witness directory shows
// that, so it belongs on another disk or host, and Report says up to where the
// log is witnessed. Somebody who holds the signing key can write a new history;
// the checkpoints already witnessed still contradict it.
//
// # Where records are lost
//
// A log that is older than its witness isn't opened: that could be an attack. Where
// no newer copy is left, an auditor signs so, and BeginAnew makes another log, with
// a key and an origin of its own: no witness is asked for a smaller tree of the same
// one. Its first record (Gap) has the newest checkpoint of the log before and the gaps
// of those before it, signed for the new log's key. Report shows all for ever; whether
// they are accepted is for whoever verifies. What the logs before say is read as Past.
//
// # Where the key changes
//
// ChangeKey has another key sign the log, from a record log.key on. Both keys sign that
// record's Rekey, as a signed note of nine lines:
//
//	entry audit log changes its key
//	ORIGIN
//	SIZE              records before the change; the next one is its own
//	ROOT              base64, over them: the change is of this history alone
//	KEY BEFORE        public, NAME+HASH+BASE64
//	NEW KEY           of the same name: the origin stays
//
//	— ORIGIN …        by the key before
//	— ORIGIN …        by the new one
//
// A checkpoint of more than SIZE records is by the new key alone, and one of fewer or as many
// by the one before. So whoever trusts one key of a log can follow the others, to both
// sides (Keys). The file keys has these notes one after the other. It is written before the
// checkpoint: what no checkpoint covers is none, and a start takes it out. The records have
// the same, so that it can be made anew; Verify holds both against each other, and names a
// change that isn't signed by both, one of another history, and a log that went on with the
// key before. What a log is called (Log.Name) is by its first key.
//
// Whoever has the key before, and takes the log back to before the change, makes another
// history, as with any signing key: witnesses and the database tell.
//
// # The files
//
// What an event is, and which ones are meant:
//
//	event.go type.go actor.go encode.go   its fields, its one line
//	search.go listing.go repeats.go       selected, told to people, summed
//
// What proves a log:
//
//	tree.go checkpoint.go          the Merkle tree, its signed head
//	keychange.go keys.go           changes of the key, and who signs what
//	gap.go behind.go               a log that begins anew; one that is older than is known
//
// Reading, on any system, beside a writer:
//
//	files.go bad.go                names; what can't be what was written
//	read.go scan.go tail.go        events in order, of some types, the last
//	hear.go before.go              on from where one was, proven as it is read; the logs before
//	holds.go                       which legal holds stand
//	searching.go                   by an index
//	hashes.go prove.go inclusion.go  the file of hashes, and proofs out of it
//
// Verifying, and what a start has in common with that:
//
//	verify.go report.go growing.go aside.go  all of it, beside a writer
//	replay.go frontier.go witness.go         tree and witnessed checkpoints together, from any record on
//	judge.go sweep.go dropped.go             each record, on all cores
//	where.go                                 on which disk a witness lies
//
// Writing, on Linux alone: Log and its one goroutine.
//
//	open.go resume.go setaside.go nowhere.go  a start, and what it refuses
//	log.go commit.go position.go head.go      Append, and how far it is
//	roll.go drop.go rekey.go anew.go past.go  segments, the beginning's end, another key, another log
//	carry.go                                  holds, from segment to segment
//	watch.go space.go tend.go                 files where they were, room, hashes that are right
//	disk.go hands.go lock.go witnessing.go    what it writes with
//	still.go                                  a log that is only looked at
//
// # Where it runs
//
// Reading and verifying work on any system, on the server or on a copy. Opening
// a log for writing is for Linux. The writer is one goroutine; a panic in it
// ends the process (package group). Another looks through the file of hashes after a start.
// Close waits for both.
//
// # When not to use it
//
// It isn't a diagnostic log (events are few, typed and permanent), not a store
// for session contents (package recording seals those) and not a queue.
//
// # Sources
//
// RFC 6962 §2.1 (hashes), https://c2sp.org/tlog-checkpoint and
// https://c2sp.org/signed-note (checkpoint), golang.org/x/mod/sumdb/tlog
// (order of the stored hashes).
package audit
