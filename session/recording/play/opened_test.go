package play

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// A recording is opened with the channel that is asked for, or meant, and read again from
// its start; what has no channel says so.
func TestOpen(t *testing.T) {
	t.Parallel()
	const id, empty = "01JQ8Z3M6W0000000000000001", "01JQ8Z3M6X0000000000000002"
	dir, key := t.TempDir(), testkit.Must(age.GenerateX25519Identity())(t)
	ids := []age.Identity{key}
	for name, frames := range map[string][]recording.Frame{empty: nil, id: {
		{Channel: 0, Kind: recording.Request, Data: []byte(`{"type":"exec","command":"id"}`)},
		{Channel: 1, Kind: recording.Request, Data: []byte(`{"type":"pty-req","term":"xterm","cols":80,"rows":24}`)},
		{Channel: 1, Kind: recording.Output, Data: []byte("$ ")},
	}} {
		s, file, sealed, err := recording.NewSealer(recording.Header{ID: name, Start: time.Unix(1e9, 0)}, []age.Recipient{key.Recipient()})
		testkit.Check(t, err)
		c := testkit.Must(recording.NewCompressor())(t)
		var plain []byte
		for _, f := range frames {
			plain = recording.AppendFrame(plain, 0, f.Kind, f.Channel, f.Data)
		}
		file = append(file, testkit.Must(s.Seal(c, nil, plain, 1, true))(t)...)
		testkit.Check(t, errors.Join(c.Close(), os.WriteFile(filepath.Join(dir, name+recording.Ext), file, 0o600), os.WriteFile(filepath.Join(dir, name+recording.KeyExt), sealed, 0o600)))
	}
	count := func(next func() (recording.Frame, error)) (n int) {
		for ; ; n++ {
			if _, err := next(); errors.Is(err, io.EOF) {
				return n
			} else {
				testkit.Check(t, err)
			}
		}
	}
	for number, want := range map[int64]uint32{-1: 1, 0: 0, 1: 1} {
		o, c, err := Open(dir, id, ids, number)
		testkit.Check(t, err)
		if c.Number != want || len(o.All) != 2 || count(o.Next) != 3 {
			t.Errorf("%d: %+v of %d", number, c, len(o.All))
		}
		if next := testkit.Must(o.Again())(t); count(next) != 3 {
			t.Errorf("%d: not read again", number)
		}
		if !o.Grows() || o.Grows() { // once more, for what was written before its end
			t.Errorf("%d: it is over, and grows", number)
		}
		testkit.Check(t, o.Close())
	}
	if _, _, err := Open(dir, id, ids, 9); !errors.Is(err, recording.ErrNoChannel) {
		t.Errorf("a channel that isn't there: %v", err)
	}
	var e *Empty
	if _, _, err := Open(dir, empty, ids, -1); !errors.As(err, &e) || !e.NotFound() || e.Hint() == "" {
		t.Errorf("without a channel: %v", err)
	}
	stranger := testkit.Must(age.GenerateX25519Identity())(t)
	if _, _, err := Open(dir, id, []age.Identity{stranger}, -1); !errors.Is(err, recording.ErrKey) {
		t.Errorf("a stranger: %v", err)
	}
}
