//go:build linux

package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestFullDiskIsNotFinal finds no room in each step that needs some, once. A full
// disk once ended the server: nothing is acknowledged meanwhile, nothing of it
// stays, and the log goes on as soon as there is room.
func TestFullDiskIsNotFinal(t *testing.T) {
	for _, fault := range batchSteps {
		if strings.HasPrefix(string(fault), "sync ") {
			continue // what wasn't synced may be lost
		}
		t.Run(string(fault), func(t *testing.T) {
			p := newPlace(t)
			armed := false
			l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
				if armed && s == fault {
					armed = false
					return syscall.ENOSPC
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, Event{Type: ServerStarted})
			armed = true
			if err := l.Append(t.Context(), Event{Type: LoginSucceeded, User: "alice"}); !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("Append: %v", err)
			}
			if isClosed(l.Failed()) {
				t.Fatal("the log has failed for good")
			}
			mustAppend(t, l, Event{Type: ServerStopped})
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if rep, err := p.verify(); err != nil || rep.Witnessed != rep.Events {
				t.Errorf("%+v, %v", rep, err)
			}
			want := []Type{ServerStarted, ServerStopped}
			if fault == "write checkpoints" { // in the log, and never acknowledged
				want = []Type{ServerStarted, LoginSucceeded, ServerStopped}
			}
			mustAppend(t, p.open(t), Event{Type: ServerStarted}) // the start repairs nothing
			if got := typesOf(events(t, p.dir)); !slices.Equal(got, append(want, ServerStarted)) {
				t.Errorf("the log has %v", got)
			}
		})
	}
}

func typesOf(all []Event) []Type {
	var out []Type
	for _, e := range all {
		out = append(out, e.Type)
	}
	return out
}

// TestSpaceOnASmallDisk fills a real file system by degrees, then wholly, from
// another program: the log says what there is, loses nothing, and comes back.
func TestSpaceOnASmallDisk(t *testing.T) {
	p := newPlace(t)
	if !mountSmall(t, p.dir, "size=8m") {
		return
	}
	o := p.options()
	o.Reserve = 4 << 20
	l, err := Open(p.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(p.dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for _, step := range []struct {
		leave int64 // bytes
		want  Space
	}{{4<<20 + 256<<10, Ample}, {3 << 20, Reserved}, {1 << 20, Scarce}, {256 << 10, Spent}} {
		size := 8<<20 - step.leave
		if _, err := filler.WriteAt(make([]byte, size), 0); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "space "+step.want.String(), func() bool { return l.Space() == step.want })
		mustAppend(t, l, Event{Type: LoginFailed, Reason: step.want.String()})
	}
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	var full error
	for full == nil { // what is left of a page takes a few
		full = l.Append(t.Context(), Event{Type: LoginSucceeded, Detail: strings.Repeat("x", 500)})
	}
	if !errors.Is(full, ErrFull) || isClosed(l.Failed()) {
		t.Fatalf("on the full disk: %v", full)
	}
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "space ample", func() bool { return l.Space() == Ample })
	mustAppend(t, l, Event{Type: ServerStopped})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.verify(); err != nil {
		t.Error(err)
	}
	var said []string
	for _, e := range events(t, p.dir) {
		if e.Type == AlarmLogSpace {
			said = append(said, e.Reason)
		}
	}
	if want := []string{"reserved", "scarce", "spent", "ample"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSpaceDoesNotFlap: what is written and removed at an edge is no flood of
// events.
func TestSpaceDoesNotFlap(t *testing.T) {
	const reserve = 800
	now := Ample
	for _, c := range []struct {
		free int64
		want Space
	}{{800, Ample}, {799, Reserved}, {800, Reserved}, {899, Reserved}, {900, Ample}, {399, Scarce}, {410, Scarce}, {500, Reserved}, {99, Spent}, {150, Spent}, {200, Scarce}, {0, Spent}, {10_000, Ample}} {
		if now = spaceOf(c.free, reserve, now); now != c.want {
			t.Errorf("%d free: %v, want %v", c.free, now, c.want)
		}
	}
}

// TestLogSeesThatItsFilesAreGone does to each file what logrotate, an operator
// and an intruder do. Within two seconds the log has failed, and says so where
// it was; the server that answered success into a renamed file is no more.
func TestLogSeesThatItsFilesAreGone(t *testing.T) {
	for what, do := range map[string]func(path string) error{
		"renamed":    func(p string) error { return os.Rename(p, p+".1") },
		"removed":    os.Remove,
		"made again": func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o600)) },
		"a link":     func(p string) error { return errors.Join(os.Rename(p, p+".1"), os.Symlink(p+".1", p)) },
		"truncated":  func(p string) error { return os.Truncate(p, 1) },
		// Within the tick of its last write, so that no date tells.
		"cut and grown again": func(p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.Truncate(p, 0), os.Truncate(p, info.Size()))
		},
		"overwritten": func(p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.WriteFile(p, bytes.Repeat([]byte("x"), int(info.Size())), 0))
		},
		"written to": func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("x")
			return errors.Join(err, f.Close())
		},
	} {
		for _, name := range []string{eventsName, hashesName, checkpointName, lockName, witnessName} {
			if name == lockName && slices.Contains([]string{"truncated", "cut and grown again", "overwritten"}, what) {
				continue // it is empty
			}
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t)
				l := p.open(t)
				mustAppend(t, l, Event{Type: ServerStarted})
				path := p.path(name)
				if name == witnessName {
					path = filepath.Join(p.witness, name)
				}
				if err := do(path); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				select {
				case <-l.Failed(): // by itself: nobody appends
				case <-time.After(testkit.Bound(2 * time.Second)):
					t.Fatalf("not noticed after %v", time.Since(began))
				}
				err := l.Append(t.Context(), Event{Type: LoginSucceeded})
				if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), path) {
					t.Errorf("Append: %v", err)
				}
				_ = l.Close()
				// What is left of the log ends with the alarm.
				left := p.path(eventsName)
				if name == eventsName {
					switch left += ".1"; what {
					case "truncated", "written to", "removed", "made again", "cut and grown again", "overwritten":
						return
					}
				}
				b, err := os.ReadFile(left)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(b)), "\n")
				if last := lines[len(lines)-1]; !strings.Contains(last, `"type":"alarm.file-gone","reason":"audit-log","detail":"`+name+" ") {
					t.Errorf("the last line is %s", last)
				}
			})
		}
	}
}

// TestLogSeesABatchIntoARenamedFile: what was appended right after the file was
// renamed isn't acknowledged.
func TestLogSeesABatchIntoARenamedFile(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	if err := os.Rename(p.path(eventsName), p.path(eventsName)+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), Event{Type: LoginSucceeded}); !errors.Is(err, ErrGone) {
		t.Errorf("Append: %v", err)
	}
	_ = l.Close()
	// A start says what to do, and the file put back is whole.
	if _, err := Open(p.dir, p.options()); err == nil || !strings.Contains(err.Error(), "if it was rotated, put it back") {
		t.Errorf("Open: %v", err)
	}
	if err := os.Rename(p.path(eventsName)+".1", p.path(eventsName)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, p.open(t), Event{Type: ServerStarted})
	if _, err := p.verify(); err != nil {
		t.Error(err)
	}
}

// TestFilesOnASmallDisk takes the files of a real file system by degrees, then all of
// them, and leaves its bytes: the log says so as of bytes, and goes on without one.
func TestFilesOnASmallDisk(t *testing.T) {
	p := newPlace(t)
	if !mountSmall(t, p.dir, "size=64m,nr_inodes=256") {
		return
	}
	o := p.options()
	o.Reserve = 16 << 20 // 64 files
	l, err := Open(p.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, Event{Type: ServerStarted})
	made := 0
	fill := func(leave uint64) {
		t.Helper()
		for {
			var st syscall.Statfs_t
			if err := syscall.Statfs(p.dir, &st); err != nil {
				t.Fatal(err)
			}
			if st.Ffree <= leave {
				return
			}
			f, err := os.Create(filepath.Join(p.dir, "filler."+strconv.Itoa(made)))
			if err != nil {
				t.Fatal(err)
			}
			made++
			_ = f.Close() // it is empty
		}
	}
	for _, step := range []struct {
		leave uint64
		want  Space
	}{{70, Ample}, {50, Reserved}, {20, Scarce}, {4, Spent}, {0, Spent}} {
		fill(step.leave)
		testkit.Eventually(t, "space "+step.want.String(), func() bool { return l.Space() == step.want })
		for range 3 { // each has another checkpoint
			mustAppend(t, l, Event{Type: LoginFailed, Reason: step.want.String()})
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.verify(); err != nil {
		t.Error(err)
	}
	// A start needs none either.
	if l, err = Open(p.dir, o); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, Event{Type: ServerStarted})
	for i := range made {
		if err := os.Remove(filepath.Join(p.dir, "filler."+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "space ample", func() bool { return l.Space() == Ample })
	mustAppend(t, l, Event{Type: ServerStopped})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.verify(); err != nil {
		t.Error(err)
	}
	var said []string
	for _, e := range events(t, p.dir) {
		if e.Type == AlarmLogSpace {
			said = append(said, e.Reason)
			if !strings.Contains(e.Detail, " more files (inodes) can be made)") {
				t.Errorf("said %s", e.Detail)
			}
		}
	}
	if want := []string{"reserved", "scarce", "spent", "spent", "ample"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// mountSmall mounts a file system of that size at dir, as only root can.
func mountSmall(t *testing.T, dir, size string) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return false
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("audit", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, size+",mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}
