//go:build linux

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"entry/e2e/testkit"
	"entry/session/recording"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORDING_CRASH_DIR"); dir != "" {
		crash(dir)
		return
	}
	if dir := os.Getenv("RECORDING_PANIC_DIR"); dir != "" {
		panicInTick(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

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

// bench is a spool in a directory of its own whose clock and ticks the test has
// in its hands.
type bench struct {
	*Spool
	t    testing.TB
	dir  string
	disk *faulty

	clock *testkit.Clock

	mu    sync.Mutex
	ticks []recording.Tick
	fail  error // what Commit returns
}

// again is the spool as the next start finds it.
func (b *bench) again(edit func(*Options)) *Spool {
	b.t.Helper()
	o := Options{Dir: b.dir, Commit: b.commit, Now: b.clock.Now}
	edit(&o)
	d, err := openDirectory(b.dir)
	b.must(err)
	s, err := open(o, d)
	b.must(err)
	return s
}

func newBench(t testing.TB, edit func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: testkit.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	o := Options{Dir: b.dir, Commit: b.commit, Now: b.clock.Now}
	if edit != nil {
		edit(&o)
	}
	b.dir = o.Dir
	d, err := openDirectory(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	b.disk = &faulty{disk: d}
	if b.Spool, err = open(o, b.disk); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // most tests close it themselves, and look at the error
	return b
}

// newTicking is a bench on the real disk, with the spool's own clock.
func newTicking(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "spool")}
	var err error
	if b.Spool, err = Open(Options{Dir: b.dir, Commit: b.commit}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // a failed one returns why
	return b
}

func (b *bench) commit(_ context.Context, t recording.Tick) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.ticks = append(b.ticks, t)
	return nil
}

func (b *bench) create(n int) *Writer {
	b.t.Helper()
	w, err := b.Create(recording.Header{ID: id(n), User: "alice", Lab: "tinker", Target: "home.tinker"}, []age.Recipient{auditor().Recipient()})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) path(n int) string { return filepath.Join(b.dir, id(n)+recording.Ext) }

// readAll returns a recording's frames, and how it ended. Without ids, auditor
// reads it.
func readAll(t testing.TB, dir, id string, ids ...age.Identity) ([]recording.Frame, error) {
	t.Helper()
	if ids == nil {
		ids = []age.Identity{auditor()}
	}
	r, err := recording.OpenRecording(dir, id, ids...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	var all []recording.Frame
	for {
		f, err := r.Next()
		if err != nil {
			return all, err
		}
		f.Data = bytes.Clone(f.Data)
		all = append(all, f)
	}
}

func TestRoundTrip(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	want := []recording.Frame{
		{At: 0, Channel: 0, Kind: recording.Request, Data: []byte(`{"type":"pty-req","term":"xterm","cols":80,"rows":24}`)},
		{At: 1500 * time.Microsecond, Channel: 0, Kind: recording.Output, Data: []byte("hello\r\n")},
		{At: 1500 * time.Microsecond, Channel: 7, Kind: recording.Error, Data: []byte{0, 0xff, 0x1b}},
		{At: time.Hour, Channel: 1<<32 - 1, Kind: recording.Resize, Data: []byte("120x40")},
		{At: time.Hour, Channel: 0, Kind: recording.Transfer, Data: bytes.Repeat([]byte(`x`), recording.MaxFrame)},
		{At: time.Hour, Channel: 0, Kind: recording.Exit, Data: []byte(`{"status":7}`)},
	}
	var at time.Duration
	for _, f := range want {
		b.clock.Advance(f.At - at)
		at = f.At
		b.must(w.Frame(f.Kind, f.Channel, f.Data))
	}
	sum, err := w.Close()
	b.must(err)
	if again, err := w.Close(); err != nil || again != sum {
		t.Errorf("second Close = %v, %v; want the same summary", again, err)
	}
	if err := w.Frame(recording.Output, 0, []byte("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("Frame after Close: %v", err)
	}
	if w.Err() != nil {
		t.Errorf("Err after a good Close: %v", w.Err())
	}
	got, err := readAll(t, b.dir, id(1))
	if !errors.Is(err, io.EOF) || len(got) != len(want) {
		t.Fatalf("%d frames, %v; want %d, EOF", len(got), err, len(want))
	}
	for i, f := range got {
		if f.At != want[i].At || f.Channel != want[i].Channel || f.Kind != want[i].Kind || !bytes.Equal(f.Data, want[i].Data) {
			t.Errorf("frame %d: %v on %d at %v, %d bytes", i, f.Kind, f.Channel, f.At, len(f.Data))
		}
	}
	info, err := recording.Verify(b.dir, id(1), recording.Expect{Head: w.HeaderHash()}, recording.Expect{Segments: sum.Segments, Head: sum.Head, Final: true})
	if err != nil || info.State != recording.Complete || info.Head != sum.Head || info.Size != sum.Bytes || info.End.Sub(info.Start) != time.Hour {
		t.Errorf("Verify = %+v, %v", info, err)
	}
	list, err := recording.List(b.dir)
	if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], info) {
		t.Errorf("List = %+v, %v\nwant %+v", list, err, info)
	}
}

func TestLongStreamsAreCutAndLongFactsRefused(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	b.must(w.Frame(recording.Output, 0, make([]byte, 3*streamFrame+1)))
	if err := w.Frame(recording.Request, 0, make([]byte, recording.MaxFrame+1)); err == nil || !isClosed(w.Failed()) {
		t.Errorf("an outsize request: %v, failed %v", err, isClosed(w.Failed()))
	}
	_, err := w.Close()
	b.must(err)
	got, err := readAll(t, b.dir, id(1))
	if !errors.Is(err, io.EOF) || len(got) != 5 || len(got[3].Data) != 1 || got[4].Kind != recording.Gap {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func TestTickCommitsWhatChanged(t *testing.T) {
	b := newBench(t, nil)
	one, two, idle := b.create(1), b.create(2), b.create(3)
	b.must(b.tick())
	if len(b.ticks) != 0 {
		t.Fatal("a tick without changes was committed")
	}
	b.must(two.Frame(recording.Output, 0, []byte("b")))
	b.must(one.Frame(recording.Output, 0, []byte("a")))
	b.must(b.tick())
	b.must(b.tick())
	b.must(one.Frame(recording.Output, 0, []byte("c")))
	sum, err := one.Close()
	b.must(err)
	b.must(b.tick())
	if len(b.ticks) != 2 {
		t.Fatalf("%d ticks, want 2", len(b.ticks))
	}
	first, err := recording.ReadTick(b.dir, b.ticks[0])
	b.must(err)
	if len(first) != 2 || first[0].ID != id(1) || first[1].ID != id(2) || first[0].Segments != 1 {
		t.Errorf("first tick: %+v", first)
	}
	second, err := recording.ReadTick(b.dir, b.ticks[1])
	b.must(err)
	if len(second) != 1 || second[0] != (recording.Change{ID: id(1), Segments: sum.Segments, Head: sum.Head}) {
		t.Errorf("second tick: %+v, want the closed recording", second)
	}
	if _, err := recording.Verify(b.dir, id(1), recording.Expect{Segments: first[0].Segments, Head: first[0].Head}, recording.Expect{Segments: second[0].Segments, Head: second[0].Head, Final: true}); err != nil {
		t.Error(err)
	}
	if info, err := recording.Verify(b.dir, id(2)); err != nil || info.State != recording.Live {
		t.Errorf("a running recording: %v, %v", info.State, err)
	}
	bad := b.ticks[0]
	bad.Root[0] ^= 1
	for name, tick := range map[string]recording.Tick{
		"root": bad, "count": {Root: b.ticks[0].Root, Changed: 1, List: b.ticks[0].List},
		"place": {Root: b.ticks[0].Root, Changed: 2, List: "../x:0:10"}, "other": {Root: b.ticks[0].Root, Changed: 2, List: b.ticks[1].List},
	} {
		if _, err := recording.ReadTick(b.dir, tick); err == nil {
			t.Errorf("a tick with a wrong %s was read", name)
		}
	}
	for _, w := range []*Writer{two, idle} {
		_, err := w.Close()
		b.must(err)
	}
	b.must(b.Close())
}

func TestSpoolHasOneWriter(t *testing.T) {
	b := newBench(t, nil)
	if _, err := Open(Options{Dir: b.dir, Commit: b.commit}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open: %v, want ErrInUse", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	b := newBench(t, nil)
	to := []age.Recipient{auditor().Recipient()}
	b.create(1)
	for name, h := range map[string]recording.Header{
		"an ID that is a path": {ID: "../../../../etc/cron.d/aaaa", User: "alice"},
		"a used ID":            {ID: id(1), User: "alice"},
		"a long field":         {ID: id(2), User: string(make([]byte, 1<<10+1))},
		"bad UTF-8":            {ID: id(2), User: "\xff"},
	} {
		if _, err := b.Create(h, to); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := b.Create(recording.Header{ID: id(2)}, nil); err == nil {
		t.Error("a recording that nobody could open was accepted")
	}
}

func TestQuotaEndsAndRefuses(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Quota = 4 << 10 })
	w := b.create(1)
	b.must(w.Frame(recording.Output, 0, noise(8<<10)))
	b.must(b.tick())
	if err := w.Frame(recording.Output, 0, []byte("x")); !errors.Is(err, ErrQuota) {
		t.Errorf("Frame over the quota: %v", err)
	}
	if _, err := w.Close(); err != nil {
		t.Errorf("Close over the quota: %v, want a sealed recording", err)
	}
	h := recording.Header{ID: id(2), User: "alice"}
	to := []age.Recipient{auditor().Recipient()}
	if _, err := b.Create(h, to); !errors.Is(err, ErrQuota) {
		t.Errorf("Create over the quota: %v", err)
	}
	h.User = "bob"
	other, err := b.Create(h, to)
	b.must(err)
	_, err = other.Close()
	b.must(err)
	frames, err := readAll(t, b.dir, id(1))
	if last := frames[len(frames)-1]; !errors.Is(err, io.EOF) || last.Kind != recording.Gap {
		t.Errorf("the recording ends with %v, %v; want a gap", last.Kind, err)
	}
	// Archiving makes room again.
	b.must(os.Remove(b.path(1)))
	b.clock.Advance(time.Minute)
	w, err = b.Create(recording.Header{ID: id(3), User: "alice"}, to)
	b.must(err)
	_, err = w.Close()
	b.must(err)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
