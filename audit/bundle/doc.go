// Package bundle takes what an audit log says of one session out of it, with its
// recording, so that somebody who has neither the log nor entry can prove both: an
// outsider, years later, offline.
//
// # What it proves
//
// Each record in a bundle is proven to stand in the log at its place, by an RFC 6962
// inclusion proof to a tree head that the log's key signed and, where there are, witnesses
// cosigned. The recording is held against what those records say: the header that
// session.started knows, the head and the number of segments that session.ended or a restart
// knows, the digest of its sealed key, or where that was sealed to other auditors since, of
// the one that somebody made who could open the recording. So nothing in either was changed, cut or added since
// the log took it.
//
// With a key of a later log the logs before it are proven down from it: by the tree head in each
// one's first record, which the key of the log before signed. Where that has records which are
// lost, what is left is proven to an earlier tree head by that key, which Report says.
//
// It doesn't prove that the log has no other record about the session: only the log
// does (package audit). Nor whose log it is: the keys in a bundle come from who made it.
// Whoever verifies holds it against keys that they have from elsewhere; one that the log
// has changed before is as good. The tree head is by the last key that the bundle tells of: one
// by a key that the log has changed since is refused, as whoever still has that key makes any.
// Who knows of no change can't tell: after a theft auditors need the new key at once.
//
// # Files
//
// A bundle is a tar file (POSIX pax), of regular files, in this order:
//
//	README.txt                what this is and how to check it, for somebody without entry
//	bundle                    "entry.bundle/v1", the session's ID, the log's public key (a C2SP
//	                          signed-note verifier key) and those of witnesses, a line each
//	keys                      the changes of the log's key up to the tree head, each a signed note
//	                          of nine lines (package audit); not there where there is none
//	records/SEQ.tlog-proof    one record each, SEQ its number in the log, 12 digits, rising
//	next/NN/keys              where the session is of a log before, which was lost in part: those
//	                          after it, 01 the one right behind; the key, and below it the changes
//	next/NN/records/SEQ.tlog-proof  the first record of that log, an auditor's word with which tree
//	                          head the one before it ended, and what else it has of the session
//	recording/ID.rec          as package recording has it, without what a crash left behind its
//	                          last segment; neither of these two where only the records are there
//	recording/ID.key          its sealed key
//
// A record is a C2SP tlog-proof with the checkpoint that all of a bundle share. Its extra
// data is the record's exact line, the leaf; its index is SEQ-1. One alone is what
// Record.Marshal makes, and ParseRecord reads.
//
// Everything that is read is bounded, and a name that isn't one of these is refused. The
// script verify_bundle.py, beside this file, is a second implementation.
//
// # Sources
//
// https://c2sp.org/tlog-proof, https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note,
// https://c2sp.org/tlog-cosignature, RFC 6962 §2.1.1.
package bundle
