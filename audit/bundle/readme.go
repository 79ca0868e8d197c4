package bundle

import (
	"fmt"
	"strings"

	"entry/audit/witness"
)

// readme is what somebody reads who gets a bundle and doesn't know entry.
func readme(s Source, id string, by []witness.Cosigned, crashed, before bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `EVIDENCE OF ONE RECORDED SESSION
Session %s

WHAT THIS IS
A jump host called entry stood between a person and a computer that holds protected
data. It kept a log of what happened, each line of which was signed into a tree of
hashes at the time, and a recording of the session. This file has the lines of that log
that are about this one session, each with a proof that it stands in the log,`, id)
	if s.Recordings == "" {
		b.WriteString("\nwithout the recording.\n")
	} else {
		b.WriteString(` and
the recording, encrypted as it was written. Reading the recording needs a secret key
that auditors hold, which isn't here; checking that nothing in it was changed doesn't.
`)
	}
	b.WriteString(`
WHAT CAN BE PROVEN WITH IT
- That each line in "records" was in the log, at the place that its name says, when the
  tree head below it was signed, and hasn't been changed since.
`)
	switch {
	case s.Recordings == "":
	case crashed:
		b.WriteString(`- That the recording is the one that those lines speak of, from its first byte to where
  the server's crash cut it: what the person did after that, and at most a second or two
  before, was never written, and isn't in it.
`)
	default:
		b.WriteString(`- That the recording is the one that those lines speak of, whole from its first byte to
  its last.
`)
	}
	if before {
		b.WriteString(`- That the log which those lines are of was continued by another one: records of it were
  lost, and an auditor signed that. The first record of each later log, in "next", has the
  tree head with which the one before it ended.
`)
	}
	if len(by) > 0 {
		b.WriteString("- That others, independent of the jump host, saw the log in that state:\n")
		for _, c := range by {
			fmt.Fprintf(&b, "  %s at %s.\n", c.Name, c.At.Format("2006-01-02 15:04:05 UTC"))
		}
	}
	fmt.Fprintf(&b, `
WHAT CAN'T BE PROVEN WITH IT
- That the log says nothing else of the session: for that the whole log has to be looked
  at (entry audit verify).
- Whose log it is. The log's public key is

    %s

  Compare it with one that you have from a source that you trust, such as a printed
  record of the institution or the witnesses' operators.
`, s.Key)
	if len(by) == 0 {
		b.WriteString(`- That whoever has the log's signing key didn't make all of it later: no independent
  witness has signed this state of the log.
`)
	}
	b.WriteString(`
HOW TO CHECK IT
With the program entry, on any computer, offline:

    entry verify-bundle THIS-FILE --log-key KEY

KEY being the public key as you have it. Without the program: its script
verify_bundle.py needs Python 3 alone; or anybody who can program
may do it from the published formats:
- records/*.tlog-proof      https://c2sp.org/tlog-proof: the line of the log in base64
                            behind "extra"; its SHA-256 (RFC 6962, section 2.1) leads over
                            the hashes to the root in the tree head
- keys                      where it is there, the log changed its key: each nine lines are
                            signed by the key before and by the new one, and say after how
                            many records; the tree head is signed by the last one
- next/*                    where it is there, the logs after that one: "keys" has the log's
                            key and below it what the file keys has, records are as above;
                            the first one has "checkpoint", the log before's last tree head
- the tree head             https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note
- witnesses' signatures     https://c2sp.org/tlog-cosignature
- recording/*.rec           a line of JSON, 32 bytes with its SHA-256, and segments, each of
                            which ends in a hash over itself and the one before; the line
                            session.ended has the last one as "head"
- recording/*.key           the recording's key, encrypted for the auditors
                            (https://c2sp.org/age); its SHA-256 is in session.started,
                            or in the last recording.rewrapped where that is there: then
                            it was encrypted for other auditors since

HOW TO READ IT
Whoever holds an auditor's key sees what the person saw:

    entry sessions play --from THIS-FILE --identity KEYFILE last
`)
	return b.String()
}
