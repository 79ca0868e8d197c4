package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"entry/session/group"
)

// Over a slow line forty streams have a turn each in four seconds. None is too slow then; one that
// takes nothing while others have their turns is, and so are all once the line stands still, or
// goes on in crumbs.
func TestTurnsOnASlowLine(t *testing.T) {
	const many, every = 40, 100 * time.Millisecond
	for name, c := range map[string]struct {
		takes func(i int) int // what the stream takes whose turn it is after i others
		ends  func(left int) bool
	}{
		"each has its turn":      {func(int) int { return turn / 3 }, func(left int) bool { return left == many }},
		"one takes nothing":      {func(i int) int { return min(i%many, 1) * turn / 3 }, func(left int) bool { return left == many-1 }},
		"nobody takes any more":  {func(i int) int { return min(1, max(0, 2*many-i)) * turn / 3 }, func(left int) bool { return left < many-1 }},
		"crumbs are taken, late": {func(i int) int { return 1 + min(1, max(0, 2*many-i))*turn/3 }, func(left int) bool { return left < many-1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := group.New(context.Background(), nil)
			t.Cleanup(func() { g.Cancel(nil); g.Wait() })
			user := NewBacklog(many*mayHold*2/3, nil, nil)
			b := NewBacklog(many*mayHold*2/3, user, g)
			var streams []*course
			for range many {
				f := &flow{o: Options{Backlog: b, Ref: func() string { return "" }}, group: g}
				s := &course{dst: f.newOutlet(nil, nil), src: strings.NewReader(""), lease: newLease(nil), flow: f}
				s.hand.Store(mayHold)
				t.Cleanup(b.enter(s))
				streams = append(streams, s)
			}
			now := time.Now()
			left := many
			for i := range 20 * many {
				now = now.Add(every)
				s := streams[i%many]
				s.dst.took(c.takes(i))
				b.look(now, true)
				user.look(now, true)
				left = 0
				for _, s := range streams {
					if s.lease.over() {
						s.hand.Store(0) // it lets go
					} else {
						left++
					}
				}
				if left < many && name == "one takes nothing" {
					break
				}
			}
			if !c.ends(left) {
				t.Errorf("%d of %d go on", left, many)
			}
			if left == many-1 && !streams[0].lease.over() {
				t.Error("another one has ended")
			}
		})
	}
}
