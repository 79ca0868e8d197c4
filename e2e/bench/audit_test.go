package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

// auditRows are how many records a second are durable: of the log, and of what a plain
// one would do, a write and an fdatasync each. A single caller pays for the checkpoint;
// many share it.
func auditRows(t *testing.T, r *run) {
	e := audit.Event{Type: audit.ExecRequested, Conn: "01JCONN", Session: "01JSESS", User: "alice", Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", Program: "rsync"}
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.bench")
	testkit.Check(t, err)
	log, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{Key: signer, Witness: filepath.Join(dir, "witness")})
	testkit.Check(t, err)
	defer func() { testkit.Check(t, log.Close()) }()
	plain, err := os.OpenFile(filepath.Join(dir, "plain"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	testkit.Check(t, err)
	defer plain.Close()
	var mu sync.Mutex // for plain
	ways := map[string]func() error{
		"entry": func() error { return log.Append(context.Background(), e) },
		"plain log": func() error {
			mu.Lock()
			defer mu.Unlock()
			if _, err := plain.Write(append(e.AppendJSON(nil), '\n')); err != nil {
				return err
			}
			return syscall.Fdatasync(int(plain.Fd()))
		},
	}
	during := time.Second
	if !r.plan.measured {
		during = 50 * time.Millisecond
	}
	for _, callers := range []int{1, 16, 256} {
		name := fmt.Sprintf("audit, %d callers", callers)
		r.turns(t, name, []string{"plain log", "entry"}, func(side string) error {
			n, took, err := appends(callers, during, ways[side])
			if err == nil {
				r.add(name, "appends/s", side, float64(n)/took.Seconds())
			}
			return err
		})
	}
}

// appends has callers append for a time, and counts.
func appends(callers int, during time.Duration, one func() error) (n int, took time.Duration, err error) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	began := time.Now()
	for range callers {
		all.Go(func() {
			mine, failed := 0, error(nil)
			for ; failed == nil && time.Since(began) < during; mine++ {
				failed = one()
			}
			mu.Lock()
			defer mu.Unlock()
			n += mine
			if err == nil {
				err = failed
			}
		})
	}
	all.Wait()
	return n, time.Since(began), err
}
