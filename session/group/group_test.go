package group

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

func TestPanicEndsItsGroupOnly(t *testing.T) {
	t.Parallel()
	told := make(chan *Panic, 1)
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := New(parent, func(p *Panic) { told <- p })
	other := New(parent, nil)
	g.Go("first", func() { panic("broken") })
	g.Go("second", func() { <-g.Context().Done() })
	g.Wait()
	var p *Panic
	if !errors.As(context.Cause(g.Context()), &p) || p.Name != "first" || p.Value != "broken" {
		t.Fatalf("cause is %v", context.Cause(g.Context()))
	}
	if !strings.Contains(p.Error(), "group_test.go") {
		t.Errorf("no stack of the place that panicked: %v", p)
	}
	if <-told != p {
		t.Error("told of another panic")
	}
	if parent.Err() != nil || other.Context().Err() != nil {
		t.Error("a panic ended more than its group")
	}
}

func TestRunKeepsPanicOnCallersGoroutine(t *testing.T) {
	t.Parallel()
	g := New(t.Context(), nil)
	g.Run("here", func() { panic(errors.New("broken")) })
	if g.Context().Err() == nil {
		t.Error("the group goes on after a panic")
	}
}

func TestFirstCauseCounts(t *testing.T) {
	t.Parallel()
	g := New(t.Context(), nil)
	first := errors.New("first")
	g.Cancel(first)
	g.Go("late", func() { panic("second") })
	g.Wait()
	if got := context.Cause(g.Context()); !errors.Is(got, first) {
		t.Errorf("cause is %v", got)
	}
}

// What starts goroutines of a group need not belong to it: with a
// sync.WaitGroup, this test is a race.
func TestGoWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	g := New(t.Context(), nil)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		for range 1000 {
			g.Wait()
		}
	}()
	var ran atomic.Int64
	for range 1000 {
		g.Go("late", func() { ran.Add(1) })
	}
	<-waited
	g.Wait()
	if n := ran.Load(); n != 1000 {
		t.Errorf("%d of 1000 had run when Wait returned", n)
	}
}

// A panic in a Vital goroutine can only be seen from outside the process.
func TestVitalEndsTheProcess(t *testing.T) {
	if os.Getenv("ENTRY_TEST_VITAL") != "" {
		<-Vital("the log's writer", func() { panic("broken") })
		select {} // the process ends under it
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestVitalEndsTheProcess$")
	cmd.Env = append(os.Environ(), "ENTRY_TEST_VITAL=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the process ended with %v\n%s", err, out)
	}
	for _, want := range []string{"entry: the log's writer can't go on", "panic: broken", "group_test.go"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
}
