//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// narrow is what Scan keeps of an event.
func narrow(e Event) Event {
	var more Event
	switch e.Type {
	case SessionReviewed, SessionKilled, AlarmStartFile:
		more.Actor, more.Detail = e.Actor, e.Detail
	case RecordingAborted:
		more.Recording = e.Recording
	case RecordingRemoved, ErasureOrdered:
		return e
	}
	return Event{Actor: more.Actor, Detail: more.Detail, Recording: more.Recording, Seq: e.Seq, Time: e.Time, Type: e.Type, Conn: e.Conn, Session: e.Session, User: e.User, Source: e.Source, Lab: e.Lab, Target: e.Target,
		Method: e.Method, Rule: e.Rule, Capability: e.Capability, Reason: e.Reason, Approver: e.Approver, Coverage: e.Coverage, Until: e.Until, Uses: e.Uses}
}

func TestScanGivesWhatReadGives(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 1)
	full := fullEvent(t)
	odd := full
	odd.User, odd.Detail, odd.Rule = "a\"b\\", "braces { } and \x1b", "}{"
	actor := *full.Actor
	actor.Name = `odd"}`
	oddActor := full
	oddActor.Actor = &actor
	negative := -1
	other := full
	other.Type, other.Exit = AccessRefused, &negative
	until := time.Date(2026, 3, 1, 9, 0, 0, 5, time.UTC)
	var text strings.Builder
	for i, e := range []Event{full, odd, oddActor, other, {Type: SessionEnded}, {Type: PolicyLoaded, User: "not asked for"}, {Type: SessionEnded, Until: &until, Uses: 3},
		{Type: SessionReviewed, Session: "01J", Actor: &actor, Detail: "fine"}, {Type: AlarmStartFile, Session: "01J", Detail: "put .bashrc"},
		{Type: RecordingRemoved, Session: "01J", Ref: "k7q2mxab", User: "alice", Actor: &actor, Reason: ReasonErasure, Detail: "request 44"}, {Type: ErasureOrdered, Ref: "k7q2mxab", Actor: &actor, Detail: "request 44"}} {
		e.Seq, e.Time = uint64(i+1), time.Date(2026, 3, 1, 9, 0, i, i, time.UTC)
		text.Write(append(e.AppendJSON(nil), '\n'))
	}
	whole := text.String()
	p.write(t, eventsName, []byte(whole+"{}\n"+strings.Repeat("x", 3*maxLine)+"\n"+strings.Replace(whole, string(SessionEnded), "session.unheard", 1)+"part"))
	if err := os.Remove(p.path(checkpointName)); err != nil { // nobody says how many there are
		t.Fatal(err)
	}
	types := []Type{SessionEnded, AccessRefused, SessionReviewed, AlarmStartFile, RecordingRemoved, ErasureOrdered}
	collect := func(list func(func(Event, error) bool)) (events []Event, bad []uint64) {
		list(func(e Event, err error) bool {
			var b *BadRecord
			switch {
			case errors.As(err, &b):
				bad = append(bad, b.Line)
			case err != nil:
				t.Fatal(err)
			case slices.Contains(types, e.Type):
				events = append(events, narrow(e))
			}
			return true
		})
		return events, bad
	}
	want, wantBad := collect(Read(p.dir))
	got, gotBad := collect(Scan(p.dir, types...))
	if !reflect.DeepEqual(got, want) || len(got) != 19 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !slices.Equal(gotBad, wantBad) || len(gotBad) != 3 {
		t.Errorf("bad lines %v, want %v", gotBad, wantBad)
	}
	for _, err := range Scan(t.TempDir(), types...) {
		if err == nil {
			t.Error("an event of no log")
		}
	}
}

// Whatever the log accepts, Scan reads the same of it.
func FuzzScan(f *testing.F) {
	e := Event{Seq: 3, Time: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Type: SessionStarted, User: "alice", Source: "192.0.2.1:22", Rule: "a (b.yaml:3)",
		Actor: &Actor{UID: 7, Name: "root"}, BytesDown: -5, Detail: "é"}
	line := e.AppendJSON(nil)
	f.Add(line)
	f.Add([]byte(strings.Replace(string(line), `"user":"alice"`, `"user":"al\"ice"`, 1)))
	f.Add([]byte(strings.Replace(string(line), `"root"`, `"r}oot"`, 1)))
	e.Coverage, e.Missing = "partial", []Missing{{Why: "bulk", Stream: "output", Bytes: 7}, {Why: "share"}, {Why: "masked", Stream: "input", Bytes: 9, Lines: 2}}
	line = e.AppendJSON(nil)
	f.Add(line)
	f.Add([]byte(strings.Replace(string(line), `"share"`, `"sha]re"`, 1)))
	e.Type, e.Sessions = RecordingRead, []string{"01JQ8Z3M6W0000000000000001", "01JQ8Z3M6X0000000000000002"}
	line = e.AppendJSON(nil)
	f.Add(line)
	f.Add([]byte(strings.Replace(string(line), `3M6X`, `3M]X`, 1)))
	f.Fuzz(func(t *testing.T, line []byte) {
		want, _, err := decode(line, nil)
		s := scanner{types: types, seen: map[string]string{}}
		got, wanted, scanErr := s.event(line)
		if err != nil {
			return // Scan may let pass what Verify refuses
		}
		if scanErr != nil || !wanted || !reflect.DeepEqual(got, narrow(want)) {
			t.Fatalf("%s: %+v (%v), want %+v", line, got, scanErr, narrow(want))
		}
	})
}

func BenchmarkScan(b *testing.B) {
	p := newPlace(b)
	p.fill(b, 1)
	const n = 100_000
	var text []byte
	for i := range n {
		e := Event{Seq: uint64(i + 1), Time: time.Date(2026, 3, 1, 9, 0, i, 123456000, time.UTC), Type: SessionStarted, Conn: fmt.Sprintf("01JCONN%08d", i), Session: fmt.Sprintf("01JSESS%08d", i),
			User: fmt.Sprintf("user%d", i%10_000), Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", Login: "alice", Policy: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			Rule: "tinker-home (tinker.yaml:12)", Capability: "shell, exec, upload, download", Detail: "record: full", Recording: &Recording{ID: "01JSESS", Header: strings.Repeat("0", 64)}}
		text = append(e.AppendJSON(text), '\n')
	}
	p.write(b, eventsName, text)
	for name, list := range map[string]func() int{
		"Scan": func() (n int) {
			for range Scan(p.dir, SessionStarted, AccessRefused) {
				n++
			}
			return n
		},
		"Read": func() (n int) {
			for range Read(p.dir) {
				n++
			}
			return n
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := list(); got != n {
					b.Fatalf("%d events", got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
}
