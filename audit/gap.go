package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
	"entry/audit/segment"
)

// Gap is the first record of a log that begins anew, under another origin, where
// the one before can't go on: records of it are lost. Witnesses never see a
// smaller tree, because a new origin is another tree.
type Gap struct {
	Checkpoint string `json:"checkpoint"`        // the newest known of the log before, a signed note
	Known      uint64 `json:"known,omitempty"`   // records that the database knew the log before to have had
	Earlier    string `json:"earlier,omitempty"` // IDs of the gaps of the logs before, joined by spaces
	Auditor    string `json:"auditor"`           // public key of who accepted the gap
	Accepted   string `json:"accepted"`          // their signed note about it
	// Reason and At are the record's, where a LogDropped has it, which dropped that record.
	Reason string     `json:"reason,omitempty"`
	At     *time.Time `json:"at,omitempty"`
}

// beforeName is the folder, in the directory of a log that began anew, with the
// log before; that may have one of its own.
const beforeName = "before"

// publicName is, in there, the file with its public key.
const publicName = "audit.pub"

// text is what an auditor signs: that the log with this public key begins after g,
// for this reason.
func (g *Gap) text(key, reason string) string {
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return base64.StdEncoding.EncodeToString(h[:])
	}
	return fmt.Sprintf("entry audit log begins anew\n%s\n%s\n%d\n%s\n%s\n", key, sum(g.Checkpoint), g.Known, sum(g.Earlier), sum(reason))
}

// GapReport is what a gap says, for those who decide whether to accept it too.
type GapReport struct {
	ID      string    `json:"id"`                // names exactly this gap
	Origin  string    `json:"origin,omitempty"`  // of the log before
	Size    uint64    `json:"size,omitempty"`    // records that it is known to have had
	Auditor string    `json:"auditor,omitempty"` // name and hash of the key that accepted the gap
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	// Missing says what isn't here of a log before, with nothing else but the ID set.
	Missing string `json:"missing,omitempty"`
}

// String is one line for people.
func (g GapReport) String() string {
	if g.Missing != "" {
		return fmt.Sprintf("gap %s: %s", g.ID, plain.Text(g.Missing))
	}
	return fmt.Sprintf("gap %s: the log begins anew at %s, after %d records of the log %s; accepted by the key %s: %s",
		g.ID, plain.Time(g.Time), g.Size, plain.Word(g.Origin), plain.Word(g.Auditor), plain.Text(g.Reason))
}

// numbered is how a log is called that began anew.
var numbered = regexp.MustCompile(`/([0-9]+)$`)

func gapID(what ...string) string {
	id := sha256.Sum256([]byte(strings.Join(what, "\x00")))
	return hex.EncodeToString(id[:8])
}

// gapOf checks the first record of the log with this public key; nil where it is none
// of a gap.
func gapOf(e Event, key string) (*GapReport, error) {
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
	if err != nil || n.Text != e.Gap.text(key, e.Detail) {
		return nil, errors.New("isn't signed, for the log with this key, by the auditor's key that it names")
	}
	if _, err := note.Open([]byte(e.Gap.Checkpoint), note.VerifierList(v)); err == nil || e.Gap.Auditor == key {
		return nil, errors.New("is signed by a log's own key, not by an auditor")
	}
	before, _, _ := strings.Cut(e.Gap.Checkpoint, "\n")
	text, _, _ := strings.Cut(e.Gap.Checkpoint, "\n\n")
	c, err := parseCheckpoint(text+"\n", before)
	if err != nil {
		return nil, fmt.Errorf("has a checkpoint of the log before that %w", err)
	}
	return &GapReport{ID: gapID(e.Gap.Checkpoint, e.Gap.Accepted), Origin: before, Size: max(c.size, e.Gap.Known),
		Auditor: nameOf(v), Reason: e.Detail, Time: e.Time}, nil
}

// Follows checks the first record of a log that began anew, which has these keys, and returns
// the newest checkpoint of the log before, a signed note. The error is the predicate of a
// sentence.
func Follows(e Event, k *Keys) (checkpoint []byte, err error) {
	if e.Seq != 1 || e.Type != LogGap {
		return nil, errors.New("isn't the first one of a log that began anew")
	}
	if _, err := gapOf(e, k.First()); err != nil {
		return nil, err
	}
	return []byte(e.Gap.Checkpoint), nil
}

// KeyBefore is the public key of a log before, in its directory (Before).
func KeyBefore(dir string) (string, error) { return ReadKey(filepath.Join(dir, publicName)) }

// carriedGap is the record of a log's gap, as an event has it that drops records.
func carriedGap(e Event) (first Event, ok bool) {
	if e.Gap == nil || e.Gap.At == nil {
		return first, false
	}
	g := *e.Gap
	first = Event{Seq: 1, Time: *g.At, Type: LogGap, Detail: g.Reason}
	g.Reason, g.At = "", nil
	first.Gap = &g
	return first, true
}

// carryGap is the gap of the log in dir, as an event has it that drops its first record; nil for
// none.
func carryGap(dir, key string) *Gap {
	own, g := firstGap(dir, key)
	if own == nil {
		return nil
	}
	c := *g
	c.Reason, c.At = own.Reason, &own.Time
	return &c
}

// firstGap is the gap with which the log in dir begins, as far as that can be read: its first
// record, or what the last event has that dropped that.
func firstGap(dir, key string) (*GapReport, *Gap) {
	var first Event
	for e, err := range Read(dir) {
		if err == nil && e.Seq == 1 {
			first = e
		}
		break
	}
	if first.Seq == 0 {
		for e, err := range ScanWhole(dir, LogDropped) {
			if err == nil {
				if c, ok := carriedGap(e); ok {
					first = c
				}
			} else if !Told(err) {
				break
			}
		}
	}
	if g, err := gapOf(first, key); err == nil {
		return g, first.Gap
	}
	return nil, nil
}

// gapsBefore are the gaps of the logs before the one in dir that can be read, the
// first first.
func gapsBefore(dir string) (all []GapReport) {
	for _, dir := range Before(dir) {
		key, err := ReadKey(filepath.Join(dir, publicName))
		if err != nil {
			continue // what is missing of it is said by who knows of it
		}
		if k, err := keysIn(dir, key); err == nil {
			key = k.First()
		}
		if g, _ := firstGap(dir, key); g != nil {
			all = append(all, *g)
		}
	}
	return all
}

// gaps are all that the log in dir has, the first first: its own and the earlier ones,
// whether or not the logs before are still beside it.
func gaps(dir string, own *GapReport, g *Gap) (all []GapReport) {
	if own == nil {
		return nil
	}
	found := gapsBefore(dir)
	for _, id := range strings.Fields(g.Earlier) {
		if !slices.ContainsFunc(found, func(g GapReport) bool { return g.ID == id }) {
			all = append(all, GapReport{ID: id, Missing: "an earlier one; the log that begins with it isn't in " + filepath.Join(dir, beforeName) + ", or not as it was"})
		}
	}
	all = append(all, found...)
	if len(Before(dir)) == 0 {
		all = append(all, GapReport{ID: gapID("missing", own.ID), Missing: "the log before, " + own.Origin + ", isn't in " + filepath.Join(dir, beforeName)})
	}
	return append(all, *own)
}

// Before are the directories of the logs before the one in dir, the first first.
func Before(dir string) []string {
	const most = 100 // more gaps than any site has
	var out []string
	for range most {
		dir = filepath.Join(dir, beforeName)
		if !segment.Exist(dir) {
			break
		}
		out = append([]string{dir}, out...)
	}
	return out
}

// nameOf is what a log is called, with the hash of its key.
func nameOf(key interface {
	Name() string
	KeyHash() uint32
}) string {
	return fmt.Sprintf("%s+%08x", key.Name(), key.KeyHash())
}
