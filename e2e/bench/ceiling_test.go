package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"entry/e2e/testkit"
)

// ceilingRows are what one stream gets through a jump host that has its processors for
// itself, the client and the target being kept to the others. Only where the jump host
// is busy all the time (the share beside it) is the rate its ceiling; where it isn't,
// those around it were the slower ones.
func ceilingRows(t *testing.T, r *run) {
	cores := runtime.NumCPU()
	if cores < 2 {
		r.skip("one stream's ceiling", "it takes two cores")
		return
	}
	jump, others := halves(t)
	r.client.leave()
	r.stop()
	r.serve("taskset", "-c", list(jump)) // from its start: Go takes as many threads as there are processors then
	r.of = r.pids()
	self, home, before := os.Getpid(), r.home.Cmd.Process.Pid, affinity(t)
	pin(t, r.jump.Cmd.Process.Pid, jump)
	pin(t, home, others)
	pin(t, self, others) // and what it starts
	defer func() {
		r.client.leave()
		for _, pid := range []int{self, home, r.jump.Cmd.Process.Pid} {
			pin(t, pid, before)
		}
		r.stop()
		r.serve()
		r.of = r.pids()
	}()
	random := r.newData(t)[1]
	for _, cipher := range ciphers {
		name := fmt.Sprintf("one stream's ceiling, %s", cipher)
		r.turns(t, name, pair, func(side string) error {
			p, err := r.client.over(cipher, hostOf(side))
			if err != nil {
				return err
			}
			var sum string
			c, err := r.costs(t, side, func() (err error) {
				sum, err = p.down(random)
				return err
			})
			if err == nil {
				err = random.sums(sum)
			}
			if err == nil {
				r.add(name, "MB/s", side, float64(r.plan.size)/1e6/c.wall.Seconds())
				r.add(name, fmt.Sprintf("%% of %d core(s)", len(jump)), side, 100*c.cpu.Seconds()/c.wall.Seconds()/float64(len(jump)))
			}
			return err
		})
	}
}

// halves shares the processors that this process may use.
func halves(t *testing.T) (jump, others []int) {
	t.Helper()
	all := affinity(t)
	return all[:len(all)/2], all[len(all)/2:]
}

// affinity is the processors that this process may use.
func affinity(t *testing.T) (cpus []int) {
	t.Helper()
	var set unix.CPUSet
	testkit.Check(t, unix.SchedGetaffinity(0, &set))
	for cpu := range 8 * len(set) * 8 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// list is for taskset: "0,1".
func list(cpus []int) string {
	var text []string
	for _, cpu := range cpus {
		text = append(text, strconv.Itoa(cpu))
	}
	return strings.Join(text, ",")
}

// pin keeps every thread of pid to these processors; what they start inherits it.
func pin(t *testing.T, pid int, cpus []int) {
	t.Helper()
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	for _, task := range testkit.Must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)))(t) {
		id := testkit.Must(strconv.Atoi(filepath.Base(task)))(t)
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			t.Fatalf("keep %d to processors %v: %v", id, cpus, err)
		}
	}
}
