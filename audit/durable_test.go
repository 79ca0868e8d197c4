//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// step is one operation on the disk, as "write events.jsonl".
type step string

// watchedDisk does the real thing, after asking.
type watchedDisk struct {
	realDisk
	ask   func(step) error
	files func() error // asked before a file is made; nil makes it
}

func (d watchedDisk) create(dir *os.Root, name string) (*os.File, error) {
	if d.files != nil {
		if err := d.files(); err != nil {
			return nil, err
		}
	}
	return d.realDisk.create(dir, name)
}

func (d watchedDisk) write(f *os.File, p []byte) error {
	if err := d.ask(step("write " + filepath.Base(f.Name()))); err != nil {
		_, _ = f.Write(p[:len(p)/2]) // what a full disk leaves
		return err
	}
	return d.realDisk.write(f, p)
}

func (d watchedDisk) sync(f *os.File, dataOnly bool) error {
	name := filepath.Base(f.Name())
	if info, err := f.Stat(); err == nil && info.IsDir() {
		name = "directory"
	}
	if err := d.ask(step("sync " + name)); err != nil {
		return err
	}
	return d.realDisk.sync(f, dataOnly)
}

func (d watchedDisk) rename(dir *os.Root, from, to string) error {
	if err := d.ask(step("rename " + to)); err != nil {
		return err
	}
	return d.realDisk.rename(dir, from, to)
}

// batchSteps is what one batch does, in this order.
var batchSteps = []step{
	"write events.jsonl", "sync events.jsonl", "write hashes",
	"write checkpoint.new", "sync checkpoint.new", "rename checkpoint", "sync directory",
	"write checkpoints", "sync checkpoints",
}

// TestAppendAnswersAfterTheDisk stops the disk before each step of a batch and
// sees that Append hasn't answered.
func TestAppendAnswersAfterTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		steps, allow := make(chan step), make(chan struct{})
		gated := false
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if gated {
				steps <- s
				<-allow
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		gated = true
		done := make(chan error, 1)
		go func() { done <- l.Append(t.Context(), Event{Type: LoginSucceeded}) }()
		for _, want := range batchSteps {
			got := <-steps
			synctest.Wait()
			if got != want {
				t.Errorf("step %q, want %q", got, want)
			}
			select {
			case err := <-done:
				t.Fatalf("Append answered (%v) before %q", err, got)
			default:
			}
			allow <- struct{}{}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		gated = false
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGroupCommit: what waits while one batch syncs goes into the next as one,
// and a full queue blocks until ctx ends.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		gate := make(chan struct{})
		syncs, gated := 0, false
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if gated && s == "sync events.jsonl" {
				syncs++
				<-gate
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		gated = true
		var wg sync.WaitGroup
		enqueue := func(n int) {
			for range n {
				wg.Go(func() {
					if err := l.Append(t.Context(), Event{Type: LoginFailed}); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
		}
		enqueue(1) // at work
		enqueue(queueLen)
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		over := make(chan error, 1)
		go func() { over <- l.Append(ctx, Event{Type: LoginFailed}) }()
		synctest.Wait()
		select {
		case err := <-over:
			t.Fatalf("a full queue answered: %v", err)
		default:
		}
		cancel(left)
		if err := <-over; !errors.Is(err, left) {
			t.Errorf("%v", err)
		}
		close(gate)
		wg.Wait()
		_ = l.Close()
		if syncs != 2 {
			t.Errorf("%d syncs for %d calls, want 2", syncs, 1+queueLen)
		}
		if rep, err := p.verify(); err != nil || rep.Events != 1+queueLen {
			t.Errorf("%v, %v", rep, err)
		}
	})
}

// TestFaultIsFinal fails each step of a batch once, with the disk well again
// afterwards. The log must not go on, and the next start must find every
// acknowledged event. A full disk is a fault like any other only where it shows
// in a sync; see TestFullDiskIsNotFinal.
func TestFaultIsFinal(t *testing.T) {
	for _, fault := range batchSteps {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
			if errno == syscall.ENOSPC && !strings.HasPrefix(string(fault), "sync ") {
				continue
			}
			t.Run(fmt.Sprint(fault, " ", errno), func(t *testing.T) {
				p := newPlace(t)
				armed := false
				l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
					if armed && s == fault {
						armed = false
						return errno
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				mustAppend(t, l, Event{Type: ServerStarted})
				armed = true
				err = l.Append(t.Context(), Event{Type: LoginSucceeded, User: "never"})
				if !errors.Is(err, errno) {
					t.Fatalf("Append: %v", err)
				}
				if again := l.Append(t.Context(), Event{Type: LoginFailed}); !errors.Is(again, err) {
					t.Errorf("the next Append: %v", again)
				}
				if !isClosed(l.Failed()) {
					t.Error("Failed is open")
				}
				if closed := l.Close(); !errors.Is(closed, errno) {
					t.Errorf("Close: %v", closed)
				}
				l = p.open(t)
				mustAppend(t, l, Event{Type: ServerStopped})
				_ = l.Close()
				if _, err := p.verify(); err != nil {
					t.Error(err)
				}
				got := events(t, p.dir)
				if got[0].Type != ServerStarted || got[len(got)-1].Type != ServerStopped {
					t.Errorf("%v", got)
				}
				clean := fault == "sync checkpoints" // everything was written, and a sync can't be seen
				covered := slices.Contains(batchSteps[:slices.Index(batchSteps, fault)], "rename checkpoint")
				for _, e := range got[1 : len(got)-1] {
					if e.Type == LogRecovered {
						clean = true
					}
					if e.User == "never" && !covered {
						t.Errorf("what no checkpoint covered became a part of the log: %+v", e)
					}
				}
				if !clean {
					t.Errorf("nothing says what was recovered: %v", got)
				}
			})
		}
	}
}

// TestOpenFails when the disk does, and leaves nothing locked.
func TestOpenFails(t *testing.T) {
	for _, fault := range []step{"write checkpoint.new", "sync checkpoint.new", "rename checkpoint", "sync directory", "write checkpoints", "sync checkpoints", "sync events.jsonl"} {
		p := newPlace(t)
		_, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if s == fault {
				return syscall.EIO
			}
			return nil
		}})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", fault, err)
		}
		l, err := Open(p.dir, p.options())
		if err != nil {
			t.Errorf("after %s: %v", fault, err)
			continue
		}
		mustAppend(t, l, Event{Type: ServerStarted})
		_ = l.Close()
		if _, err := p.verify(); err != nil {
			t.Errorf("after %s: %v", fault, err)
		}
	}
}

// TestWitnessUnavailable: a configured witness that can't be written stops the
// log; one that isn't mounted stops the start.
func TestWitnessUnavailable(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 1)
	away := p.witness + ".away"
	if err := os.Rename(p.witness, away); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(p.dir, p.options()); err == nil {
		_ = l.Close()
		t.Error("opened without its witness directory")
	}
	if err := os.Rename(away, p.witness); err != nil {
		t.Fatal(err)
	}
	p.fill(t, 1)
}

// TestVerifyBesideAWriter: lines that the writer hasn't signed yet are no
// fault while it lives, and are said.
func TestVerifyBesideAWriter(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	half := []byte(lineHead + "2,")
	if _, err := l.events.Write(half); err != nil { // as a write in progress looks
		t.Fatal(err)
	}
	rep, err := p.verify()
	if err != nil || rep.Events != 1 || rep.Uncovered.Bytes != int64(len(half)) {
		t.Errorf("%v, %v", rep, err)
	}
	if n := len(events(t, p.dir)); n != 1 {
		t.Errorf("Read yields %d events", n)
	}
	_ = l.Close()
	again, err := p.verify()
	if err != nil || again.Uncovered != rep.Uncovered || again.Events != 1 {
		t.Errorf("the writer gone: %+v, %v", again, err)
	}
}
