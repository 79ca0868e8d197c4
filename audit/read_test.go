//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func TestReadGoesOnAfterABadLine(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	lines := p.lines(t)
	long := strings.Repeat("x", 5*maxLine) + "\n"
	p.write(t, eventsName, []byte(lines[0]+"{}\n"+long+lines[1]+lines[2]+"\npart"))
	var got []string
	for e, err := range Read(p.dir) {
		var bad *BadRecord
		switch {
		case errors.As(err, &bad):
			got = append(got, fmt.Sprint("bad ", bad.Line))
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, e.User)
		}
	}
	if want := "[user0 bad 2 bad 3 user1 user2]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	for _, err := range Read(t.TempDir()) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no log: %v", err)
		}
	}
}

func TestTail(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 7)
	log := p.read(t, eventsName)
	for _, end := range []string{"", `{"schema":`} { // a line in the making doesn't count
		p.write(t, eventsName, append(log[:len(log):len(log)], end...))
		for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 3: 3, 7: 7, 8: 7, 1000: 7} {
			var got []Event
			for e, err := range Tail(t.Context(), p.dir, n, false) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if len(got) != want || want > 0 && (got[want-1].Seq != 7 || got[0].Seq != uint64(8-want)) {
				t.Errorf("last %d: %d events", n, len(got))
			}
		}
	}
}

// TestTailOverBlocks: a tail longer than one block of the backward search.
func TestTailOverBlocks(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	var many []Event
	for range 400 {
		many = append(many, Event{Type: LoginFailed, Detail: strings.Repeat("d", MaxDetail)})
	}
	mustAppend(t, l, many...)
	_ = l.Close()
	first := uint64(0)
	for e, err := range Tail(t.Context(), p.dir, 390, false) {
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = e.Seq
		}
	}
	if first != 11 {
		t.Errorf("begins at %d", first)
	}
}

func TestFollow(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []Type
	for e, err := range Tail(ctx, p.dir, 10, true) {
		if err != nil {
			t.Fatal(err)
		}
		switch got = append(got, e.Type); len(got) {
		case 1:
			mustAppend(t, l, Event{Type: LoginFailed}, Event{Type: LoginSucceeded})
		case 3:
			mustAppend(t, l, Event{Type: ServerStopped})
		case 4:
			cancel()
		}
	}
	if want := "[server.started login.failed login.succeeded server.stopped]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	// A log that shrinks isn't the log any more.
	_ = l.Close()
	var last error
	for _, err := range Tail(t.Context(), p.dir, 1, true) {
		if last = err; err == nil {
			p.write(t, eventsName, nil)
		}
	}
	if last == nil || !strings.Contains(last.Error(), "shorter") {
		t.Errorf("%v", last)
	}
}

func TestSearch(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	t0 := p.clock.Peek()
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice", Conn: "01JCONN", Source: "192.0.2.7:50122"})                 // 1
	mustAppend(t, l, Event{Type: LoginFailed, UserHash: "hmac:aa", Source: "[2001:db8::7]:2", Ref: "K7Q2"})                  // 2
	mustAppend(t, l, Event{Type: SessionStarted, User: "alice", Conn: "01JCONN", Session: "01JSESS", Target: "home.tinker"}) // 3
	mustAppend(t, l, Event{Type: RecordingRead, Actor: &Actor{}, Recording: &Recording{ID: "01JSESS"}})                      // 4
	mustAppend(t, l, Event{Type: SessionStarted, User: "bob", Session: "01JOTHER", Target: "homer.tinker"})                  // 5
	mustAppend(t, l, Event{Type: RecordingRead, Sessions: []string{"01JNONE", "01JOTHER"}, Digest: "hmac-sha256:00"})        // 6
	_ = l.Close()
	source := func(s string) netip.Prefix {
		q, err := ParseSource(s)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"everything":  {Query{}, "[1 2 3 4 5 6]"},
		"user":        {Query{User: "alice"}, "[1 3]"},
		"hash":        {Query{User: "hmac:aa"}, "[2]"},
		"full target": {Query{Target: "home.tinker"}, "[3]"},
		"short":       {Query{Target: "home"}, "[3]"},
		"session":     {Query{Session: "01jsess"}, "[3 4]"},
		"searched":    {Query{Session: "01jother"}, "[5 6]"},
		"pattern":     {Query{Digests: []string{"hmac-sha256:ff", "hmac-sha256:00"}}, "[6]"},
		"connection":  {Query{Session: "01JCONN"}, "[1 3]"},
		"ref":         {Query{Ref: "k7q2"}, "[2]"},
		"type":        {Query{Type: "session.started"}, "[3 5]"},
		"family":      {Query{Type: "login"}, "[1 2]"},
		"half a word": {Query{Type: "log"}, "[]"},
		"address":     {Query{Source: source("192.0.2.7")}, "[1]"},
		"network":     {Query{Source: source("2001:db8::/32")}, "[2]"},
		"since":       {Query{Since: t0.Add(3 * time.Second)}, "[3 4 5 6]"},
		"until":       {Query{Until: t0.Add(3 * time.Second)}, "[1 2]"},
		"all of them": {Query{User: "alice", Type: "session", Target: "home"}, "[3]"},
		"none":        {Query{User: "alice", Type: "recording"}, "[]"},
	} {
		got := []uint64{}
		for e, err := range Search(p.dir, c.q, nil) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Seq)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for s, want := range map[string]bool{"login": true, "login.failed": true, "": false, "log": true, "lo": false, "login.": false} {
		if KnownType(s) != want {
			t.Errorf("KnownType(%q) = %v", s, !want)
		}
	}
	for _, s := range []string{"", "home", "192.0.2", "192.0.2.0/33"} {
		if _, err := ParseSource(s); err == nil {
			t.Errorf("source %q accepted", s)
		}
	}
}
