package audit

import (
	"fmt"
	"time"

	"entry/audit/plain"
	"entry/audit/segment"
)

// VerifyOptions are Verify's.
type VerifyOptions struct {
	// PublicKey is the verifier key, as GenerateKey returns it. Required.
	PublicKey string
	// Witness is the directory of witnessed checkpoints. Empty means that
	// nothing is known of any.
	Witness string
	// Known is what a database knows of the log; zero for nothing. It has to be read
	// before the call: a running server's log is never behind it.
	Known Position
	// Since is a signed checkpoint of an earlier verification, all of what it covers being
	// known to hold: then only what came after is read. Nil means that nothing is known.
	Since []byte
	// Copies says that where the files lie is nothing to the server that wrote them.
	Copies bool
}

// Report says what Verify found to hold.
type Report struct {
	Events      uint64    // records that the checkpoint covers, all consistent
	Last        time.Time // of the last of them
	Root        [32]byte  // over them
	Witnessed   uint64    // the first so many are covered by a witnessed checkpoint
	WitnessedAt time.Time // of the last witnessed record
	Where       string    // where the witness lies, as "xfs on /dev/sdb1, mounted at /srv"; "" where that can't be told
	NoWitness   string    // why the witness is none: see the function; "" where it is one

	// Since is how many of them were known to hold, and weren't read again.
	Since uint64
	// Absent are records of which no segment is there. Which they were is proven, by the
	// hashes that the log keeps of them, and what is put back is held against that; what
	// they say isn't known.
	Absent []segment.Absent

	// Dropped is the last of what the log says of its records that it removed, since they were
	// older than it is kept; zero for none. Which they were is proven as of Absent, of which
	// they are.
	Dropped Dropped

	// Uncovered is what stands beyond the checkpoint; zero for nothing. It was never
	// acknowledged and is no part of the log: a crash leaves such lines, a copy that
	// was made while the server wrote has them, and anybody can add some. The next
	// start sets them aside.
	Uncovered Uncovered
	// Aside is what starts have set aside of such lines.
	Aside []Aside
	// WitnessCut says that the witness's last checkpoint isn't whole, as a crash
	// leaves it.
	WitnessCut bool

	// Gaps are there where the log begins anew after one that can't go on: what that
	// had beyond its copy is lost, and so on for those before it, the first first. Who
	// verifies decides whether each is accepted.
	Gaps []GapReport

	// Keys are the changes of the log's key, the first first.
	Keys []KeyReport
}

// String states the result in one line and no more than is known.
func (r Report) String() string {
	s := plain.Count(int(r.Events), "event") + " consistent"
	if r.Since > 0 {
		s += fmt.Sprintf(", the first %d by the checkpoint that was given", r.Since)
	}
	switch {
	case r.Witnessed == 0:
		s += "; not witnessed"
	case r.NoWitness != "":
		s += fmt.Sprintf("; no witness: %s; its checkpoints agree up to seq %d (%s)", r.NoWitness, r.Witnessed, plain.Time(r.WitnessedAt))
	case r.Witnessed < r.Events:
		s += fmt.Sprintf("; not witnessed since seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
	default:
		s += fmt.Sprintf("; witnessed up to seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
		if r.Where != "" {
			s += " on another file system: " + r.Where
		}
	}
	if r.WitnessCut {
		s += "; the witness's last checkpoint isn't whole, as a crash leaves it"
	}
	return s
}
