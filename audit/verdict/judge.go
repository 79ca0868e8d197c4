package verdict

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/segment"
	"entry/audit/witness"
)

// Case is a log, with what it is held against.
type Case struct {
	Dir        string
	Options    audit.VerifyOptions // PublicKey is required
	Recordings string              // the directory of its recordings; "" for none
	Witnesses  []note.Verifier     // who should have cosigned it
	Need       int                 // how many of them have to; 0 for all

	// What whoever asks accepts: gaps, by their IDs, and records that aren't here.
	Gaps   []string
	Absent []segment.Absent
}

// Verdict is what was found.
type Verdict struct {
	Report     audit.Report
	Reach      []witness.Reach // up to where each witness vouches for it
	Recordings evidence.Report

	c     Case
	sound bool                 // the log by itself
	short *witness.Unwitnessed // too few witnesses vouch for it
	err   error
}

// ErrNoLog says that there is no log, nor a witness of one. It is an fs.ErrNotExist.
var ErrNoLog = fmt.Errorf("there is no audit log here, and no witness of one: %w", fs.ErrNotExist)

// Judge judges it. An error about what was judged stands in the verdict; the one here is
// ErrNoLog alone.
func (c Case) Judge() (v Verdict, err error) {
	if !segment.Exist(c.Dir) {
		if _, err := os.Stat(filepath.Join(c.Options.Witness, "checkpoints")); c.Options.Witness == "" || err != nil {
			return v, ErrNoLog
		}
	}
	v.c = c
	v.Report, v.err = audit.Verify(c.Dir, c.Options)
	if v.err == nil {
		v.err = v.cosigned()
	}
	v.sound = v.err == nil
	if v.sound && c.Recordings != "" {
		v.Recordings, v.err = evidence.Verify(c.Dir, c.Recordings, c.Absent...)
	}
	return v, nil
}

// cosigned holds a consistent log against what the witnesses have cosigned.
func (v *Verdict) cosigned() (err error) {
	c := v.c
	if len(c.Witnesses) == 0 {
		return nil
	}
	need := c.Need
	if need == 0 {
		need = len(c.Witnesses)
	}
	v.Reach, err = witness.Reached(c.Dir, c.Options.PublicKey, v.Report, c.Witnesses, need)
	if errors.As(err, &v.short) {
		return nil // it comes after what else is to be said
	}
	return err
}

// WholeRead tells that the whole log was read although a checkpoint of an earlier
// verification was given: the file of hashes doesn't lead on from that.
func (v Verdict) WholeRead() bool {
	return v.sound && v.c.Options.Since != nil && v.Report.Since == 0
}

// Wrong is what is wrong, and what to do about it.
type Wrong struct {
	Err  error
	Todo string
}

func (w *Wrong) Error() string { return w.Err.Error() }
func (w *Wrong) Unwrap() error { return w.Err }

// Hint is what to do about it.
func (w *Wrong) Hint() string { return w.Todo }

// Misused is false: it is the log, or what lies beside it.
func (w *Wrong) Misused() bool { return false }

func wrongf(todo, format string, args ...any) error {
	return &Wrong{fmt.Errorf(format, args...), todo}
}

// Err is nil where the log holds, and otherwise the worst of what is wrong with it: a
// *Wrong, where there is anything to be done about that.
func (v Verdict) Err() error {
	switch {
	case v.err != nil:
		var m *evidence.Mismatch
		if errors.As(v.err, &m) && m.Kind == evidence.Unknown && len(v.Report.Gaps) > 0 {
			return &Wrong{v.err, "a recording from the time of a gap stays unknown, since its records are lost: move its files to a directory of their own, where entry sessions reads them by --from"}
		}
		return advised(v.err)
	case v.short != nil:
		return &Wrong{v.short, "entry audit search --type alarm.witness says since when a witness couldn't be reached; once it can, the server has it cosign all"}
	}
	return v.unnamedGaps()
}

// advised adds to what is wrong what to do about it.
func advised(err error) error {
	var bad *audit.BadRecord
	var behind *audit.Behind
	if errors.As(err, &bad) && bad.Remade() {
		return &Wrong{err, "move no segment away before the server has started again: that makes the file anew"}
	}
	if errors.As(err, &bad) || errors.As(err, &behind) {
		return &Wrong{err, "keep these files as they are, copy them away, and compare with the witness directory and backups"}
	}
	var m *evidence.Mismatch
	if errors.As(err, &m) && m.Kind == evidence.Unended {
		return &Wrong{err, "start the server, which puts on record how the crash left it; then this holds it against that"}
	}
	if m != nil && m.Mendable() {
		return &Wrong{err, "seal it anew, from the key that it has now: entry sessions rewrap where an auditor is, and --take here"}
	}
	if m != nil && len(m.Perhaps) > 0 {
		return &Wrong{err, "put those segments into the folder archive beside the log and verify again; if you know that they say so, accept it: " + absentFlags(m.Perhaps)}
	}
	return err
}

// unnamedGaps fails where the log has gaps that nobody accepted.
func (v Verdict) unnamedGaps() error {
	var unnamed []string
	for _, g := range v.Report.Gaps {
		if !slices.Contains(v.c.Gaps, g.ID) {
			unnamed = append(unnamed, "--gap "+g.ID)
		}
	}
	switch len(unnamed) {
	case 0:
		return nil
	case 1:
		return wrongf("ask the auditor whose key that is; if you accept the gap too, name it: "+unnamed[0], "the log has a gap: records before its beginning are lost")
	}
	return wrongf("ask the auditors whose keys those are; if you accept the gaps too, name each: "+strings.Join(unnamed, " "), "the log has %d gaps: records before its beginning are lost", len(unnamed))
}
