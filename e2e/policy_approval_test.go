package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// fourEyes is recordAll where somebody has to approve.
func fourEyes(approval string) string {
	return recordAll() + "\n    approval: {" + approval + "}\n    because: data leaves here"
}

var waits = regexp.MustCompile(`entry: home\.tinker needs the approval of ([^\r\n]+) \(data leaves here\)\. Waiting until [^\r\n]+; keep this open\. They approve with: ssh entry approve ([a-z2-7]{8})\r?\n`)

// TestApproval: alice waits with stock OpenSSH, somebody else approves, and
// both names are on record.
func TestApproval(t *testing.T) {
	t.Parallel()
	s, _ := quickSite(t, fourEyes(fmt.Sprintf("approvers: [alice, bob, %s], need: 1, for: 1h, wait: 10m", me(t))))
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	c, b := s.client(alice), s.client(bob)
	b.master()
	c.master() // a login takes a code, and there are three at a time

	p := start(t, "ssh -J entry home", c.exec("echo in"))
	m := p.waitFor(waits)
	if want := fmt.Sprintf("1 of alice, bob, %s", me(t)); m[1] != want {
		t.Errorf("waits for %q, want %q", m[1], want)
	}
	if r := run(t, c.ssh("entry", "approve", m[2])); r.code != 4 || !strings.Contains(r.stderr, "no request of that ID waits for you") {
		t.Errorf("alice approves her own request: %s", r)
	}
	if r := run(t, b.ssh("entry", "approve")); r.code != 0 || !strings.Contains(r.stdout, m[2]+"  alice to home.tinker from 127.0.0.1") {
		t.Errorf("who waits: %s", r)
	}
	w := b.portal("approve", m[2])
	w.expect(`alice wants to reach home\.tinker from 127\.0\.0\.1, by rule all \(tinker\.yaml:\d+\)\. Your approval holds for 1h0m0s\.`)
	w.giveCode(bob)
	w.expect(`Approved: 1 of 1\.`)
	if code := w.wait(); code != 0 {
		t.Errorf("approve ended with %d", code)
	}
	if code := p.wait(waitTimeout); code != 0 || p.stdout.String() != "in\n" || !strings.Contains(p.stderr.String(), "entry: approved by bob\r\n") {
		t.Errorf("exit %d, %q, %q", code, p.stdout.String(), p.stderr.String())
	}
	// It holds for the next one too.
	if r := run(t, c.exec("echo again")); r.code != 0 || r.stdout != "again\n" || strings.Contains(r.stderr, "needs the approval") {
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

	// A restart forgets. The operator's account can approve too.
	s.stop()
	s.serve()
	direct := c.ssh("-p", strconv.Itoa(s.port), "-o", "HostKeyAlias=entry", "alice+home@127.0.0.1", "echo direct")
	p = start(t, "ssh alice+home@entry", direct)
	m = p.waitFor(waits)
	if out := s.mustEntry("approve"); !strings.Contains(out, m[2]+"  alice on home.tinker from 127.0.0.1; approved by 0 of 1") {
		t.Errorf("entry approve: %q", out)
	}
	if r := s.entry("approve", "nonsense"); r.code != 4 {
		t.Errorf("%s", r)
	}
	if out := s.mustEntry("approve", m[2]); out != "Approved: alice on home.tinker, 1 of 1, for 1h0m0s.\n" {
		t.Errorf("%q", out)
	}
	if code := p.wait(waitTimeout); code != 0 || p.stdout.String() != "direct\n" {
		t.Errorf("exit %d, %q, %q", code, p.stdout.String(), p.stderr.String())
	}
	e := s.awaitEvent("approval.given", func(e event) bool { return e.Ref == m[2] })
	if !strings.Contains(e.line, fmt.Sprintf(`"approver":%q`, me(t))) || !strings.Contains(e.line, `"actor"`) {
		t.Errorf("%s", e.line)
	}
	s.mustEntry("audit", "verify")
}

// TestNobodyApproves: the wait runs out, with a clear line and 255, and the
// connection was kept alive meanwhile, by something that no client shows.
func TestNobodyApproves(t *testing.T) {
	t.Parallel()
	s, _ := quickSite(t, fourEyes("approvers: [carol], for: 1h, wait: 12s"))
	alice := s.enrolled("alice")
	const over = "entry: carol didn't approve in time; ask them and connect again (ref "

	t.Run("OpenSSH", func(t *testing.T) {
		c := s.client(alice)
		// A client that gives up a server which says nothing for six seconds.
		c.appendConfig("Host *", "    ServerAliveInterval 3", "    ServerAliveCountMax 2")
		r := run(t, c.exec("echo in"))
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		if r.code != 255 || r.stdout != "" || len(lines) != 2 || !waits.MatchString(r.stderr) || !strings.HasPrefix(lines[1], over) {
			t.Errorf("%s", r)
		}
	})
	t.Run("plink", func(t *testing.T) {
		c := s.client(alice).byHand()
		w := onTerminal(t, c.command("plink", "-ssh", "-P", strconv.Itoa(s.port), "alice+home@127.0.0.1"))
		w.expect(`(?i)store key in cache\?.*\) $`)
		w.sendLine("y")
		answerLogin(w, alice)
		// It marks and breaks lines of a server's.
		w.expect(`entry: home\.tinker needs the approval of carol \(data leaves here\)\. `)
		waitsNow(t, s)
		w.expect(`(?i)press return to begin session`)
		w.sendLine("")
		w.expect(regexp.QuoteMeta(over))
		if code := w.wait(); code != 255 {
			t.Errorf("exit status %d: %q", code, w.text())
		}
		if n := w.count("-- Keyboard-interactive authentication prompts from server"); n != 1 {
			t.Errorf("it is told %d times that the server asks: %q", n, w.text())
		}
	})
	t.Run("dropbear", func(t *testing.T) {
		c := s.client(alice).byHand()
		if err := os.Mkdir(c.path(".ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		w := onTerminal(t, c.command("dbclient", "-y", "-p", strconv.Itoa(s.port), "alice+home@127.0.0.1", "echo in"))
		answerLogin(w, alice)
		w.expect(waits.String())
		waitsNow(t, s)
		w.expect(regexp.QuoteMeta(over))
		if code := w.wait(); code != 255 {
			t.Errorf("exit status %d: %q", code, w.text())
		}
		quietWait(t, w.text())
	})
	if n := len(s.events("approval.missing")); n != 3 {
		t.Errorf("%d events", n)
	}
	if out := s.mustEntry("approve"); out != "Nobody waits for approval.\n" {
		t.Errorf("%q", out)
	}
}

// waitsNow wants alice to be waiting still: she was told in time.
func waitsNow(t *testing.T, s *site) {
	t.Helper()
	if out := s.mustEntry("approve"); !strings.Contains(out, "alice on home.tinker") {
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
	t.Parallel()
	s, _ := quickSite(t, fourEyes("approvers: [carol], for: 1h"))
	c := s.client(s.enrolled("alice"))
	gone := func(what string) {
		t.Helper()
		eventually(t, what+": nobody waits", func() bool { return s.mustEntry("approve") == "Nobody waits for approval.\n" })
	}
	p := start(t, "ssh", c.exec("echo in"))
	id := p.waitFor(waits)[2]
	p.end()
	gone("a connection of its own")
	if r := s.entry("approve", id); r.code != 4 {
		t.Errorf("%s", r)
	}
	c.master()
	p = start(t, "ssh over the master", c.exec("echo in"))
	p.waitFor(waits)
	p.end()
	c.nudge()
	gone("over a master connection")
	if n := len(s.events("approval.missing")); n != 2 {
		t.Errorf("%d events", n)
	}
}

// TestApprovalForAWorkbench: the user of a forward reads whom to ask, and the
// next try goes through.
func TestApprovalForAWorkbench(t *testing.T) {
	t.Parallel()
	s := initSite(t)
	home := s.startHome()
	bench := rule("bench", "may: [forward-local]", "record: metadata", fmt.Sprintf("approval: {approvers: [%s], for: 1h}", me(t)))
	bench = strings.Replace(bench, "where: {labs: [tinker]}", "where: {targets: [workbench.tinker]}", 1)
	s.setPolicy([]string{"alice"}, []string{home.target(t, "home"),
		fmt.Sprintf("      workbench: {kind: tcp, address: \"127.0.0.1:%d\", ports: [80]}", echoServer(t))}, bench)
	s.serve()
	c := s.client(s.enrolled("alice"))
	port := freePort(t)
	p := start(t, "ssh -L", c.ssh("-N", "-L", fmt.Sprintf("127.0.0.1:%d:workbench:80", port), "entry"))
	if err := tryForward(p, port); err == nil {
		t.Fatal("it works without approval")
	}
	m := p.waitFor(regexp.MustCompile(`open failed: administratively prohibited: entry: workbench\.tinker needs the approval of \S+; try again once they have given it, until [^\n]+, with: ssh entry approve ([a-z2-7]{8}) \(ref`))
	s.mustEntry("approve", m[1])
	if err := tryForward(p, port); err != nil {
		t.Errorf("approved: %v", err)
	}
	if e := s.awaitEvent("forward.opened", nil); e.Target != "workbench.tinker" {
		t.Errorf("%+v", e)
	}
}
