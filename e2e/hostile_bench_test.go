package e2e

import (
	"slices"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// hostile takes all that one user can through r until stop: four transfers at full
// speed, and programs started one after the other.
func (r *rig) hostile(b *testing.B) (stop func()) {
	b.Helper()
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		cmd := r.exec(nil, "cat /dev/zero")
		testkit.OwnGroup(cmd)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			<-done
			testkit.KillGroup(cmd)
			_ = cmd.Wait() // killed: its status says nothing
		})
	}
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = r.exec(nil, "true").Run() // it may be cut by the end
			}
		}
	})
	return func() {
		close(done)
		all.Wait()
	}
}

// BenchmarkBesideAHostileUser types at eight terminals of one user, alone and beside
// another user who takes what there is, through sshd and through entry: what that
// costs the first one here is to be held against what it costs there.
func BenchmarkBesideAHostileUser(b *testing.B) {
	const terminals, keys = 8, 150
	c, jump, _, _ := plainPair(b)
	s, _ := quickSite(b, recordAll())
	others, hostile := s.client(s.enrolled("bob")), s.client(s.enrolled("alice"))
	ways := []struct{ typing, taking *rig }{
		{newRig(b, "plain", c, jump.Cmd.Process.Pid), newRig(b, "plain", c, jump.Cmd.Process.Pid)},
		{newRig(b, "entry", others, s.proc.Cmd.Process.Pid), newRig(b, "entry", hostile, s.proc.Cmd.Process.Pid)},
	}
	var typists [2][]*typist
	for i, w := range ways {
		for range terminals {
			typists[i] = append(typists[i], newTypist(b, w.typing))
		}
	}
	var took [2][2][]time.Duration // by way, alone and beside
	typed := func(way, load int) {
		for range keys {
			for _, y := range typists[way] {
				took[way][load] = append(took[way][load], y.echo(b))
			}
		}
	}
	for b.Loop() {
		for way, w := range ways {
			typed(way, 0)
			stop := w.taking.hostile(b)
			typed(way, 1)
			stop()
		}
	}
	at := func(way, load int, q float64) float64 {
		all := took[way][load]
		slices.Sort(all)
		return float64(all[int(q*float64(len(all)-1))].Microseconds())
	}
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		var slower [2]float64
		for way, w := range ways {
			slower[way] = at(way, 1, q.q) / at(way, 0, q.q)
			b.ReportMetric(at(way, 1, q.q), w.typing.name+"-"+q.name+"-µs-beside")
			b.ReportMetric(slower[way], w.typing.name+"-"+q.name+"-slower")
		}
		b.ReportMetric(slower[1]/slower[0], q.name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}
