//go:build linux

package spool

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/session/recording"
)

// crash is the child: it records without end and says on its standard output
// how many frames each tick made durable.
func crash(dir string) {
	fatal := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var frames int // before the tick; written and read between ticks only
	d, err := openDirectory(dir)
	if err != nil {
		fatal(err)
	}
	s, err := open(Options{Dir: dir, Commit: func(_ context.Context, t recording.Tick) error {
		_, err := fmt.Println("tick", frames, t.Changed, t.List, fmt.Sprintf("%x", t.Root))
		return err
	}}, d)
	if err != nil {
		fatal(err)
	}
	to, err := age.ParseX25519Recipient(os.Getenv("RECORDING_CRASH_TO"))
	if err != nil {
		fatal(err)
	}
	w, err := s.Create(recording.Header{ID: id(1), User: "alice", Target: "home.tinker"}, []age.Recipient{to})
	if err != nil {
		fatal(err)
	}
	data := noise(9000)
	for {
		for range 50 {
			if err := w.Frame(recording.Output, 0, data); err != nil {
				fatal(err)
			}
			frames++
		}
		if err := s.tick(); err != nil {
			fatal(err)
		}
	}
}

func TestKillLosesAtMostTheLastTick(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RECORDING_CRASH_DIR="+dir, "RECORDING_CRASH_TO="+auditor().Recipient().String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last []string
	sc := bufio.NewScanner(out)
	for n := 0; sc.Scan(); n++ {
		last = strings.Fields(sc.Text())
		if n == 5 {
			if info, err := recording.Verify(dir, id(1)); err != nil || info.State != recording.Live {
				t.Errorf("while it runs: %v, %v", info.State, err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	if len(last) != 5 {
		t.Fatalf("the last tick said %q", last)
	}
	durable, err := strconv.Atoi(last[1])
	if err != nil {
		t.Fatal(err)
	}
	frames, err := readAll(t, dir, id(1))
	if !errors.Is(err, recording.ErrTruncated) || len(frames) < durable {
		t.Fatalf("%d frames, %v; want the %d of the last tick, then ErrTruncated", len(frames), err, durable)
	}
	if _, err := recording.Verify(dir, id(1)); err == nil {
		t.Error("an unsealed recording passes before anybody marked it")
	}
	root, err := hex.DecodeString(last[4])
	if err != nil {
		t.Fatal(err)
	}
	list, err := recording.ReadTick(dir, recording.Tick{List: last[3], Changed: 1, Root: [32]byte(root)})
	if err != nil {
		t.Fatal(err)
	}
	var reports int
	found, err := Recover(dir, func(recording.Aborted) error { reports++; return nil })
	if err != nil || len(found) != 1 || reports != 1 || found[0].Segments < list[0].Segments {
		t.Fatalf("Recover = %+v, %v", found, err)
	}
	if again, err := Recover(dir, nil); err != nil || len(again) != 0 {
		t.Errorf("Recover again = %+v, %v", again, err)
	}
	info, err := recording.Verify(dir, id(1), recording.Expect{Segments: list[0].Segments, Head: list[0].Head},
		recording.Expect{Segments: found[0].Segments, Head: found[0].Head, Aborted: true})
	if err != nil || info.State != recording.StateAborted {
		t.Errorf("Verify = %v, %v", info.State, err)
	}
}

func TestRecoverReportsBeforeItMarks(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	b.must(w.Frame(recording.Output, 0, []byte("x")))
	b.must(b.tick())
	if found, err := Recover(b.dir, nil); err != nil || len(found) != 0 {
		t.Errorf("a live recording was taken for a leftover: %+v, %v", found, err)
	}
	b.must(b.Close())
	refuse := errors.New("the log is full")
	if _, err := Recover(b.dir, func(recording.Aborted) error { return refuse }); !errors.Is(err, refuse) {
		t.Fatalf("Recover = %v", err)
	}
	found, err := Recover(b.dir, func(recording.Aborted) error { return nil })
	if err != nil || len(found) != 1 || found[0].Segments != 1 || found[0].Header.User != "alice" {
		t.Errorf("Recover after a refused report = %+v, %v", found, err)
	}
}

func TestRecoverOfNoSpool(t *testing.T) {
	if found, err := Recover(t.TempDir()+"/none", nil); err != nil || found != nil {
		t.Errorf("Recover = %v, %v", found, err)
	}
}

// panicInTick is the child: its spool's clock panics where a tick is committed.
func panicInTick(dir string) {
	s, err := Open(Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { panic("broken") }})
	if err != nil {
		panic(err)
	}
	w, err := s.Create(recording.Header{ID: id(1)}, []age.Recipient{auditor().Recipient()})
	if err != nil {
		panic(err)
	}
	_ = w.Frame(recording.Output, 0, []byte("x")) // the next tick has something to commit
	select {}                                     // the process ends under it
}

// Without its ticks a spool would go on as if what it records were durable.
func TestPanicInTheTickEndsTheProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RECORDING_PANIC_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the process ended with %v\n%s", err, out)
	}
	for _, want := range []string{"entry: the spool's tick can't go on", "panic: broken"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
}
