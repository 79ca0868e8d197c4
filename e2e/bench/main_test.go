package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

var (
	rounds   = flag.Int("rounds", 0, "how often each side takes its turn; 0 tries each row once, with little")
	sizeMiB  = flag.Int64("size", 512, "how much is moved in a turn, in MiB")
	keys     = flag.Int("keys", 1000, "keystrokes in a round, by each side")
	logins   = flag.Int("logins", 50, "connections in a round, by each side")
	rates    = flag.String("rates", "20,50", "connections a second that are begun, whoever hasn't ended")
	sessions = flag.String("sessions", "1000", "how many sessions are idle, as 1000,5000,10000")
	idle     = flag.Duration("idle", 75*time.Second, "how long they are looked at; entry asks a silent target after 60s")
	only     = flag.String("only", "", "the groups that are measured, as a regular expression")
	file     = flag.String("json", "", "the file that gets the figures as JSON")
)

// peers are given by -peer: see peer.
var peers []string

func init() {
	flag.Func("peer", "another recording server, as NAME=PID,SSH_CONFIG,HOST; may be given more than once", func(text string) error {
		peers = append(peers, text)
		_, err := parsePeer(text)
		return err
	})
}

// built is the program that is measured.
var built string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := playRole(role); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

// buildAndRun builds the program once, and runs the tests.
func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "entry-bench-bin")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if built, err = testkit.BuildEntry(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// run is what the groups share: the site, how much is done, and what came of it.
type run struct {
	*site
	*report
	client *client
	plan   plan
	of     map[string]int // process of each side's jump host
}

// plan is how much is done.
type plan struct {
	rounds, keys, logins int
	size                 int64 // bytes
	rates, sessions      []int
	idle, rateFor        time.Duration
	measured             bool // false: each row only shows that it works
}

// group is some rows that are measured together.
type group struct {
	name    string
	measure func(t *testing.T, r *run)
}

// groups are all, in the order in which they run. The last ones restart the server.
var groups = []group{
	{"exec", execRows},
	{"files", fileRows},
	{"states", stateRows},
	{"keystrokes", keystrokeRows},
	{"connect", connectRows},
	{"audit", auditRows},
	{"peers", peerRows},
	{"ceiling", ceilingRows},
	{"idle", idleRows},
}

// TestFigures measures and prints the table.
func TestFigures(t *testing.T) {
	testkit.Check(t, testkit.LookAtTree("../.."))
	wanted, err := regexp.Compile(*only)
	if err != nil {
		t.Fatalf("-only: %v", err)
	}
	if !slices.ContainsFunc(groups, func(g group) bool { return wanted.MatchString(g.name) }) {
		t.Fatalf("-only: no group is called %q; docs/performance.md lists them", *only)
	}
	p := planned(t)
	r := &run{report: &report{Date: time.Now().UTC(), Machine: thisMachine(), Rounds: p.rounds, Size: p.size}, plan: p}
	r.site = newSite(t)
	r.client = newClient(t, r.site)
	r.of = r.pids()
	for _, g := range groups {
		if wanted.MatchString(g.name) {
			t.Run(g.name, func(t *testing.T) { g.measure(t, r) })
		}
	}
	var table strings.Builder
	if err := r.table(&table); err != nil {
		t.Fatal(err)
	}
	if !p.measured {
		// Nobody should quote these.
		t.Log("each row once, with little:\n" + table.String())
		return
	}
	fmt.Print(table.String())
	if *file != "" {
		if err := r.save(*file); err != nil {
			t.Error(err)
		}
	}
}

// planned is what the flags ask for.
func planned(t *testing.T) plan {
	t.Helper()
	if *rounds == 0 {
		return plan{rounds: 1, keys: 20, logins: 2, size: 1 << 20, rates: []int{10}, rateFor: 300 * time.Millisecond, sessions: []int{4}, idle: 100 * time.Millisecond}
	}
	return plan{rounds: *rounds, keys: *keys, logins: *logins, size: *sizeMiB << 20, rates: numbers(t, "rates", *rates), rateFor: 10 * time.Second,
		sessions: numbers(t, "sessions", *sessions), idle: *idle, measured: true}
}

// numbers reads "1,2,3".
func numbers(t *testing.T, name, text string) (out []int) {
	t.Helper()
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			t.Fatalf("-%s: %q is no number above 0", name, part)
		}
		out = append(out, n)
	}
	return out
}

// turns has each side take its turn, round by round. A side that fails once is left
// out of what follows.
func (r *run) turns(t *testing.T, what string, sides []string, turn func(side string) error) {
	t.Helper()
	failed := map[string]bool{}
	for range r.plan.rounds {
		for _, s := range sides {
			if failed[s] {
				continue
			}
			if err := turn(s); err != nil {
				failed[s] = true
				t.Errorf("%s, %s: %v", what, s, err)
			}
		}
	}
}
