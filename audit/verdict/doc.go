// Package verdict judges an audit log by all that it can be held against: its own tree,
// the checkpoints that a second directory and a database know, what witnesses have
// cosigned, and the recordings that it tells of. It says what was found, in words and as
// JSON, and what to do about what is wrong.
//
// # Guarantees
//
// A verdict says no more than was found. A log is held against its recordings only once it
// is sound itself. What nobody accepted is an error: a gap that isn't named, records that
// aren't here and could excuse what is missing, fewer cosignatures than are needed. Nothing
// is changed.
//
// When not to use it: for one recording (evidence.VerifyOne), and for what is proven to an
// outsider without the log (audit/bundle).
package verdict
