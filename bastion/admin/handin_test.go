//go:build linux

package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/rewrap"
	"entry/session/recording/spool"
)

// Keys are handed in some at a time; what is in its place, isn't here or isn't known to
// the log isn't handed in, and what became of each is counted.
func TestHandingIn(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, logDir := filepath.Join(top, "spool"), filepath.Join(top, "audit")
	testkit.Check(t, os.Mkdir(dir, 0o700))
	old, next := testkit.Must(age.GenerateX25519Identity())(t), testkit.Must(age.GenerateX25519Identity())(t)
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(logDir, audit.Options{Key: signer}))(t)
	s := testkit.Must(spool.Open(spool.Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	var keys []rewrap.Key
	const all = MaxRewraps + 4 // the last is in its place already, the one before unknown to the log
	for n := range all {
		id := fmt.Sprintf("01JQ8Z3M6W%016d", n)
		w := testkit.Must(s.Create(recording.Header{ID: id, User: "alice"}, []age.Recipient{old.Recipient()}))(t)
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("x")))
		header, key := w.HeaderHash(), w.KeyHash()
		testkit.Must(w.Close())(t)
		r, sealed, err := recording.Reseal(dir, id, []age.Identity{old}, []age.Recipient{next.Recipient()}, recording.Rewrap{Set: recording.SetOf([]string{"a"}), Count: 1})
		testkit.Check(t, err)
		keys = append(keys, rewrap.Key{Rewrap: r, Sealed: sealed})
		if n == all-2 {
			continue
		}
		testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: id, Recording: &audit.Recording{ID: id, Header: fmt.Sprintf("%x", header), Key: fmt.Sprintf("%x", key)}}))
		if n == all-1 {
			h := testkit.Must(recording.Stat(dir, id))(t).Header
			e := evidence.RewrapEvent(h, r)
			e.Actor = &audit.Actor{}
			done := e
			done.Type, done.Rewrap = audit.RewrapDone, nil
			testkit.Check(t, log.Append(t.Context(), e, done))
			testkit.Check(t, os.WriteFile(filepath.Join(dir, id+recording.KeyExt), sealed, 0o600))
		}
	}
	testkit.Check(t, errors.Join(s.Close(), log.Close()))
	keys = append(keys, rewrap.Key{Rewrap: recording.Rewrap{ID: "01JQ8Z3M6Z0000000000000000"}}) // which isn't here

	var sizes []int
	h := HandingIn{Dir: dir, Keys: testkit.Must(evidence.ReadKeys(logDir))(t), Call: func(some []Rewrap, out *[]RewrapOutcome) error {
		sizes = append(sizes, len(some))
		for n, w := range some {
			o := RewrapOutcome{ID: w.ID, Outcome: RewrapPlaced}
			if len(sizes) == 2 {
				o = []RewrapOutcome{{w.ID, RewrapRefused, "is \x1bdamaged"}, {w.ID, RewrapLive, ""}, {w.ID, RewrapGone, ""}}[n]
			}
			*out = append(*out, o)
		}
		return nil
	}}
	from := func(last error) iter.Seq2[rewrap.Key, error] {
		return func(yield func(rewrap.Key, error) bool) {
			for _, k := range keys {
				if !yield(k, nil) {
					return
				}
			}
			if last != nil {
				yield(rewrap.Key{}, last)
			}
		}
	}
	if err := h.All(from(rewrap.ErrNotRewrap), func(int) {}); !errors.Is(err, rewrap.ErrNotRewrap) {
		t.Errorf("the end of the file: %v", err)
	}
	if len(sizes) != 2 || sizes[0] != MaxRewraps || sizes[1] != 2 || h.Placed != MaxRewraps || h.Same != 1 || h.Gone != 1 || h.Live != 1 {
		t.Errorf("%v, %+v", sizes, h.HandedIn)
	}
	said := errors.Join(h.Bad...).Error()
	if len(h.Bad) != 2 || !strings.Contains(said, "doesn't know the recording") || strings.Contains(said, "\x1b") {
		t.Errorf("%q", said)
	}
	broken := errors.New("no server")
	h = HandingIn{Dir: dir, Keys: h.Keys, Call: func([]Rewrap, *[]RewrapOutcome) error { return broken }}
	if err := h.All(from(nil), func(int) {}); !errors.Is(err, broken) || h.Placed != 0 {
		t.Errorf("%v, %+v", err, h.HandedIn)
	}
}

// A recording that was sealed anew from an earlier key takes one that is made from the key
// that it has; not one that is made from the earlier one again.
func TestHandingInMends(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, logDir, file := filepath.Join(top, "spool"), filepath.Join(top, "audit"), filepath.Join(top, "spool", over+recording.KeyExt)
	testkit.Check(t, os.Mkdir(dir, 0o700))
	auditor := testkit.Must(age.GenerateX25519Identity())(t)
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(logDir, audit.Options{Key: signer}))(t)
	s := testkit.Must(spool.Open(spool.Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	w := testkit.Must(s.Create(recording.Header{ID: over, User: "alice"}, []age.Recipient{auditor.Recipient()}))(t)
	testkit.Check(t, w.Frame(recording.Output, 0, []byte("x")))
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: over, Recording: &audit.Recording{ID: over, Header: fmt.Sprintf("%x", w.HeaderHash()), Key: fmt.Sprintf("%x", w.KeyHash())}}))
	testkit.Must(w.Close())(t)
	reseal := func() rewrap.Key {
		r, sealed, err := recording.Reseal(dir, over, []age.Identity{auditor}, []age.Recipient{auditor.Recipient()}, recording.Rewrap{Set: recording.SetOf([]string{"a"}), Count: 1})
		testkit.Check(t, err)
		return rewrap.Key{Rewrap: r, Sealed: sealed}
	}
	first := testkit.ReadFile(t, file)
	again := reseal()
	for range 2 {
		testkit.WriteFile(t, file, first)
		k := reseal()
		e := evidence.RewrapEvent(testkit.Must(recording.Stat(dir, over))(t).Header, k.Rewrap)
		done := e
		done.Type, done.Rewrap = audit.RewrapDone, nil
		testkit.Check(t, log.Append(t.Context(), e, done))
		testkit.WriteFile(t, file, string(k.Sealed))
	}
	testkit.Check(t, errors.Join(s.Close(), log.Close()))
	for name, tt := range map[string]struct {
		key    rewrap.Key
		placed int
	}{"from the key that it has": {reseal(), 1}, "from the earlier one": {again, 0}} {
		h := HandingIn{Dir: dir, Keys: testkit.Must(evidence.ReadKeys(logDir))(t), Call: func(some []Rewrap, out *[]RewrapOutcome) error {
			for _, w := range some {
				*out = append(*out, RewrapOutcome{ID: w.ID, Outcome: RewrapPlaced})
			}
			return nil
		}}
		testkit.Check(t, h.All(func(yield func(rewrap.Key, error) bool) { yield(tt.key, nil) }, func(int) {}))
		if h.Placed != tt.placed || len(h.Bad) != 1-tt.placed {
			t.Errorf("%s: %+v", name, h.HandedIn)
		}
	}
}
