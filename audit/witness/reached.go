package witness

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
)

// Lag is how much of a log's end may be without cosignatures where nothing is wrong: a
// server pushes within seconds, and what is killed pushes with its next start.
const Lag = time.Minute

// Unwitnessed says that fewer witnesses than are needed vouch for a log's newest
// records.
type Unwitnessed struct {
	Size        uint64    // the first so many are vouched for by enough of them
	Since, Last time.Time // of the first record beyond them where Size isn't 0 and that is here, and of the last
	Need        int
}

func (u *Unwitnessed) Error() string {
	if u.Size == 0 {
		return fmt.Sprintf("no record is vouched for by %d of the witnesses: whoever has the log's key could have changed them all", u.Need)
	}
	if u.Since.IsZero() {
		return fmt.Sprintf("the records from seq %d on (up to %s) are vouched for by fewer than %d of the witnesses: whoever has the log's key could have changed them",
			u.Size+1, plain.Time(u.Last), u.Need)
	}
	return fmt.Sprintf("the records from seq %d on (%s to %s) are vouched for by fewer than %d of the witnesses: whoever has the log's key could have changed them",
		u.Size+1, plain.Time(u.Since), plain.Time(u.Last), u.Need)
}

// Reached holds a log that audit.Verify has found consistent, with report rep and
// public key key, against what the witnesses with these keys have cosigned. A log that
// isn't the one that a witness saw is a *audit.BadRecord. *Unwitnessed, beside the
// result, says that fewer than need vouch for anything, or for records that are more
// than Lag older than the newest.
func Reached(dir, key string, rep audit.Report, keys []note.Verifier, need int) ([]Reach, error) {
	origin, _, _ := strings.Cut(strings.TrimSpace(key), "+")
	all, err := newest(dir, origin, keys)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		ok, err := r.agrees(dir, rep)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, contradicted(dir, r, keys[i], rep)
		}
	}
	return all, enough(dir, rep, all, need)
}

// agrees tells whether the log is one that grew from what the witness saw.
func (r Reach) agrees(dir string, rep audit.Report) (bool, error) {
	switch {
	case r.Size == 0:
		return true, nil
	case r.Size >= rep.Events:
		return r.Size == rep.Events && r.root == rep.Root, nil
	}
	// The cache of hashes proves it at once; where it is damaged or lies, the lines do.
	if proof, err := audit.Prove(dir, r.Size, rep.Events); err == nil &&
		tlog.CheckTree(proof, int64(rep.Events), rep.Root, int64(r.Size), r.root) == nil {
		return true, nil
	}
	roots, err := audit.RootsAt(dir, r.Size)
	if err != nil {
		return false, err
	}
	return roots[0] == r.root, nil
}

// contradicted names the records that aren't those that a witness saw: beyond the
// newest of its checkpoints that agrees, up to the first that doesn't.
func contradicted(dir string, r Reach, key note.Verifier, rep audit.Report) error {
	who := fmt.Sprintf("the witness %s cosigned %d records at %s", plain.Word(r.Name), r.Size, plain.Time(r.At))
	if r.Size > rep.Events {
		return audit.Bad(dir, rep.Events+1, 0, "is missing: the log was put back to an older state, "+who)
	}
	var sizes []uint64
	var roots []tlog.Hash
	err := eachBy(dir, key, func(e entry) error {
		h, err := parseHead(e.text)
		if err == nil && h.size <= rep.Events && (len(sizes) == 0 || h.size > sizes[len(sizes)-1]) {
			sizes, roots = append(sizes, h.size), append(roots, h.root)
		}
		return nil
	})
	if err != nil {
		return err
	}
	have, err := audit.RootsAt(dir, sizes...)
	if err != nil {
		return err
	}
	from, to := uint64(1), r.Size
	for i := range sizes {
		if have[i] != roots[i] {
			to = sizes[i]
			break
		}
		from = sizes[i] + 1
	}
	if from == to {
		return audit.Bad(dir, from, 0, "is not the record that the witness "+plain.Word(r.Name)+" cosigned: it was changed, or others dropped or added, and the log signed again")
	}
	return audit.Bad(dir, from, to, who+", and they were others: at least one was changed, added or dropped, and the log signed again")
}

// enough asks for need witnesses behind every record that is older than Lag.
func enough(dir string, rep audit.Report, all []Reach, need int) error {
	sizes := make([]uint64, 0, len(all))
	for _, r := range all {
		sizes = append(sizes, r.Size)
	}
	slices.Sort(sizes)
	covered := uint64(0)
	if need <= len(sizes) {
		covered = sizes[len(sizes)-need]
	}
	if need == 0 || covered >= rep.Events {
		return nil
	}
	if covered == 0 {
		return &Unwitnessed{Last: rep.Last, Need: need}
	}
	first, err := audit.EventAt(dir, covered+1)
	var absent *segment.Absent
	if errors.As(err, &absent) { // it is old enough to have been moved away
		return &Unwitnessed{Size: covered, Last: rep.Last, Need: need}
	}
	if err != nil {
		return err
	}
	if rep.Last.Sub(first.Time) <= Lag {
		return nil
	}
	return &Unwitnessed{Size: covered, Since: first.Time, Last: rep.Last, Need: need}
}

// eachBy calls f with every entry of dir's file that names a key of v's.
func eachBy(dir string, v note.Verifier, f func(entry) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := segment.OpenIn(root, CosignedName)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return each(file, func(e entry) error {
		sigs, ok := e.signatures()
		if !ok {
			return badEntry(e.number, "isn't a signed note")
		}
		if slices.ContainsFunc(sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() }) {
			return f(e)
		}
		return nil
	})
}
