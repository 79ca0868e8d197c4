//go:build linux

package admin

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"filippo.io/age"
	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/rewrap"
	"entry/session/recording/spool"
)

// told is a log that keeps what it is told.
type told struct {
	mu    sync.Mutex
	types []audit.Type
	do    func(audit.Type) error // before an event is taken
}

func (l *told) Append(_ context.Context, all ...audit.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range all {
		if l.do != nil {
			if err := l.do(e.Type); err != nil {
				return err
			}
		}
		if e.Actor == nil {
			return errors.New("an event without who did it")
		}
		l.types = append(l.types, e.Type)
	}
	return nil
}

const (
	over  = "01JQ8Z3M6W0000000000000001"
	runs  = "01JQ8Z3M6X0000000000000002"
	other = "01JQ8Z3M6Y0000000000000003"
	none  = "01JQ8Z3M6Z0000000000000004"
)

// Each key is judged before anything is done: a refused one leaves no word in the log and
// no file, and keeps none of the others from its place. The log is told before and after.
func TestRewrap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, next := testkit.Must(age.GenerateX25519Identity())(t), testkit.Must(age.GenerateX25519Identity())(t)
	s := testkit.Must(spool.Open(spool.Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	defer func() { testkit.Check(t, s.Close()) }()
	for _, id := range []string{over, runs, other} {
		w := testkit.Must(s.Create(recording.Header{ID: id, User: "alice"}, []age.Recipient{old.Recipient()}))(t)
		if id != runs {
			testkit.Must(w.Close())(t)
			continue
		}
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("x")))
		testkit.Eventually(t, "a segment of what runs is written", func() bool {
			i, err := recording.Stat(dir, runs)
			return err == nil && i.Segments > 0
		})
	}
	seal := func(id string) Rewrap {
		r, sealed, err := recording.Reseal(dir, id, []age.Identity{old}, []age.Recipient{next.Recipient(), old.Recipient()}, recording.Rewrap{Set: recording.SetOf([]string{"a"}), Count: 2})
		testkit.Check(t, err)
		return Rewrap{Key: rewrap.Key{Rewrap: r, Sealed: sealed}}
	}
	log := &told{}
	a := InProcess(&Server{Auth: &identity.Authenticator{}, Events: log, Log: zap.NewNop(), Recordings: dir}, func() error { return nil })
	hand := func(keys ...Rewrap) (out []string, err error) {
		log.types = nil
		var all []RewrapOutcome
		err = a.Call(audit.WithActor(t.Context(), audit.Actor{}), http.MethodPost, RewrapPath, keys, &all)
		for _, o := range all {
			out = append(out, o.Outcome)
		}
		return out, err
	}
	key := func(id string) string { return testkit.ReadFile(t, filepath.Join(dir, id+recording.KeyExt)) }
	staged := func() []string {
		return testkit.Must(filepath.Glob(filepath.Join(dir, "*"+recording.NextKeyExt)))(t)
	}
	expect := func(what string, got []string, err error, types []audit.Type, want ...string) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) || !slices.Equal(log.types, types) || len(staged()) > 0 {
			t.Errorf("%s: %q, %v, the log has %q, staged %q", what, got, err, log.types, staged())
		}
	}
	both := []audit.Type{audit.RecordingRewrapped, audit.RewrapDone}

	good := seal(over)
	missing := good
	missing.ID = none
	forged, cut := seal(other), seal(other)
	forged.Out = []string{good.Set}
	cut.Sealed = cut.Sealed[:len(cut.Sealed)-1]
	was := key(other)
	got, err := hand(seal(runs), missing, forged)
	expect("nothing that can be done", got, err, nil, RewrapLive, RewrapGone, RewrapRefused)
	got, err = hand(cut, good)
	expect("one of two", got, err, both, RewrapRefused, RewrapPlaced)
	if key(over) != string(good.Sealed) || key(other) != was {
		t.Error("the wrong key was put in its place")
	}
	got, err = hand(good)
	expect("again", got, err, both, RewrapPlaced)

	// One that was made of a key that isn't there any more.
	stale := seal(over)
	got, err = hand(seal(over))
	expect("another", got, err, both, RewrapPlaced)
	newest := key(over)
	got, err = hand(stale)
	expect("made before that", got, err, nil, RewrapRefused)
	testkit.WriteFile(t, filepath.Join(dir, over+recording.KeyExt), "from outside")
	got, err = hand(stale)
	expect("over a key from outside", got, err, nil, RewrapRefused)
	stale.Again = true
	got, err = hand(stale)
	expect("that the log has in its place", got, err, both, RewrapPlaced)
	if key(over) == newest || key(over) != string(stale.Sealed) {
		t.Error("the wrong key was put in its place")
	}

	if _, err := hand(seal(other), seal(other)); err == nil || len(log.types) > 0 || len(staged()) > 0 {
		t.Errorf("one twice: %v", err)
	}
	if _, err := hand(); err == nil {
		t.Error("none at all")
	}
	if _, err := hand(slices.Repeat([]Rewrap{good}, MaxRewraps+1)...); err == nil {
		t.Error("too many")
	}
	// Of several at once that were made of the same key one is taken.
	log.types = nil
	var all sync.WaitGroup
	var made []Rewrap
	for range 8 {
		made = append(made, seal(over))
	}
	outcomes := make([]string, len(made))
	for i, w := range made {
		all.Go(func() {
			var out []RewrapOutcome
			if err := a.Call(audit.WithActor(t.Context(), audit.Actor{}), http.MethodPost, RewrapPath, []Rewrap{w}, &out); err != nil {
				t.Error(err)
				return
			}
			outcomes[i] = out[0].Outcome
		})
	}
	all.Wait()
	slices.Sort(outcomes)
	want := append([]string{RewrapPlaced}, slices.Repeat([]string{RewrapRefused}, len(outcomes)-1)...)
	if !slices.Equal(outcomes, want) || !slices.Equal(log.types, both) || len(staged()) > 0 {
		t.Errorf("%q, the log has %q", outcomes, log.types)
	}

	// What the log doesn't take isn't done.
	log.do = func(audit.Type) error { return errors.New("the log is full") }
	if _, err := hand(seal(other)); err == nil || key(other) != was || len(staged()) > 0 {
		t.Errorf("without the log: %v", err)
	}
	// A recording that is removed meanwhile stays so.
	log.do = func(typ audit.Type) error {
		if typ == audit.RecordingRewrapped {
			return spool.Remove(dir, other)
		}
		return nil
	}
	got, err = hand(seal(other))
	expect("removed meanwhile", got, err, both[:1], RewrapGone)
	if _, err := os.Stat(filepath.Join(dir, other+recording.KeyExt)); err == nil {
		t.Error("a removed recording's key is back")
	}
}
