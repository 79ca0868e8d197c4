package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// labSite is a running site with home and a workbench that echoes. set writes a
// policy whose rules have the given fields besides, and puts nothing in force.
func labSite(t *testing.T) (s *site, set func(home, bench string)) {
	t.Helper()
	s = initSite(t)
	home, echo := s.startHome(), echoServer(t)
	set = func(forHome, forBench string) {
		bench := testkit.Rule("bench", testkit.On("workbench"), "may: [forward-local]", "record: metadata", forBench)
		s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home"),
			fmt.Sprintf("      workbench: {kind: tcp, address: \"127.0.0.1:%d\", ports: [80]}", echo)},
			testkit.Rule("home", testkit.On("home"), forHome), bench)
	}
	return s, set
}

// dialed is a connection to a local port that a client forwards, and listens on
// already.
func dialed(t *testing.T, port int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := roundTrip(conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ends waits for the end of conn and gives the time of it.
func ends(t *testing.T, conn net.Conn) time.Time {
	t.Helper()
	if err := conn.SetReadDeadline(testkit.Deadline(testkit.CommandTime)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	return time.Now()
}

// TestBeamtime: what runs ends within two seconds of its time, with the reason
// on the terminal; who has a terminal is told before.
func TestBeamtime(t *testing.T) {
	beside(t)
	s, set := labSite(t)
	set(testkit.MayAll+"\n    forward_local: [\"127.0.0.1:1\"]\n    forward_remote: [0]", "because: lab work")
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	p := testkit.Start(t, "ssh exec", c.exec(ticker))
	p.WaitFor(tick)
	port := testkit.FreePort(t)
	forward := testkit.Start(t, "ssh -L", c.ssh("-N", "-S", "none", "-o", "ControlPath=none", "-L", fmt.Sprintf("127.0.0.1:%d:workbench:80", port), "entry"))
	awaitListener(t, forward, port)
	conn := dialed(t, port)

	// Less than the minute that is told, however slow the machine is.
	end := time.Now().Add(min(testkit.Bound(8*time.Second), 55*time.Second)).Truncate(time.Second)
	period := fmt.Sprintf("valid: {until: %q}\n    because: beamtime 42", end.UTC().Format(time.RFC3339))
	set(testkit.MayAll+"\n    forward_local: [\"127.0.0.1:1\"]\n    forward_remote: [0]\n    "+period, period)
	s.mustEntry("policy", "apply")
	w.expect(`\r\nentry: access to home\.tinker ends in 1 minute \(beamtime 42\)\r\n`)
	shellAnswers(w)
	late := func(what string, at time.Time) {
		t.Helper()
		if d := at.Sub(end); d < -time.Second || d > testkit.Bound(2*time.Second) {
			t.Errorf("%s ended %s after its time", what, d)
		}
	}
	late("the forward", ends(t, conn))
	w.expect(`entry: the time for home\.tinker is over \(beamtime 42\)\r\n`)
	w.wait()
	late("the shell", time.Now())
	p.Wait()
	late("the command", time.Now())
	if said := p.Stderr.String(); said != "entry: the time for home.tinker is over (beamtime 42)\n" {
		t.Errorf("without a terminal: %q", said)
	}
	for _, e := range s.events("session.ended", "forward.closed") {
		if e.Reason != "time-over" {
			t.Errorf("%s", e.line)
		}
	}
	if r := testkit.Run(t, c.exec("echo in")); r.Code == 0 || r.Stdout != "" {
		t.Errorf("after its time: %s", r)
	}
	s.mustEntry("audit", "verify")
}

// TestReloadTakesOneCapability: what lost one capability loses that one, within
// two seconds; the shell beside it goes on.
func TestReloadTakesOneCapability(t *testing.T) {
	alone(t)
	echo := echoServer(t)
	listed := fmt.Sprintf("forward_local: [\"127.0.0.1:%d\"]", echo)
	s, home := quickSite(t, testkit.Rule("all", "may: [shell, exec, forward-local]", listed))
	c := s.client(s.enrolled("alice"))
	c.master()
	port := testkit.FreePort(t)
	w := onTerminal(t, c.home([]string{"-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, echo)}))
	shellAnswers(w)
	testkit.Eventually(t, "ssh listens", func() bool { return testkit.Listening(port) })
	conn := dialed(t, port)
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, testkit.Rule("all", "may: [shell, exec]"))
	began := time.Now()
	s.proc.Signal(syscall.SIGHUP)
	if took := ends(t, conn).Sub(began); took > testkit.Bound(2*time.Second) {
		t.Errorf("the forward lived on for %s", took)
	}
	shellAnswers(w)
	if e := s.awaitEvent("forward.closed", nil); e.Reason != "capability-lost" || !strings.HasPrefix(e.Policy, "sha256:") {
		t.Errorf("%s", e.line)
	}
	if len(s.events("session.ended")) != 0 {
		t.Error("the session ended")
	}

	// What lost everything ends, with the reason.
	s.setPolicy([]string{"bob"}, []string{home.Target(t, "home")}, testkit.Rule("all", "may: [shell, exec]"))
	began = time.Now()
	s.mustEntry("policy", "apply", "--yes")
	w.expect(`entry: home\.tinker isn't open to you; ask your lab's administrator\r\n`)
	w.wait()
	if took := time.Since(began); took > testkit.Bound(2*time.Second) {
		t.Errorf("the session lived on for %s", took)
	}
	s.awaitEvent("session.ended", func(e event) bool { return e.Reason == "policy-changed" })
}

// TestPolicyApply: an operator sees who would be thrown out before it happens.
func TestPolicyApply(t *testing.T) {
	beside(t)
	s, home := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	with := func(rules ...string) {
		s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rules...)
	}
	without := func() {
		s.setPolicy([]string{"bob"}, []string{home.Target(t, "home")}, recordAll())
	}
	apply := func() *terminal {
		return onTerminal(t, command(built, "policy", "apply", "--dir", s.dir))
	}
	loaded := func() int { return len(s.events("policy.loaded")) }
	before := loaded()

	without()
	const named = `1 of 1 live sessions would end\.\r\n  [0-9A-Z]{26}  alice on home\.tinker from 127\.0\.0\.1:\d+, since [^\r]+\r\nEnd them and apply\? \[y/N\] $`
	a := apply()
	a.expect(named)
	a.sendLine("n")
	a.expect(`entry: nothing was applied`)
	if code := a.wait(); code != 3 {
		t.Errorf("exit %d", code)
	}
	if r := s.entry("policy", "apply"); r.Code != 3 || !strings.Contains(r.Stderr, "--yes") {
		t.Errorf("without a terminal: %s", r)
	}
	// Somebody else edits the files while the operator thinks.
	a = apply()
	a.expect(named)
	with(testkit.Rule("all", "may: [exec]"))
	a.sendLine("y")
	a.expect(`entry: the policy files were changed meanwhile; look again`)
	if code := a.wait(); code != 1 {
		t.Errorf("exit %d", code)
	}
	// A bad one leaves the last good one in force.
	testkit.WriteFile(t, s.path("policy.d", "tinker.yaml"), "surprise: true\n")
	if r := s.entry("policy", "apply", "--yes"); r.Code != 2 || !strings.Contains(r.Stderr, "tinker.yaml:1:1: unknown key") {
		t.Errorf("a bad policy: %s", r)
	}
	// So does one that promises what it can't keep, though a server starts with it.
	with(testkit.Rule("all", "may: [exec]"))
	testkit.WriteFile(t, s.path("policy.d", "denials.yaml"), "rules: [{name: in, deny: true, may: [upload]}]\n")
	if r := s.entry("policy", "apply", "--yes"); r.Code != 2 || !strings.Contains(r.Stderr, "denials.yaml:1:37: upload can't be denied: by rule all") {
		t.Errorf("a denial beside exec: %s", r)
	}
	// So does one of which nothing but a test fails, which every verb ends with 3.
	testkit.WriteFile(t, s.path("policy.d", "denials.yaml"), "tests: [{user: eve, target: home.tinker, may: [exec]}]\n")
	for _, verb := range [][]string{{"policy", "validate"}, {"policy", "apply", "--yes"}} {
		if r := s.entry(verb...); r.Code != 3 || !strings.Contains(r.Stderr, "denials.yaml:1:47: test failed: ") {
			t.Errorf("%s, a test fails: %s", verb, r)
		}
	}
	testkit.WriteFile(t, s.path("policy.d", "denials.yaml"), "rules: []\n")
	// SIGHUP doesn't ask, so it doesn't do it.
	without()
	refused := len(s.events("policy.refused"))
	s.proc.Signal(syscall.SIGHUP)
	s.awaitEvent("policy.refused", func(event) bool { return len(s.events("policy.refused")) > refused })
	s.logs(`it would end 1 of 1 live sessions; entry policy apply names them and asks`)
	shellAnswers(w)
	if n := loaded(); n != before {
		t.Errorf("%d policies were put in force", n-before)
	}

	a = apply()
	a.expect(named)
	a.sendLine("y")
	hash := a.expect(`in force: (sha256:[0-9a-f]{64})`)[1]
	if code := a.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	w.expect(`entry: home\.tinker isn't open to you`)
	e := s.awaitEvent("policy.loaded", func(e event) bool { return e.Policy == hash })
	if !strings.Contains(e.line, fmt.Sprintf(`"name":%q`, testkit.Me(t))) {
		t.Errorf("who applied it: %s", e.line)
	}
	testkit.Eventually(t, "nobody is left", func() bool {
		return strings.Contains(s.mustEntry("policy", "apply"), "No live session would end.")
	})

	// Machines that users' clients don't know yet are named.
	with(recordAll())
	testkit.WriteFile(t, s.path("policy.d", "denials.yaml"), "labs:\n  tailor:\n    targets:\n"+home.Target(t, "loft"))
	if r := s.entry("policy", "apply"); r.Code != 0 || !strings.Contains(r.Stderr, "New to users' known_hosts: loft, *.tailor. entry check prints the line that has all.\n") {
		t.Errorf("a new lab: %s", r)
	}
	if r := s.entry("policy", "apply"); r.Code != 0 || strings.Contains(r.Stderr, "known_hosts") {
		t.Errorf("once more: %s", r)
	}
}
