//go:build linux

package index

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

// TestSoakIndex searches a log of years: of some users with some sessions a day each.
func TestSoakIndex(t *testing.T) {
	const batch = 2000
	events := testkit.Long(100_000, 10_000_000) / batch * batch
	dir, folder := filepath.Join(t.TempDir(), "audit"), filepath.Join(t.TempDir(), "index")
	key, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	now := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	l := testkit.Must(audit.Open(dir, audit.Options{Key: key, Now: func() time.Time { return now }}))(t)
	const users, labs, channels = 400, 25, 8
	one := func(i int) audit.Event {
		session := i / channels
		e := audit.Event{Type: audit.ChannelOpened, Conn: fmt.Sprintf("01%08X%016X", session/64, session), Session: fmt.Sprintf("01%08X%016X", session/64, session+1<<32),
			User: fmt.Sprintf("user%03d", session*7919%users), Source: "192.0.2.7:50122", Lab: fmt.Sprintf("lab%02d", session%labs), Target: fmt.Sprintf("home.lab%02d", session%labs),
			ChannelType: "session", Rule: "tinker-home (tinker.yaml:12)", Policy: "4f0c7cbb3a1f4c1f9a0e5a7dd1b2c3d4e5f60718293a4b5c6d7e8f9001122334"}
		switch i % channels {
		case 0:
			e.Type, e.Ref = audit.SessionStarted, fmt.Sprintf("REF%07d", session)
		case channels - 1:
			e.Type = audit.SessionEnded
		case 3:
			e = audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: e.Policy, Changed: 3, List: "ticks"}}
		}
		if i == events/2 {
			e.Type = audit.HostKeyChanged
		}
		return e
	}
	began := time.Now()
	for i := 0; i < events; i += batch {
		all := make([]audit.Event, batch)
		for j := range all {
			all[j] = one(i + j)
		}
		testkit.Check(t, l.Append(t.Context(), all...))
		now = now.Add(batch * 6 * time.Second)
	}
	testkit.Check(t, l.Close())
	t.Logf("%d events written in %s", events, time.Since(began).Round(time.Millisecond))

	search := func(q audit.Query) (n int, took time.Duration) {
		began := time.Now()
		x := testkit.Must(Open(dir, Options{Folder: folder, Now: func() time.Time { return time.Now().Add(time.Minute) }}))(t)
		for e, err := range audit.Search(dir, q, x) {
			testkit.Check(t, err)
			if !q.Matches(e) {
				t.Fatalf("%+v", e)
			}
			n++
		}
		if note := x.Note(); note != "" {
			t.Error(note)
		}
		testkit.Check(t, x.Close())
		return n, time.Since(began)
	}
	n, took := search(audit.Query{User: "nobody"})
	t.Logf("first search, which makes the index: %s", took.Round(time.Millisecond))
	if n != 0 {
		t.Errorf("nobody has %d events", n)
	}
	size := int64(0)
	for _, f := range testkit.Must(filepath.Glob(filepath.Join(folder, "*")))(t) {
		size += fileSize(t, f)
	}
	session := one(events / 3 / channels * channels)
	for _, c := range []struct {
		what string
		q    audit.Query
		want int
	}{
		{"nobody", audit.Query{User: "nobody"}, 0},
		{"one session", audit.Query{Session: session.Session}, channels - 1},
		{"the start of its ID", audit.Query{IDStart: session.Session[:10]}, 64 * (channels - 1)},
		{"a reference", audit.Query{Ref: session.Ref}, 1},
		{"a rare type", audit.Query{Type: "hostkey"}, 1},
		{"a user, within a day", audit.Query{User: session.User, Since: now.AddDate(0, 0, -1)}, -1},
		{"a user's logins to a target", audit.Query{User: session.User, Target: session.Target, Type: "session.started"}, -1},
		{"an hour", audit.Query{Since: now.Add(-time.Hour)}, -1},
		{"all of a user", audit.Query{User: session.User}, -1},
	} {
		n, took := search(c.q)
		t.Logf("%-28s %8d events in %s", c.what, n, took.Round(time.Millisecond))
		if c.want >= 0 && n != c.want && events > 64*channels*3 {
			t.Errorf("%s: %d events, want %d", c.what, n, c.want)
		}
		if limit := testkit.Bound(time.Second); took > limit && c.what != "all of a user" {
			t.Errorf("%s took %s, more than %s", c.what, took, limit)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("the index has %d MiB; memory from the system: %d MiB", size>>20, m.Sys>>20)
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	return testkit.Must(os.Stat(path))(t).Size()
}
