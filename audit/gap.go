package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
)

// Gap is the first record of a log that begins anew, under another origin, where
// the one before can't go on: records of it are lost. Witnesses never see a
// smaller tree, because a new origin is another tree.
type Gap struct {
	Checkpoint string `json:"checkpoint"` // the newest known of the log before, a signed note
	Auditor    string `json:"auditor"`    // public key of who accepted the gap
	Accepted   string `json:"accepted"`   // their signed note about it
}

// beforeName is the folder, in the directory of a log that began anew, with the
// log before; that may have one of its own.
const beforeName = "before"

// publicName is, in there, the file with its public key.
const publicName = "audit.pub"

// gapText is what an auditor signs: that the log called origin begins after this
// checkpoint, for this reason.
func gapText(origin, checkpoint, reason string) string {
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return base64.StdEncoding.EncodeToString(h[:])
	}
	return "entry audit log begins anew\n" + origin + "\n" + sum(checkpoint) + "\n" + sum(reason) + "\n"
}

// GapReport is what a gap says, for those who decide whether to accept it too.
type GapReport struct {
	ID      string    `json:"id"`      // names exactly this gap
	Origin  string    `json:"origin"`  // of the log before
	Size    uint64    `json:"size"`    // records that it is known to have had
	Auditor string    `json:"auditor"` // name and hash of the key that accepted the gap
	Reason  string    `json:"reason"`
	Time    time.Time `json:"time"`
}

// String is one line for people.
func (g GapReport) String() string {
	return fmt.Sprintf("gap %s: the log begins anew at %s, after %d records of the log %s; accepted by the key %s: %s",
		g.ID, plain.Time(g.Time), g.Size, plain.Word(g.Origin), plain.Word(g.Auditor), plain.Text(g.Reason))
}

// gapOf checks the first record of the log called origin; nil where it is none of
// a gap.
func gapOf(e Event, origin string) (*GapReport, error) {
	if e.Type != LogGap {
		return nil, nil
	}
	if e.Gap == nil {
		return nil, errors.New("says nothing of the log before")
	}
	v, err := note.NewVerifier(e.Gap.Auditor)
	if err != nil {
		return nil, errors.New("names no auditor's key")
	}
	n, err := note.Open([]byte(e.Gap.Accepted), note.VerifierList(v))
	if err != nil || n.Text != gapText(origin, e.Gap.Checkpoint, e.Detail) {
		return nil, errors.New("isn't signed by the auditor's key that it names")
	}
	before, _, _ := strings.Cut(e.Gap.Checkpoint, "\n")
	text, _, _ := strings.Cut(e.Gap.Checkpoint, "\n\n")
	c, err := parseCheckpoint(text+"\n", before)
	if err != nil {
		return nil, fmt.Errorf("has a checkpoint of the log before that %w", err)
	}
	id := sha256.Sum256([]byte(e.Gap.Checkpoint + "\x00" + e.Gap.Accepted))
	return &GapReport{ID: hex.EncodeToString(id[:8]), Origin: before, Size: c.size, Auditor: fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()), Reason: e.Detail, Time: e.Time}, nil
}

// Before are the directories of the logs before the one in dir, the first first.
func Before(dir string) []string {
	const most = 100 // more gaps than any site has
	var out []string
	for range most {
		dir = filepath.Join(dir, beforeName)
		if _, err := os.Stat(filepath.Join(dir, eventsName)); err != nil {
			break
		}
		out = append([]string{dir}, out...)
	}
	return out
}
