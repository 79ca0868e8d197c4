//go:build linux

package audit

import (
	"errors"
	"fmt"
	"testing"
)

// TestReadAfter: a cursor leads on over segments, whatever is compressed or away, and a log
// that has less than was read says so.
func TestReadAfter(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.segment = 600
	l := p.open(t)
	for i := range 20 {
		mustAppend(t, l, Event{Type: LoginSucceeded, User: fmt.Sprintf("user%d", i), Source: "192.0.2.7:50122"})
	}
	size := l.Position().Size
	p.compress(t, p.sealed(t)[1], ".zst")
	read := func(after uint64) (got []uint64, err error) {
		for e, err := range ReadAfter(p.dir, after) {
			if err != nil {
				return got, err
			}
			got = append(got, e.Seq)
		}
		return got, nil
	}
	for after := range size + 1 {
		got, err := read(after)
		if err != nil || uint64(len(got)) != size-after {
			t.Errorf("after %d: %d, %v", after, got, err)
		}
		for i, seq := range got {
			if seq != after+uint64(i)+1 {
				t.Errorf("after %d: %d", after, got)
			}
		}
	}
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "later"})
	if got, err := read(size); err != nil || len(got) != 1 && len(got) != 2 || got[0] != size+1 {
		t.Errorf("afterwards: %d, %v", got, err)
	}
	size = l.Position().Size
	for _, after := range []uint64{size + 1, size + 100} {
		var b *Behindhand
		if _, err := read(after); !errors.As(err, &b) || b.Has != size || b.After != after {
			t.Errorf("after %d: %v", after, err)
		}
	}
}
