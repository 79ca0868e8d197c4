//go:build linux

package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestVerifyTrustsNoLock: who holds the lock of a directory needn't be a writer. Lines
// that nobody signs are told, after the time that a writer would take, and no sooner.
func TestVerifyTrustsNoLock(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 2)
	p.write(t, eventsName, append(p.read(t, eventsName), "forged\n"...))
	held, err := os.Open(p.path(lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := flock(held, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]time.Duration{0: growWait, -time.Hour: growWait, 2 * time.Second: growWait - 2*time.Second, time.Hour: 0} {
		began := time.Now()
		if err := os.Chtimes(p.path(eventsName), time.Time{}, began.Add(-age)); err != nil {
			t.Fatal(err)
		}
		now := began
		rep, err := p.verifyWith(patience{func() time.Time { return now }, func(d time.Duration) { now = now.Add(d) }})
		if err != nil || rep.Events != 2 || rep.Uncovered.Lines != 1 || rep.Uncovered.Bytes != 7 {
			t.Errorf("written %v ago: %+v, %v", age, rep, err)
		}
		if waited := now.Sub(began); waited < want || waited > want+growEvery {
			t.Errorf("written %v ago: waited %v, want %v", age, waited, want)
		}
	}
}

// TestVerifyReadsOn lets a writer get on while it is verified, from every moment of a
// batch: what comes to be signed meanwhile is judged like the rest.
func TestVerifyReadsOn(t *testing.T) {
	whole := newPlace(t)
	l := whole.open(t)
	type state struct{ log, signed, witness []byte }
	var states []state
	look := func() {
		witness, err := os.ReadFile(filepath.Join(whole.witness, witnessName))
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, state{whole.read(t, eventsName), whole.read(t, checkpointName), witness})
	}
	for _, batch := range [][]Event{{{Type: ServerStarted}}, {{Type: LoginSucceeded}, {Type: LoginFailed}}, {{Type: LoginFailed}}, {{Type: ServerStopped}}} {
		mustAppend(t, l, batch...)
		look()
	}
	_ = l.Close()
	first, second, third, last := states[0], states[1], states[2], states[3]
	cut := func(b []byte) []byte { return b[:len(b)-20] }
	for name, c := range map[string]struct {
		from, to  state
		spoil     func(b []byte) []byte // the log, once it has grown
		events    uint64
		witnessed uint64
		bad       uint64 // line
	}{
		"events first":          {state{second.log, first.signed, first.witness}, second, nil, 3, 3, 0},
		"half an event":         {state{cut(second.log), first.signed, first.witness}, second, nil, 3, 3, 0},
		"the witness comes":     {state{last.log, second.signed, cut(second.witness)}, last, nil, 5, 5, 0},
		"the witness is late":   {state{last.log, third.signed, first.witness}, last, nil, 5, 5, 0},
		"only the witness":      {state{last.log, last.signed, cut(last.witness)}, last, nil, 5, 5, 0},
		"signed, and changed":   {state{second.log, first.signed, first.witness}, second, func(b []byte) []byte { return bytes.Replace(b, []byte("login.failed"), []byte("login.locked"), 1) }, 0, 0, 3},
		"signed, and cut again": {state{second.log, first.signed, first.witness}, second, cut, 0, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.signer, p.verifier = whole.signer, whole.verifier
			put := func(s state) {
				for path, b := range map[string][]byte{p.path(eventsName): s.log, p.path(checkpointName): s.signed, filepath.Join(p.witness, witnessName): s.witness} {
					if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := f.Write(b); err != nil {
						t.Fatal(err)
					}
					if err := f.Truncate(int64(len(b))); err != nil {
						t.Fatal(err)
					}
					_ = f.Close()
				}
			}
			put(c.from)
			now, n := time.Now(), 0
			rep, err := p.verifyWith(patience{func() time.Time { return now }, func(d time.Duration) {
				now = now.Add(d)
				if n++; n == 30 { // three seconds later
					to := c.to
					if c.spoil != nil {
						to.log = c.spoil(to.log)
					}
					put(to)
				}
			}})
			if c.bad > 0 {
				var bad *BadRecord
				if !errors.As(err, &bad) || bad.Line > c.bad || max(bad.Line, bad.Through) < c.bad {
					t.Errorf("%v, want line %d named", err, c.bad)
				}
				return
			}
			if err != nil || rep.Events != c.events || rep.Witnessed != c.witnessed || rep.Uncovered.Bytes != 0 || rep.WitnessCut {
				t.Fatalf("%+v, %v", rep, err)
			}
			if n != 30 {
				t.Errorf("looked %d times", n)
			}
		})
	}
}
