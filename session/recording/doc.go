// Package recording is the format of recordings of sessions and reads them:
// what a user saw and did on a target, so that the holders of an auditor's key,
// and nobody else, can replay it, and anybody can check that nothing was
// changed. It makes the bytes of a recording, too (NewSealer); package spool
// writes them, package play shows them to people.
//
// Don't use it for payload of file transfers, which would fill the spool with
// the lab's data, nor as an event log: package audit is that.
//
// # Guarantees
//
// Reading is bounded whatever the file says, and nothing is repaired or
// written. A segment's number is never sealed twice. Everything here works on
// any system: on the server's spool or on a copy.
//
// What a recording can't say: the order between output and errors, and between
// data and requests, which SSH doesn't define either.
//
// # Files
//
// All are in one directory, mode 0600. ID is the session's ULID.
//
//	ID.rec      the recording; a process that writes it holds flock(2) on it
//	ID.key      its key, an age file (https://c2sp.org/age) over 32 bytes, for
//	            the lab's auditors. Not part of the chain: it can be wrapped
//	            anew, and removing it shreds the recording while the chain
//	            stays verifiable. Durable before the first segment
//	ID.key.next the key as it was wrapped anew, before it takes ID.key's place
//	ID.aborted  JSON: what a restart found of a recording without final segment
//	ticks/DAY   the lists of changes of that UTC day, one after the other
//
// # ID.rec, version 1
//
// Integers are big-endian. hash is SHA-256; || joins bytes.
//
//	header line   JSON of Header in this package's form, starting
//	              {"entry_recording":1, and ending in LF; at most 16 KiB
//	header hash   32 bytes: hash(header line with its LF)
//	segment 0
//	segment 1 …   the last one has the final flag; nothing follows it
//
// A segment:
//
//	offset size
//	0      4    "ERS1"
//	4      1    flags: 1 is final, others are errors
//	5      4    index, from 0
//	9      8    µs from Header.Start to the cut; never falls
//	17     4    n, 16 ≤ n ≤ about 2.1 MiB
//	21     n    AES-256-GCM ciphertext and 16-byte tag
//	21+n   4    n again, so that a listing can read the last segment alone
//	25+n   32   chain hash: hash(0x01 || previous || bytes 0 to 25+n), where
//	            previous is the chain hash before, for segment 0 the header hash
//
// The chain runs over ciphertext, so that it is checked without a key. Its last
// hash, the recording's head, goes into session.ended, heads on the way into
// ticks, the header hash into session.started: together they tell every
// change, also one by somebody who computed a new chain.
//
// # Keys
//
//	K           32 random bytes, what ID.key holds
//	commitment  HKDF(K, salt ID, "entry/recording/v1 key commitment"), in the
//	            header as hex; checked before anything is opened
//	state 0     HKDF(K, salt header hash, "entry/recording/v1 chain")
//	key i       HKDF-Expand(state i, "entry/recording/v1 segment")
//	state i+1   HKDF-Expand(state i, "entry/recording/v1 next")
//
//	rewrap      HKDF(K, salt ID, "entry/recording/v1 rewrap"), the seed of an Ed25519
//	            key (RFC 8032) whose public half is in the header as hex
//
// Who wraps K anew signs with that key, over lines that each end in LF:
//
//	entry.rewrap/v1
//	ID
//	from SHA-256      of ID.key as it was, hex
//	to SHA-256        and as it is to be
//	set SET COUNT     of the auditors from then on: SET the first 16 bytes, in hex, of
//	                  hash(their fingerprints, sorted, each with an LF)
//	in FINGERPRINT    of each one that came in, at most 24
//	out FINGERPRINT   and that went out
//
// A fingerprint is the first 16 bytes, in hex, of hash(the public key's text). The header
// has those of the first auditors. So only who could open a recording can say that it was
// wrapped anew; that what they made opens, and for whom, nobody else can see.
//
// HKDF is RFC 5869 with SHA-256 and 32 bytes of output. K and each state and
// key are overwritten once the next is derived: who breaks into the running
// process can read what follows, not what was sealed before. (Go may have
// copied them; this is best effort.)
//
// Segment i is sealed as in STREAM (https://eprint.iacr.org/2015/189):
//
//	nonce       11-byte counter i || final flag, 1 byte
//	additional  header hash || previous chain hash || bytes 0 to 21
//	plaintext   the frames in zstd frames (RFC 8878), or nothing if there are none;
//	            at most 2 MiB + 64 KiB of frames
//
// # Frames
//
// Frames follow each other without padding, and never cross a segment. uvarint
// is encoding/binary's (as in Protocol Buffers).
//
//	uvarint   µs since the frame before, for the first one since Header.Start
//	uvarint   channel, 32 bits
//	1 byte    Kind
//	uvarint   length, at most 2 MiB
//	          as many bytes
//
// What frames of bytes hold stands at Kind. Of what a client asks for (Request, Resize)
// and how a program ended (Exit), each byte is kept that the other side gets: its payload
// can be made of the frame again. In JSON, what a peer wrote is a string, or where it is
// no UTF-8 {"raw": base64}; recordings of older versions have U+FFFD there instead, or a
// question mark, and neither pixels nor modes of terminals. Readers show such a byte as
// \xe5. Fields may be added to an object: whoever reads it skips those it doesn't know.
//
// # Ticks
//
// A list has one line for each recording that got segments since the last
// tick, sorted by ID: "ID SEGMENTS HEAD\n", the head in hex. Its root is the
// Merkle tree hash of RFC 6962, section 2.1, over the lines with their LF.
package recording
