// Package witness has others vouch for an audit log: cosignatures over its
// checkpoints, by whoever saw it grow.
//
// A log's own key proves who wrote it, not that its writer showed everybody the same
// one: with that key a session can be dropped and all that follows signed again. A
// witness keeps the newest checkpoint that it has cosigned for each log, and
// cosigns another one only with a proof that the log grew to it. What it has
// cosigned can't be taken back by whoever has the log's key and its machine.
//
// # What is here
//
// Witness is such a witness, with its one file of state, and Handler its HTTP side.
// Pusher brings a log's checkpoints to several of them and keeps what they answer in
// the file "cosigned" beside the log. Reached says, from that file and the witnesses'
// public keys alone, up to where each of them vouches for a log.
//
// # Guarantees
//
// A witness never answers with a cosignature before the checkpoint under it is on its
// disk (fsync, rename, fsync of the directory), and never cosigns, for one origin, a
// smaller tree, another tree of the same size, or one that it has no proof for:
// whatever is asked at the same time, and after a crash. Of a log with several keys it never
// cosigns by one after the log has grown by another one that followed on it, whichever lines
// stand in its file of logs. A state that is missing or
// isn't what the witness's own key has signed keeps it from starting.
//
// A Pusher loses nothing and holds nothing up: what couldn't be cosigned now is
// covered by the next checkpoint, since each covers all before it. For that reason the
// file "cosigned" needn't grow for ever: of what is older than a day one checkpoint an
// hour stays, and the newest of each witness.
//
// # When not to use it
//
// A witness isn't a copy of the log: it has 32 bytes of it, so it proves what it saw
// and can't give back what was lost.
//
// # Sources
//
// https://c2sp.org/tlog-witness (the protocol), https://c2sp.org/tlog-cosignature
// (Ed25519, timestamped; witnesses elsewhere may use ML-DSA-44),
// https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note, RFC 6962 §2.1.2
// (proofs).
package witness
