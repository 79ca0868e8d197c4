//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/configs"
	"entry/session/recording"
	"entry/session/recording/rewrap"
)

// takeRewrapped hands in recordings' new keys.
func takeRewrapped(cmd *cobra.Command, file string) (err error) {
	in := io.Reader(cmd.InOrStdin())
	t := taking{cmd: cmd}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return permitted(&exitError{code: exitUsage, err: err})
		}
		defer f.Close()
		for _, err := range rewrap.Read(bufio.NewReader(f)) { // all of it before anything is done
			if err != nil {
				return failf(exitUsage, "%s %w", file, err)
			}
			t.total++
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return failf(exitUsage, "%s can't be read twice: %w; hand it in by --take - < FILE", file, err)
		}
		in = f
	}
	err = withOperator(cmd, func(cfg *configs.Config, o *operator) error {
		t.o, t.dir = o, cfg.Recording.Directory
		if t.keys, err = evidence.ReadKeys(cfg.Audit.Directory); err != nil {
			return hinted(fmt.Errorf("how recordings are sealed stands in the audit log, which can't be read: %w", err), "entry audit verify says more")
		}
		return t.all(bufio.NewReader(in))
	})
	if errors.Is(err, rewrap.ErrNotRewrap) {
		err = hinted(failf(exitUsage, "standard input %w", err), "what came before the end was handed in; make the file anew and hand it in")
	}
	return errors.Join(append(t.bad, err, t.tell())...)
}

// taking is handing in at work.
type taking struct {
	cmd  *cobra.Command
	o    *operator
	dir  string
	keys evidence.Keys

	some                     []admin.Rewrap // to be handed in at once
	bytes, total             int            // total is 0 where it isn't known
	placed, same, gone, live int
	bad                      []error
}

func (t *taking) all(in io.Reader) error {
	bar := newProgress(t.cmd, "placing", t.total)
	bar.on = bar.on && t.total > 0
	defer bar.end()
	for k, err := range rewrap.Read(in) {
		if err != nil {
			return errors.Join(t.flush(), err)
		}
		bar.at(t.placed + t.same + t.gone + t.live + len(t.bad))
		wanted, again := t.wants(k)
		if !wanted {
			continue
		}
		if len(t.some) == admin.MaxRewraps || t.bytes+len(k.Sealed) > admin.MaxRewrapBytes {
			if err := t.flush(); err != nil {
				return err
			}
		}
		t.some, t.bytes = append(t.some, admin.Rewrap{Key: k, Again: again}), t.bytes+len(k.Sealed)
	}
	return t.flush()
}

// wants tells whether a key is to be handed in. One that the log doesn't take for made of
// the recording's present one isn't, nor is one that is in its place already. again tells
// that it was, and that something else was put there.
func (t *taking) wants(k rewrap.Key) (wanted, again bool) {
	refuse := func(err error) (bool, bool) {
		t.bad = append(t.bad, err)
		return false, false
	}
	info, err := recording.Stat(t.dir, k.ID)
	if errors.Is(err, fs.ErrNotExist) {
		t.gone++
		return false, false
	}
	if err != nil {
		return refuse(err)
	}
	if info.State == recording.Damaged {
		return refuse(fmt.Errorf("recording %s is damaged; entry audit verify says more", k.ID))
	}
	s, err := t.keys.Of(t.dir, info.Header)
	var m *evidence.Mismatch
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.gone++
		return false, false
	case errors.As(err, &m) && m.Kind == evidence.OtherKey && s.Key == k.To:
		return true, true
	case errors.Is(err, evidence.ErrUnknownRecording):
		return refuse(fmt.Errorf("recording %s: %w", k.ID, err))
	case err != nil:
		return refuse(err)
	case s.Key == k.To && !s.Pending():
		t.same++
		return false, false
	}
	return true, false
}

// flush hands in what has gathered.
func (t *taking) flush() error {
	if len(t.some) == 0 {
		return nil
	}
	var out []admin.RewrapOutcome
	err := t.o.call(t.cmd.Context(), http.MethodPost, admin.RewrapPath, t.some, &out)
	t.some, t.bytes = nil, 0
	for _, r := range out {
		switch r.Outcome {
		case admin.RewrapPlaced:
			t.placed++
		case admin.RewrapGone:
			t.gone++
		case admin.RewrapLive:
			t.live++
		default:
			t.bad = append(t.bad, fmt.Errorf("the key for recording %s: it %s", plain.Word(r.ID), plain.Line(r.Why)))
		}
	}
	return err
}

// tell says what became of them.
func (t *taking) tell() error {
	w := t.cmd.OutOrStdout()
	_, err := fmt.Fprintf(w, "Sealed anew: %s.\n", plain.Count(t.placed, "recording"))
	errs := t.cmd.ErrOrStderr()
	if t.same > 0 {
		fmt.Fprintf(errs, "entry: note: %s had been before\n", plain.Count(t.same, "recording"))
	}
	if t.gone > 0 {
		fmt.Fprintf(errs, "entry: note: %s not here any more\n", plain.Count(t.gone, "recording"))
	}
	if t.live > 0 {
		fmt.Fprintf(errs, "entry: note: %s still being recorded: hand the file in again once that is over\n", plain.Count(t.live, "session"))
	}
	return err
}
