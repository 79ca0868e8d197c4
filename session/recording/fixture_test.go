package recording

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
)

// id is the n-th session's ID.
func id(n int) string { return fmt.Sprintf("01JCHZ%020d", n) }

// auditor is a key pair that only these tests use.
var auditor = sync.OnceValue(func() *age.X25519Identity {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return k
})

// written is a small recording in a directory.
type written struct {
	dir, id, path string
	all           []byte
	starts        []int // of its four segments and, last, the end
	headerHash    [32]byte
	heads         [][32]byte // after each segment
}

// seal writes a recording of four segments, the last of them final and empty,
// into dir.
func seal(t testing.TB, dir string, n int) written {
	t.Helper()
	c, err := NewCompressor()
	testkit.Check(t, err)
	s, record, key, err := NewSealer(Header{ID: id(n), User: "alice", Lab: "tinker", Target: "home.tinker", Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		[]age.Recipient{auditor().Recipient()})
	testkit.Check(t, err)
	r := written{dir: dir, id: id(n), path: filepath.Join(dir, id(n)+Ext), all: record, headerHash: s.HeaderHash()}
	const second = 1_000_000 // µs
	for i := range 4 {
		var frames []byte
		if i < 3 {
			frames = AppendFrame(nil, second, Output, 0, []byte{byte('a' + i)})
		}
		segment, err := s.Seal(c, nil, frames, uint64(i+1)*second, i == 3)
		testkit.Check(t, err)
		r.starts = append(r.starts, len(r.all))
		r.all = append(r.all, segment...)
		r.heads = append(r.heads, s.Head())
	}
	r.starts = append(r.starts, len(r.all))
	testkit.Check(t, errors.Join(c.Close(), os.WriteFile(r.path, r.all, 0o600), os.WriteFile(filepath.Join(dir, id(n)+KeyExt), key, 0o600)))
	return r
}

// rewrite puts other bytes in the recording's place.
func (r written) rewrite(t testing.TB, parts ...[]byte) {
	t.Helper()
	testkit.Check(t, os.WriteFile(r.path, bytes.Join(parts, nil), 0o600))
}

// ended is what session.ended says of the recording.
func (r written) ended() Expect { return Expect{Segments: 4, Head: r.heads[3], Final: true} }

// readAll returns a recording's frames, and how it ended. Without ids, auditor
// reads it.
func readAll(t testing.TB, dir, id string, ids ...age.Identity) ([]Frame, error) {
	t.Helper()
	if ids == nil {
		ids = []age.Identity{auditor()}
	}
	r, err := OpenRecording(dir, id, ids...)
	if err != nil {
		return nil, err
	}
	defer func() { testkit.Check(t, r.Close()) }()
	var all []Frame
	for {
		f, err := r.Next()
		if err != nil {
			return all, err
		}
		f.Data = bytes.Clone(f.Data)
		all = append(all, f)
	}
}
