// Package rewrap seals recordings to other auditors: old ones to whoever became an
// auditor since, and no more to who isn't one any longer.
//
// It is done in two places, since the jump host can't open recordings and no secret key of
// an auditor's belongs there. Where an auditor is, with a copy of the recordings' files, a
// Plan says which are sealed anew, and to whom: that is to be read first, as Tell writes it,
// since the list of auditors comes from the jump host. Seal opens their keys and seals them
// anew, into a file that has nothing secret in it. On the server an operator hands that file in, and bastion/admin puts the keys in
// their places. Each is signed by who could open the recording (recording.Rewrap), so that
// an operator can't pass off anything else.
//
// What it can't do: who was an auditor, and kept a copy of a recording with its key of
// then, opens that copy. Nor does anybody but an auditor see whether a new key opens, and
// for whom: that is on the word of who sealed it.
//
// # The file
//
// JSON, one object a line, each ending in LF; unknown fields are refused:
//
//	{"schema":"entry.rewrap/v1"}
//	{"id":…,"from":…,"to":…,"set":…,"count":…,"in":[…],"out":[…],"proof":…,"sealed":…}
//	{"keys":N}
//
// The second line stands N times, with the fields of recording.Rewrap and, in base64, what
// ID.key is to be. What ends without the last line was cut.
//
// When not to use it: to read recordings (package recording), or for who may open what
// starts from now on (keys/auditors.pub, package auditors).
package rewrap
