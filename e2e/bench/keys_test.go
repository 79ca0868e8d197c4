package bench

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// keystrokeRows are how long a key takes to show: alone, and while another user moves
// what there is.
func keystrokeRows(t *testing.T, r *run) {
	typists := map[string]*typist{}
	for _, side := range pair {
		typists[side] = newTypist(t, testkit.Must(r.client.over(byDefault, hostOf(side)))(t))
	}
	for range r.plan.rounds {
		r.typed(t, "keystroke, alone", pair, typists)
		for _, side := range pair {
			// The other side rests: its bulk would be in this one's way too.
			stop := moving(t, testkit.Must(r.client.over(byDefault, other(hostOf(side))))(t))
			r.typed(t, "keystroke, beside another user's bulk", []string{side}, typists)
			stop()
		}
	}
}

// typed notes two percentiles of a round's keystrokes; the sides take turns key by key.
func (r *run) typed(t *testing.T, name string, sides []string, typists map[string]*typist) {
	t.Helper()
	took := map[string][]float64{} // in microseconds
	for range r.plan.keys {
		for _, side := range sides {
			one, err := typists[side].echo()
			if err != nil {
				t.Fatalf("%s, %s: %v", name, side, err)
			}
			took[side] = append(took[side], float64(one.Nanoseconds())/1e3)
		}
	}
	for _, side := range sides {
		r.add(name+", p50", "µs", side, quantile(took[side], 0.50))
		r.add(name+", p99", "µs", side, quantile(took[side], 0.99))
	}
}

// quantile is the value below which that part of them lies; 0 of none.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[int(q*float64(len(sorted)-1))]
}

// moving takes what one user can of a connection until stop: four streams at full
// speed, which are under way once it returns.
func moving(t *testing.T, p *path) (stop func()) {
	t.Helper()
	var stops []func()
	for range 4 {
		cmd := p.ssh(nil, "cat /dev/zero")
		out, err := cmd.StdoutPipe()
		testkit.Check(t, err)
		testkit.OwnGroup(cmd)
		testkit.Check(t, cmd.Start())
		under, ended := make(chan error, 1), make(chan struct{})
		go func() {
			defer close(ended)
			_, err := io.CopyN(io.Discard, out, 64<<10)
			under <- err
			_, _ = io.Copy(io.Discard, out) // until it is killed
		}()
		stops = append(stops, func() {
			testkit.KillGroup(cmd)
			<-ended
			_ = cmd.Wait() // killed: its status says nothing
		})
		if err := testkit.Receive(t, "bulk is under way", under); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, f := range stops {
			f()
		}
	}
}

// typist is a remote terminal that echoes bytes.
type typist struct {
	in  io.Writer
	out *bufio.Reader
	n   byte
}

func newTypist(t *testing.T, p *path) *typist {
	t.Helper()
	cmd := p.ssh([]string{"-tt"}, "stty raw -echo; echo ready; exec cat")
	in, err := cmd.StdinPipe()
	testkit.Check(t, err)
	out, err := cmd.StdoutPipe()
	testkit.Check(t, err)
	testkit.OwnGroup(cmd)
	testkit.Check(t, cmd.Start())
	t.Cleanup(func() {
		testkit.KillGroup(cmd)
		_ = cmd.Wait() // killed: its status says nothing
	})
	y := &typist{in: in, out: bufio.NewReader(out)}
	testkit.Finishes(t, "the terminal is ready", func() {
		for line := ""; err == nil && line != "ready\n"; {
			line, err = y.out.ReadString('\n')
		}
	})
	testkit.Check(t, err)
	return y
}

// echo types a byte and waits for it.
func (y *typist) echo() (time.Duration, error) {
	key := 'a' + y.n%26
	y.n++
	began := time.Now()
	if _, err := y.in.Write([]byte{key}); err != nil {
		return 0, err
	}
	got, err := y.out.ReadByte()
	took := time.Since(began)
	if err == nil && got != key {
		err = fmt.Errorf("typed %q, saw %q", key, got)
	}
	return took, err
}
