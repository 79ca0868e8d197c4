package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// fourEyes is recordAll where somebody has to approve.
func fourEyes(approval string) string {
	return recordAll() + "\n    approval: {" + approval + "}\n    because: data leaves here"
}

var waits = regexp.MustCompile(`entry: home\.tinker needs the approval of ([^\r\n]+) \(data leaves here\)\. Waiting until [^\r\n]+; keep this open\. They approve with: ssh entry approve ([a-z2-7]{8})\r?\n`)

// TestApproval: alice waits with stock OpenSSH, somebody else approves, and
// both names are on record.
func TestApproval(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, fourEyes(fmt.Sprintf("approvers: [alice, bob, %s], need: 1, for: 1h, wait: 10m", testkit.Me(t))))
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	c, b := s.client(alice), s.client(bob)
	b.master()
	c.master() // a login takes a code, and there are three at a time

	p := testkit.Start(t, "ssh -J entry home", c.exec("echo in"))
	m := p.WaitFor(waits)
	if want := fmt.Sprintf("1 of alice, bob, %s", testkit.Me(t)); m[1] != want {
		t.Errorf("waits for %q, want %q", m[1], want)
	}
	if r := testkit.Run(t, c.ssh("entry", "approve", m[2])); r.Code != 4 || !strings.Contains(r.Stderr, "no request of that ID waits for you") {
		t.Errorf("alice approves her own request: %s", r)
	}
	if r := testkit.Run(t, b.ssh("entry", "approve")); r.Code != 0 || !strings.Contains(r.Stdout, m[2]+"  alice to home.tinker from 127.0.0.1") {
		t.Errorf("who waits: %s", r)
	}
	w := b.portal("approve", m[2])
	w.expect(`alice\s+wants\s+to\s+reach\s+home\.tinker\s+from\s+127\.0\.0\.1,\s+by\s+rule\s+all\s+\(tinker\.yaml:\d+\)\.\s+Your\s+approval\s+holds\s+for\s+1h0m0s\.`)
	w.giveCode(bob)
	w.expect(`Approved: 1 of 1\.`)
	if code := w.wait(); code != 0 {
		t.Errorf("approve ended with %d", code)
	}
	if code := p.Wait(); code != 0 || p.Stdout.String() != "in\n" || !strings.Contains(p.Stderr.String(), "entry: approved by bob\r\n") {
		t.Errorf("exit %d, %q, %q", code, p.Stdout.String(), p.Stderr.String())
	}
	// It holds for the next one too.
	if r := testkit.Run(t, c.exec("echo again")); r.Code != 0 || r.Stdout != "again\n" || strings.Contains(r.Stderr, "needs the approval") {
		t.Errorf("%s", r)
	}
	asked, given := s.events("approval.requested"), s.events("approval.given")
	if len(asked) != 1 || asked[0].User != "alice" || asked[0].Ref != m[2] || len(given) != 1 || given[0].User != "alice" || !strings.Contains(given[0].line, `"approver":"bob"`) {
		t.Errorf("%+v\n%+v", asked, given)
	}
	for _, e := range s.events("session.started") {
		if !strings.Contains(e.line, `"approver":"bob"`) {
			t.Errorf("a session without its approver: %s", e.line)
		}
	}

	// A restart keeps what was approved, and for whom. The operator's account can
	// approve too.
	s.stop()
	s.serve()
	kept := s.mustEntry("approve", "--given")
	if !regexp.MustCompile(`^[a-z2-7]{8}  alice on home\.tinker from 127\.0\.0\.1, by rule all; approved by bob at .*, until .*; any number of sessions\n$`).MatchString(kept) {
		t.Errorf("after a restart: %q", kept)
	}
	c.master()
	if r := testkit.Run(t, c.exec("echo kept")); r.Code != 0 || r.Stdout != "kept\n" || strings.Contains(r.Stderr, "needs the approval") {
		t.Errorf("%s", r)
	}
	s.mustEntry("user", "disable", "alice") // takes it along
	s.mustEntry("user", "enable", "alice")
	if out := s.mustEntry("approve", "--given"); out != "No approval is in force.\n" {
		t.Errorf("after disable: %q", out)
	}
	direct := c.ssh("-p", strconv.Itoa(s.port), "-o", "HostKeyAlias=entry", "alice+home@127.0.0.1", "echo direct")
	p = testkit.Start(t, "ssh alice+home@entry", direct)
	m = p.WaitFor(waits)
	if out := s.mustEntry("approve"); !strings.Contains(out, m[2]+"  alice on home.tinker from 127.0.0.1; approved by 0 of 1") {
		t.Errorf("entry approve: %q", out)
	}
	if r := s.entry("approve", "nonsense"); r.Code != 4 {
		t.Errorf("%s", r)
	}
	if out := s.mustEntry("approve", m[2]); out != "Approved: alice on home.tinker, 1 of 1, for 1h0m0s.\n" {
		t.Errorf("%q", out)
	}
	if code := p.Wait(); code != 0 || p.Stdout.String() != "direct\n" {
		t.Errorf("exit %d, %q, %q", code, p.Stdout.String(), p.Stderr.String())
	}
	e := s.awaitEvent("approval.given", func(e event) bool { return e.Ref == m[2] })
	if !strings.Contains(e.line, fmt.Sprintf(`"approver":%q`, testkit.Me(t))) || !strings.Contains(e.line, `"actor"`) {
		t.Errorf("%s", e.line)
	}
	s.mustEntry("audit", "verify")
}

// TestNobodyApproves: the wait runs out, with a clear line and 255, and the
// connection was kept alive meanwhile, by something that no client shows.
func TestNobodyApproves(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"olga", "paul", "dora"}, []string{home.Target(t, "home")},
		fourEyes("approvers: [carol], for: 1h, wait: "+patient(12*time.Second, 45*time.Second)))
	s.serve()
	const over = "entry: carol didn't approve in time; ask them and connect again (ref "
	clients := map[string]func(*testing.T){} // they wait side by side
	clients["OpenSSH"] = func(t *testing.T) {
		c := s.client(s.enrolled("olga"))
		// A client that gives up a server which says nothing for six seconds.
		c.appendConfig("Host *", "    ServerAliveInterval 3", "    ServerAliveCountMax 2")
		r := testkit.Run(t, c.exec("echo in"))
		lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
		if r.Code != 255 || r.Stdout != "" || len(lines) != 2 || !waits.MatchString(r.Stderr) || !strings.HasPrefix(lines[1], over) {
			t.Errorf("%s", r)
		}
	}
	clients["plink"] = func(t *testing.T) {
		paul := s.enrolled("paul")
		c := s.client(paul).byHand()
		w := onTerminal(t, c.command("plink", "-ssh", "-P", strconv.Itoa(s.port), "paul+home@127.0.0.1"))
		w.expect(`(?i)store key in cache\?.*\) $`)
		w.sendLine("y")
		answerLogin(w, paul)
		// It marks and breaks lines of a server's.
		w.expect(`entry: home\.tinker needs the approval of carol \(data leaves here\)\. `)
		waitsNow(t, s, paul)
		w.expect(`(?i)press return to begin session`)
		w.sendLine("")
		w.expect(regexp.QuoteMeta(over))
		if code := w.wait(); code != 255 {
			t.Errorf("exit status %d: %q", code, w.text())
		}
		if n := w.count("-- Keyboard-interactive authentication prompts from server"); n != 1 {
			t.Errorf("it is told %d times that the server asks: %q", n, w.text())
		}
	}
	clients["dropbear"] = func(t *testing.T) {
		dora := s.enrolled("dora")
		c := s.client(dora).byHand()
		if err := os.Mkdir(c.path(".ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		w := onTerminal(t, c.command("dbclient", "-y", "-p", strconv.Itoa(s.port), "dora+home@127.0.0.1", "echo in"))
		answerLogin(w, dora)
		w.expect(waits.String())
		waitsNow(t, s, dora)
		w.expect(regexp.QuoteMeta(over))
		if code := w.wait(); code != 255 {
			t.Errorf("exit status %d: %q", code, w.text())
		}
		quietWait(t, w.text())
	}
	t.Run("clients", func(t *testing.T) {
		for name, client := range clients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client(t)
			})
		}
	})
	if n := len(s.events("approval.missing")); n != 3 {
		t.Errorf("%d events", n)
	}
	if out := s.mustEntry("approve"); out != "Nobody waits for approval.\n" {
		t.Errorf("%q", out)
	}
}

// waitsNow wants p to be waiting still: they were told in time.
func waitsNow(t *testing.T, s *site, p *person) {
	t.Helper()
	if out := s.mustEntry("approve"); !strings.Contains(out, p.name+" on home.tinker") {
		t.Errorf("told too late; who waits: %q", out)
	}
}

// quietWait wants nothing but line ends between the two lines that a waiting
// user gets.
func quietWait(t *testing.T, text string) {
	t.Helper()
	_, after, _ := strings.Cut(text, "They approve with:")
	_, after, _ = strings.Cut(after, "\n")
	between, _, _ := strings.Cut(after, "entry: carol")
	if strings.TrimSpace(between) != "" || strings.Count(between, "\n") > 1 {
		t.Errorf("while waiting the client showed %q", between)
	}
}

// TestLeavingWhileWaiting: a client that leaves takes its request with it.
func TestLeavingWhileWaiting(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, fourEyes("approvers: [carol], for: 1h"))
	c := s.client(s.enrolled("alice"))
	gone := func(what string) {
		t.Helper()
		testkit.Eventually(t, what+": nobody waits", func() bool { return s.mustEntry("approve") == "Nobody waits for approval.\n" })
	}
	p := testkit.Start(t, "ssh", c.exec("echo in"))
	id := p.WaitFor(waits)[2]
	p.End()
	gone("a connection of its own")
	if r := s.entry("approve", id); r.Code != 4 {
		t.Errorf("%s", r)
	}
	c.master()
	p = testkit.Start(t, "ssh over the master", c.exec("echo in"))
	p.WaitFor(waits)
	p.End()
	gone("over a master connection")
	if n := len(s.events("approval.missing")); n != 2 {
		t.Errorf("%d events", n)
	}
}

// TestApprovalForAWorkbench: the user of a forward reads whom to ask, and the
// next try goes through.
func TestApprovalForAWorkbench(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	bench := testkit.Rule("bench", testkit.On("workbench"), "may: [forward-local]", "record: metadata", fmt.Sprintf("approval: {approvers: [%s], for: 1h}", testkit.Me(t)))
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home"),
		fmt.Sprintf("      workbench: {kind: tcp, address: \"127.0.0.1:%d\", ports: [80]}", echoServer(t))}, bench)
	s.serve()
	c := s.client(s.enrolled("alice"))
	port := testkit.FreePort(t)
	p := testkit.Start(t, "ssh -L", c.ssh("-N", "-L", fmt.Sprintf("127.0.0.1:%d:workbench:80", port), "entry"))
	if err := tryForward(p, port); err == nil {
		t.Fatal("it works without approval")
	}
	m := p.WaitFor(regexp.MustCompile(`open failed: administratively prohibited: entry: workbench\.tinker needs the approval of \S+; try again once they have given it, until [^\n]+, with: ssh entry approve ([a-z2-7]{8}) \(ref`))
	s.mustEntry("approve", m[1])
	if err := tryForward(p, port); err != nil {
		t.Errorf("approved: %v", err)
	}
	if e := s.awaitEvent("forward.opened", nil); e.Target != "workbench.tinker" {
		t.Errorf("%+v", e)
	}
	// Withdrawn, it ends what is open and lets in nothing more.
	open, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := roundTrip(open); err != nil {
		t.Fatal(err)
	}
	s.mustEntry("approve", "--withdraw", m[1])
	if err := open.SetReadDeadline(time.Now().Add(testkit.Bound(2 * time.Second))); err != nil {
		t.Fatal(err)
	}
	if n, err := open.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it goes on: %d, %v", n, err)
	}
	if err := tryForward(p, port); err == nil {
		t.Error("it works without approval")
	}
}

// TestApprovalForOneSessionAtTwoServers: who waits at one server is seen and
// approved at the other on its database; the approval lets in one session.
func TestApprovalForOneSessionAtTwoServers(t *testing.T) {
	beside(t)
	rule := fourEyes(fmt.Sprintf("approvers: [bob, %s], for: 1h, wait: 10m, uses: 1", testkit.Me(t)))
	first := initSite(t)
	home := first.startHome()
	first.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rule)
	first.serve()
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rule)
	c := first.client(first.enrolled("alice"))
	c.master()
	p := testkit.Start(t, "ssh -J entry home", c.exec("echo in"))
	m := p.WaitFor(waits)
	if out := second.mustEntry("approve"); !strings.Contains(out, m[2]+"  alice on home.tinker from 127.0.0.1; approved by 0 of 1") {
		t.Errorf("who waits, at the second server: %q", out)
	}
	if out := second.mustEntry("approve", m[2]); out != "Approved: alice on home.tinker, 1 of 1, for one session that begins within 1h0m0s.\n" {
		t.Errorf("%q", out)
	}
	if code := p.Wait(); code != 0 || p.Stdout.String() != "in\n" {
		t.Errorf("exit %d, %q, %q", code, p.Stdout.String(), p.Stderr.String())
	}
	for _, s := range []*site{first, second} {
		if out := s.mustEntry("approve", "--given"); !strings.HasSuffix(out, "; 1 of 1 session used\n") {
			t.Errorf("%q", out)
		}
	}
	// Used up at both, and after a restart.
	first.stop()
	first.serve()
	c.master()
	p = testkit.Start(t, "ssh -J entry home", c.exec("echo again"))
	p.WaitFor(waits)
	p.End()
	first.stop()
	second.mustEntry("audit", "verify")
}

// TestApprovalIsWithdrawn: an operator at one of two servers takes back what a
// session at the other rests on, and an approver what they gave; within two seconds
// it has ended, and the next one waits.
func TestApprovalIsWithdrawn(t *testing.T) {
	beside(t)
	rule := fourEyes(fmt.Sprintf("approvers: [bob, %s], for: 1h, wait: 10m", testkit.Me(t)))
	first := initSite(t)
	home := first.startHome()
	first.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rule)
	first.serve()
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rule)
	bob := first.enrolled("bob")
	c, b := first.client(first.enrolled("alice")), first.client(bob)
	c.master()
	b.master()
	given := regexp.MustCompile(`(?m)^([a-z2-7]{8})  alice (?:on|to) home\.tinker from 127\.0\.0\.1, by rule all`)
	for who, way := range map[string]struct {
		approve, withdraw func(id string)
		list              func() string
		line              string
	}{
		"an operator": {
			approve: func(id string) { first.mustEntry("approve", id) },
			list:    func() string { return second.mustEntry("approve", "--given") },
			withdraw: func(id string) {
				want := "Withdrawn: " + testkit.Me(t)
				if out := second.mustEntry("approve", "--withdraw", id); !strings.HasPrefix(out, want) || !strings.Contains(out, "'s approval of alice on home.tinker. What was opened by it ends, or loses what it gave.\n") {
					t.Errorf("%q", out)
				}
			},
			line: `"detail":"withdrawn by ` + testkit.Me(t),
		},
		"the approver": {
			approve: func(id string) {
				w := b.portal("approve", id)
				w.giveCode(bob)
				w.expect(`Approved: 1 of 1\.`)
				w.wait()
			},
			list: func() string { return testkit.MustRun(t, b.ssh("entry", "approve", "given")).Stdout },
			withdraw: func(id string) {
				if r := testkit.Run(t, c.ssh("entry", "approve", "withdraw", id)); r.Code != 4 || !strings.Contains(r.Stderr, "no approval of yours in force has that ID") {
					t.Errorf("alice withdraws what isn't hers: %s", r)
				}
				if r := testkit.MustRun(t, b.ssh("entry", "approve", "withdraw", id)); r.Stdout != "Withdrawn: your approval of alice on home.tinker. What was opened by it ends, or loses what it gave.\n" {
					t.Errorf("%s", r)
				}
			},
			line: `"approver":"bob"`,
		},
	} {
		p := testkit.Start(t, "ssh -J entry home", c.exec(ticker))
		id := p.WaitFor(waits)[2]
		way.approve(id)
		p.WaitFor(tick)
		if m := given.FindStringSubmatch(way.list()); m == nil || m[1] != id {
			t.Fatalf("%s sees %q, want %s", who, way.list(), id)
		}
		way.withdraw(id)
		if !p.Within(testkit.Bound(2*time.Second), func() bool { return !p.Running() }) {
			t.Fatalf("%s has withdrawn, and the session goes on", who)
		}
		if code := p.Wait(); code == 0 || !strings.Contains(p.Stderr.String(), "entry: the approval for home.tinker is over; connect again to ask for another") {
			t.Errorf("%s: exit %d, %q", who, code, p.Stderr.String())
		}
		if out := way.list(); !strings.Contains(out, "is in force") {
			t.Errorf("%s still sees %q", who, out)
		}
		s := first
		if who == "an operator" {
			s = second
		}
		e := s.awaitEvent("approval.withdrawn", func(e event) bool { return e.Ref == id })
		if e.User != "alice" || !strings.Contains(e.line, way.line) {
			t.Errorf("%s: %s", who, e.line)
		}
	}
	if r := second.entry("approve", "--withdraw", "aaaaaaaa"); r.Code != 4 || !strings.Contains(r.Stderr, "no approval in force has this ID; entry approve --given lists them") {
		t.Errorf("%s", r)
	}
	p := testkit.Start(t, "ssh -J entry home", c.exec("echo again"))
	p.WaitFor(waits)
	p.End()
}
