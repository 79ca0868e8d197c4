//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// place is a log on disk with its keys and a clock.
type place struct {
	dir, witness     string
	signer, verifier string
	segment          int64          // bytes; 0 for what is usual
	signed           []byte         // of the log, where a test compares with it
	clock            *testkit.Clock // a second further at each look, so that every batch has its own time
}

func newPlace(tb testing.TB) *place {
	tb.Helper()
	top := tb.TempDir()
	s, v, err := GenerateKey("entry.test")
	if err != nil {
		tb.Fatal(err)
	}
	clock := testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	clock.Stride(time.Second)
	return &place{
		dir: filepath.Join(top, "audit"), witness: filepath.Join(top, "witness"),
		signer: s, verifier: v, clock: clock,
	}
}

func (p *place) options() Options {
	return Options{Key: p.signer, Witness: p.witness, Now: p.clock.Now, Segment: p.segment}
}

func (p *place) open(tb testing.TB) *Log {
	tb.Helper()
	l, err := Open(p.dir, p.options())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// verify is Verify without waiting.
func (p *place) verify() (Report, error) { return p.verifyWith(noPatience()) }

func noPatience() patience {
	now := time.Now()
	return patience{func() time.Time { return now }, func(d time.Duration) { now = now.Add(d) }}
}

func (p *place) verifyWith(wait patience) (Report, error) {
	return verify(p.dir, VerifyOptions{PublicKey: p.verifier, Witness: p.witness, Copies: true}, wait)
}

// verifySince is verify of what came after a checkpoint.
func (p *place) verifySince(signed []byte) (Report, error) {
	return verify(p.dir, VerifyOptions{PublicKey: p.verifier, Witness: p.witness, Copies: true, Since: signed}, noPatience())
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(p.path(name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func (p *place) write(tb testing.TB, name string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(p.path(name), b, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func (p *place) lines(tb testing.TB) []string {
	tb.Helper()
	return strings.SplitAfter(strings.TrimSuffix(string(p.read(tb, eventsName)), "\n"), "\n")
}

// fill appends n batches of one event and closes the log.
func (p *place) fill(tb testing.TB, n int) {
	tb.Helper()
	l := p.open(tb)
	for i := range n {
		mustAppend(tb, l, Event{Type: LoginSucceeded, User: fmt.Sprintf("user%d", i), Source: "192.0.2.7:50122"})
	}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
}

func mustAppend(tb testing.TB, l *Log, e ...Event) {
	tb.Helper()
	if err := l.Append(context.Background(), e...); err != nil {
		tb.Fatal(err)
	}
}

func events(tb testing.TB, dir string) []Event {
	tb.Helper()
	var all []Event
	for e, err := range Read(dir) {
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestAppendReadVerify(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice"}, Event{Type: SessionStarted, User: "alice"})
	rep, err := p.verify() // beside the writer
	if err != nil || rep.Events != 3 || rep.Witnessed != 3 {
		t.Fatalf("beside the writer: %+v, %v", rep, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	if err := l.Append(context.Background(), Event{Type: ServerStopped}); !errors.Is(err, ErrClosed) {
		t.Fatalf("Append after Close: %v", err)
	}
	l = p.open(t)
	mustAppend(t, l, Event{Type: ServerStopped})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := events(t, p.dir)
	if len(got) != 4 || got[0].Type != ServerStarted || got[2].Type != SessionStarted || got[3].Type != ServerStopped {
		t.Fatalf("read back %+v", got)
	}
	for i, e := range got {
		if e.Seq != uint64(i+1) {
			t.Errorf("event %d has seq %d", i, e.Seq)
		}
	}
	rep, err = p.verify()
	if err != nil {
		t.Fatal(err)
	}
	want := "4 events consistent; witnessed up to seq 4 (" + got[3].Time.Format(time.RFC3339) + ")"
	if rep.String() != want {
		t.Errorf("report %q, want %q", rep, want)
	}
}

func TestAppendRefusesWhatIsNoEvent(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	far := time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range []Event{{}, {Type: "made.up"}, {Type: LoginLocked, Until: &far}} {
		if err := l.Append(context.Background(), e); !errors.Is(err, ErrEvent) {
			t.Errorf("Append(%+v): %v", e, err)
		}
	}
	mustAppend(t, l) // nothing
	mustAppend(t, l, Event{Type: ServerStarted})
	if n := len(events(t, p.dir)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestClockBehindTheLog(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	p.clock.Advance(-30 * time.Second)
	mustAppend(t, l, Event{Type: LoginFailed})
	p.clock.Advance(-2 * time.Minute)
	if err := l.Append(context.Background(), Event{Type: LoginFailed}); !errors.Is(err, ErrClock) {
		t.Fatalf("two minutes behind: %v", err)
	}
	if isClosed(l.Failed()) {
		t.Fatal("a wrong clock failed the log for good")
	}
	_ = l.Close()
	if _, err := Open(p.dir, p.options()); !errors.Is(err, ErrClock) {
		t.Fatalf("Open: %v", err)
	}
	p.clock.Advance(3 * time.Minute)
	l = p.open(t)
	mustAppend(t, l, Event{Type: LoginFailed})
	_ = l.Close()
	if rep, err := p.verify(); err != nil || rep.Events != 3 {
		t.Fatalf("%v, %v", rep, err)
	}
}

func TestOneWriter(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	if _, err := Open(p.dir, p.options()); !errors.Is(err, ErrLocked) {
		t.Fatalf("second writer: %v", err)
	}
	mustAppend(t, l, Event{Type: ServerStarted}) // the refusal did no harm
	_ = l.Close()
	mustAppend(t, p.open(t), Event{Type: ServerStarted})
}

func TestOpenRefusesKeysAndPlaces(t *testing.T) {
	p := newPlace(t)
	for name, o := range map[string]Options{
		"no key":       {},
		"verifier key": {Key: p.verifier},
		"garbage key":  {Key: "PRIVATE+KEY+canary-secret"},
		"own witness":  {Key: p.signer, Witness: p.dir},
	} {
		l, err := Open(p.dir, o)
		if err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: error quotes the key: %v", name, err)
		}
	}
}

func TestAppendConcurrently(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := l.Append(context.Background(),
					Event{Type: ChannelOpened, User: fmt.Sprint("w", w), Detail: fmt.Sprint(i)},
					Event{Type: ChannelClosed, User: fmt.Sprint("w", w), Detail: fmt.Sprint(i)})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_ = l.Close()
	next := map[string]int{}
	var open *Event
	for _, e := range events(t, p.dir) {
		if open != nil { // the two of one Append stand together
			if e.Type != ChannelClosed || e.User != open.User || e.Detail != open.Detail {
				t.Fatalf("seq %d is parted from the event before it", e.Seq)
			}
			open = nil
			continue
		}
		if e.Detail != fmt.Sprint(next[e.User]) {
			t.Fatalf("seq %d: out of its writer's order", e.Seq)
		}
		next[e.User]++
		open = &e
	}
	rep, err := p.verify()
	if err != nil || rep.Events != 2*writers*each || rep.Witnessed != rep.Events {
		t.Fatalf("%v, %v", rep, err)
	}
}

func TestAppendStopsWaitingWithItsContext(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	cause := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if err := l.Append(ctx, Event{Type: LoginFailed}); !errors.Is(err, cause) {
		t.Fatalf("%v", err)
	}
	_ = l.Close()
	if n := len(events(t, p.dir)); n != 0 {
		t.Fatalf("%d events of a caller that was gone before", n)
	}
}

func TestModes(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 1)
	for _, dir := range []string{p.dir, p.witness} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
	}
}
