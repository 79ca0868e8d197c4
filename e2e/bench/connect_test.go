package bench

import (
	"fmt"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// clients are alice's, through a side's jump host.
func (r *run) clients(t *testing.T, side string) *role {
	t.Helper()
	job := clientsJob{Key: testkit.ReadFile(t, r.keys["alice"]), Jump: r.addr(), Name: "entry:22", User: "alice", Target: full + ":22", Login: "anybody", Trust: []string{r.hostCA()}}
	if side == "sshd" {
		job = clientsJob{Key: job.Key, Jump: r.jump.Addr(), Name: "jump:22", User: testkit.Me(t), Target: r.home.Addr(), Login: testkit.Me(t), Trust: []string{r.jump.HostKey(), r.home.HostKey()}}
	}
	return startRole(t, roleClients, job)
}

// connectRows are whole logins over -J: two key exchanges, a key that entry remembers,
// the target's login, and a session that answers.
func connectRows(t *testing.T, r *run) {
	r.turns(t, "connect, OpenSSH", pair, func(side string) error {
		var took []float64
		for range r.plan.logins {
			began := time.Now()
			if err := ends(r.client.command("ssh", "-F", r.client.config[byDefault], hostOf(side), "true")); err != nil {
				return err
			}
			took = append(took, ms(time.Since(began)))
		}
		r.add("connect, OpenSSH, alone, p50", "ms", side, quantile(took, 0.50))
		return nil
	})
	crowds := map[string]*role{}
	for _, side := range pair {
		crowds[side] = r.clients(t, side)
	}
	r.turns(t, "connect, alone", pair, func(side string) error {
		var a answer
		c, err := r.costs(t, side, func() (err error) {
			a, err = crowds[side].do(ask{Do: "connect", N: r.plan.logins})
			return err
		})
		if err != nil {
			return err
		}
		r.add("connect, alone, p50", "ms", side, quantile(a.Took, 0.50))
		r.add("connect, alone, p99", "ms", side, quantile(a.Took, 0.99))
		if used := c.cpu.Seconds(); used > 0 { // of few it is less than can be told
			r.add("connect, alone", "logins/cpu-s", side, float64(len(a.Took))/used)
		}
		return nil
	})
	for _, rate := range r.plan.rates {
		name := fmt.Sprintf("connect, %d/s", rate)
		r.turns(t, name, pair, func(side string) error {
			a, err := crowds[side].do(ask{Do: "rate", N: rate, Ms: int(r.plan.rateFor.Milliseconds())})
			if err != nil {
				return err
			}
			if a.Failed > 0 {
				return fmt.Errorf("%d of %d connections failed, the first with: %s", a.Failed, a.Failed+len(a.Took), a.First)
			}
			r.add(name+", p50", "ms", side, quantile(a.Took, 0.50))
			r.add(name+", p99", "ms", side, quantile(a.Took, 0.99))
			r.add(name, "done/s", side, float64(len(a.Took))/(a.Wall/1e3))
			return nil
		})
	}
}
