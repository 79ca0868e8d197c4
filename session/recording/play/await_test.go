//go:build linux

package play

import (
	"context"
	"errors"
	"testing"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// Who watches a session in which nothing is open waits for what is opened next, says so
// once, and hears when the session ends instead.
func TestAwaitOpen(t *testing.T) {
	t.Parallel()
	const id = "01JQ8Z3M6W0000000000000001"
	dir, key := t.TempDir(), testkit.Must(age.GenerateX25519Identity())(t)
	s := testkit.Must(spool.Open(spool.Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	defer func() { testkit.Check(t, s.Close()) }()
	w := testkit.Must(s.Create(recording.Header{ID: id, User: "alice"}, []age.Recipient{key.Recipient()}))(t)
	type found struct {
		number int64
		err    error
	}
	await := func() (told chan bool, done chan found) {
		told, done = make(chan bool, 9), make(chan found, 1)
		go func() {
			n, err := AwaitOpen(t.Context(), dir, id, []age.Identity{key}, func() { told <- true })
			done <- found{n, err}
		}()
		return told, done
	}
	told, done := await()
	testkit.Receive(t, "word that it waits", told)
	testkit.Check(t, w.Frame(recording.Request, 3, []byte(`{"type":"shell"}`)))
	if f := testkit.Receive(t, "the channel", done); f.err != nil || f.number != 3 || len(told) > 0 {
		t.Errorf("%+v, told %d times more", f, len(told))
	}
	testkit.Check(t, w.Frame(recording.Request, 3, []byte(`{"type":"channel-close","coverage":"recorded"}`)))
	testkit.Eventually(t, "the channel's end is written", func() bool {
		list, err := Channels(dir, id, []age.Identity{key})
		return (err == nil || errors.Is(err, recording.ErrTruncated)) && len(list) == 1 && !list[0].Open
	})
	told, done = await()
	testkit.Receive(t, "word that it waits", told)
	testkit.Must(w.Close())(t)
	var over *Over
	if f := testkit.Receive(t, "the session's end", done); !errors.As(f.err, &over) || over.ID != id || !over.NotFound() {
		t.Errorf("%+v", f)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	stop(cause)
	if _, err := AwaitOpen(ctx, dir, id, []age.Identity{key}, func() {}); !errors.As(err, &over) { // it is over first
		t.Errorf("%v", err)
	}
}
