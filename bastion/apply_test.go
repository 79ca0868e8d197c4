package bastion_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/policies"
	"entry/policy"
	"entry/policy/strict"
)

// until is a beamtime in a rule.
func until(t time.Time) string {
	return "    valid: {until: \"" + t.UTC().Format(time.RFC3339) + "\"}\n    because: beamtime 42\n"
}

// An end that time brings comes within two seconds, and says that it was time.
func TestTimeIsOver(t *testing.T) {
	t.Parallel()
	var end time.Time
	s := newSite(t, options{policy: func(s *site) string {
		s.clock.Go()
		end = s.clock.Now().Add(30*time.Second + testkit.Bound(3*time.Second)) // a code moves the clock by 30
		return s.policyText("", until(end))
	}})
	c := s.login("alice")
	said := begin(t, c.jump("home"))
	if text := said(); text != "entry: the time for home.tinker is over (beamtime 42)\n" {
		t.Errorf("the user is told %q", text)
	}
	if late := s.clock.Now().Sub(end); late < -time.Second || late > testkit.Bound(2*time.Second) {
		t.Errorf("it ended %s after its time", late)
	}
	if e := s.log.Await(t, audit.SessionEnded, "time-over"); e.User != "alice" {
		t.Errorf("%+v", e)
	}
	s.idle(t, 0)
}

// Where a rule that denies begins, the user reads why, and no rule or file; the log has those.
func TestDenyingBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ more, told string }{
		"because": {"    because: beamtime 42\n", "home.tinker isn't open to you: beamtime 42"},
		"bare":    {"", "home.tinker isn't open to you; ask your lab's administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: func(s *site) string {
				s.clock.Go()
				begins := s.clock.Now().Add(30*time.Second + testkit.Bound(3*time.Second)) // a code moves the clock by 30
				return s.policyText("", "\n"+testkit.Rule("closed-shop", testkit.On("home"), "deny: true",
					fmt.Sprintf("valid: {from: %q}", begins.UTC().Format(time.RFC3339)))+"\n"+c.more)
			}})
			said := begin(t, s.login("alice").jump("home"))
			if text := said(); text != "entry: the time for home.tinker is over: "+c.told+"\n" {
				t.Errorf("the user is told %q", text)
			}
			if e := s.log.Await(t, audit.SessionEnded, "time-over"); !strings.Contains(e.Detail, "closed-shop") {
				t.Errorf("the log doesn't say which rule: %+v", e)
			}
		})
	}
}

func TestReloadEndsForwards(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{policy: withWorkbench(w, "")})
	ch := testkit.Must(s.login("alice").open(bench()))(t)
	if _, err := io.ReadFull(ch, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	s.server.Access().SetPolicy(policies.Parse(t, withWorkbench(w, "    because: still\n")(s)))
	if _, err := ch.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ch, make([]byte, 1)); err != nil {
		t.Fatalf("a new policy that changes nothing ends it: %v", err)
	}
	s.server.Access().SetPolicy(policies.Parse(t, strings.Replace(withWorkbench(w, "")(s), "[alice, bob]", "[bob]", 1)))
	testkit.Finishes(t, "the forward", func() { _, _ = io.Copy(io.Discard, ch) })
	s.log.Await(t, audit.ForwardClosed, "policy-changed")
	testkit.Eventually(t, "the workbench is left", func() bool { return w.count() == 0 })
}

func TestWouldEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	begin(t, s.login("alice").jump("home"))
	begin(t, s.login("bob").jump("home"))
	ends, all := s.server.Access().WouldEnd(s.server.Access().Policy())
	if len(ends) != 0 || all != 2 {
		t.Errorf("the same policy: %+v of %d", ends, all)
	}
	ends, all = s.server.Access().WouldEnd(policies.Parse(t, strings.Replace(usual(s), "[alice, bob]", "[bob]", 1)))
	if len(ends) != 1 || all != 2 || ends[0].User != "alice" || ends[0].Target != "home.tinker" || ends[0].ID == "" {
		t.Errorf("without alice: %+v of %d", ends, all)
	}
	s.idle(t, 2) // asking ends nothing
}

// The day's bytes are counted over sessions, and the next day is another.
func TestDayLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string { return s.policyText("", "    limits: {day_down: 1000}\n") }})
	inner := s.login("alice").jump("home")
	text := strings.Repeat("x", 600)
	if out, said, _ := run(t, inner, "say "+text); out != text {
		t.Fatalf("%q %q", out, said)
	}
	const told = "entry: your limit for today from home.tinker, 1000 bytes, is reached; it starts anew at 00:00 UTC (ref "
	out, said, err := run(t, inner, "say "+text)
	if out != "" || !strings.HasPrefix(said, told) || exitStatus(err) != 254 {
		t.Errorf("%q %q %v", out, said, err)
	}
	if e := s.log.Await(t, audit.BudgetSpent, "budget-spent"); e.User != "alice" || e.Target != "home.tinker" || e.Session == "" {
		t.Errorf("%+v", e)
	}
	s.log.Await(t, audit.BudgetWarning, "80-percent")
	if out, said, _ := run(t, inner, "say in"); out != "in" {
		t.Errorf("what still fits: %q %q", out, said)
	}
	inner.Close()
	other := s.login("alice").jump("home")
	if out, said, _ := run(t, other, "say "+text); out != "" || !strings.HasPrefix(said, told) {
		t.Errorf("another session: %q %q", out, said)
	}
	if out, _, _ := run(t, s.login("bob").jump("home"), "say "+text); out != text {
		t.Errorf("another user: %q", out)
	}
	// A reload gives what runs more room, a day too.
	s.server.Access().SetPolicy(policies.Parse(t, s.policyText("", "    limits: {day_down: 2000}\n")))
	testkit.Eventually(t, "more room", func() bool { out, _, _ := run(t, other, "say "+text); return out == text })
	s.clock.Advance(24 * time.Hour)
	again := s.login("alice").jump("home")
	for range 3 {
		if out, said, _ := run(t, again, "say "+text); out != text {
			t.Errorf("the next day: %q %q", out, said)
		}
	}
}

func TestForwardsCount(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{policy: withWorkbench(w, "    limits: {session_down: 8}\n")})
	ch := testkit.Must(s.login("alice").open(bench()))(t)
	got := make([]byte, 8)
	if _, err := ch.Write([]byte("123")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ch, got); err != nil || string(got) != "hello123" {
		t.Fatalf("%q, %v", got, err)
	}
	_, _ = ch.Write([]byte("4"))
	testkit.Finishes(t, "the forward", func() {
		if b, _ := io.ReadAll(ch); len(b) != 0 {
			t.Errorf("%q came through", b)
		}
	})
	if e := s.log.Await(t, audit.ForwardClosed, "budget-spent"); e.BytesDown != 8 {
		t.Errorf("%+v", e)
	}
	s.log.Await(t, audit.BudgetSpent, "budget-spent")
}

// someRule is any rule in the vocabulary that a decision depends on here.
func someRule(t *rapid.T, i int) string {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, fmt.Sprint(label, i)) }
	text := fmt.Sprintf("  - name: r%d\n", i)
	deny := rapid.IntRange(0, 7).Draw(t, fmt.Sprint("deny", i)) == 7
	// Most rules state one condition or none, or nobody would get anywhere.
	condition := one("condition", "", "", "from", "when", "valid", "mfa", "approval", "approval")
	if condition != "" {
		one = func(label string, of ...string) string {
			for label == condition && of[0] == "" {
				of = of[1:]
			}
			return rapid.SampledFrom(of).Draw(t, fmt.Sprint(label, i))
		}
	}
	if deny {
		text += "    deny: true\n"
	}
	text += "    who: " + one("who", "{labs: [tinker]}", "{users: [alice]}", "{users: [bob]}", "{groups: [tinker/stewards]}", "{users: [carol]}") + "\n"
	text += "    where: " + one("where", "{labs: [tinker]}", "{targets: [home.tinker]}", "{targets: [bench.tinker]}") + "\n"
	if from := one("from", "", "", "", "", "", "[127.0.0.0/8]", "[192.0.2.0/24]", "[\"::1/128\"]"); from != "" {
		text += "    from: " + from + "\n"
	}
	if when := one("when", "", "", "", "", "", `{days: [sun], hours: "11:00-13:00", zone: UTC}`, `{days: [mon], zone: UTC}`, `{hours: "22:00-06:00", zone: UTC}`); when != "" {
		text += "    when: " + when + "\n"
	}
	if valid := one("valid", "", "", "", "", "", "{until: 2026-03-02, zone: UTC}", "{until: 2026-02-01, zone: UTC}", "{from: 2026-04-01, zone: UTC}"); valid != "" {
		text += "    valid: " + valid + "\n"
	}
	may := one("may", "[exec, forward-local]", "[exec, forward-local]", "[exec]", "[shell]", "[forward-local]", "[upload]", "")
	if deny {
		if may != "" {
			text += "    may: " + may + "\n"
		}
		return text
	}
	if may == "" {
		may = "[exec]"
	}
	text += "    may: " + may + "\n    record: metadata\n"
	if strings.Contains(may, "exec") && rapid.Bool().Draw(t, fmt.Sprint("only", i)) {
		text += "    exec: [say in]\n"
	}
	if mfa := one("mfa", "", "", "", "", "", "{methods: [otp]}", "{methods: [sk]}", "{max_age: 1h}"); mfa != "" {
		text += "    mfa: " + mfa + "\n"
	}
	if a := one("approval", "", "", "", "", "", "", "", "{approvers: [carol, bob], for: 1h, wait: 1s}"); a != "" {
		text += "    approval: " + a + "\n"
	}
	return text
}

// eachOutcome are rules that together have both targets opened, refused and waiting: random
// ones have a forward wait in few runs of a hundred.
var eachOutcome = []string{
	"  - {name: in, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec, forward-local], record: metadata}\n",
	"  - {name: no, who: {users: [carol]}, where: {labs: [tinker]}, may: [exec, forward-local], record: metadata}\n",
	"  - {name: ask, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec, forward-local], record: metadata, approval: {approvers: [carol, bob], for: 1h, wait: 1s}}\n",
}

// What the server does is what policy decides, and what explain says.
func TestServerDoesWhatPolicyDecides(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{})
	var clients map[string]*client
	methods := map[string]string{} // a key that was used once needs no code
	seen, checks := map[string]int{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks%40 == 1 { // whoever is refused too often on one connection has to wait
			clients = map[string]*client{}
			for _, u := range users {
				clients[u] = s.login(u)
				methods[u] = s.log.Await(t, audit.LoginSucceeded, "").Method
			}
		}
		text := fmt.Sprintf(`labs:
  tinker:
    members: [alice, bob]
    groups: {stewards: [bob]}
    targets:
      home: {address: %q, host_keys: [%q], default_login: worker}
      bench: {kind: tcp, address: %q, ports: [80]}
rules:
`, s.home.addr, s.home.key(), w.addr)
		if checks <= len(eachOutcome) {
			text += eachOutcome[checks-1]
		} else {
			for i := range rapid.IntRange(1, 4).Draw(rt, "rules") {
				text += someRule(rt, i)
			}
		}
		p, err := policy.Parse(strict.File{Name: "tinker.yaml", Data: []byte(text)})
		if err != nil {
			return // what the files can't say needn't be decided
		}
		s.server.Access().SetPolicy(p)
		for _, u := range users {
			c := clients[u]
			for _, name := range []string{"home", "bench"} {
				target, _ := p.Target(name + ".tinker")
				r := policy.Request{User: u, Target: target, Source: netip.MustParseAddr("127.0.0.1"), Time: s.clock.Now(), Method: methods[u], CodeAt: s.clock.Now()}
				e := p.Explain(r)
				g, no, want := e.Grant, e.Denied, "in"
				if no == nil && name == "bench" && !g.Allows(policy.ForwardLocal) {
					no = g.Refusal(policy.ForwardLocal)
				}
				switch {
				case no != nil && no.Approval != nil:
					want = "waits"
				case no != nil:
					want = no.Told()
				case name == "home" && !g.AllowsExec("say in"):
					want = g.Refusal(policy.Exec).Told()
				}
				got := c.does(name)
				if !strings.HasPrefix(got, want) && !(want == "waits" && strings.Contains(got, "approv")) {
					rt.Fatalf("%s on %s: the server says %q, policy %q\n%s", u, name, got, want, text)
				}
				switch {
				case want == "in", want == "waits":
					seen[name+" "+want]++
				default:
					seen[name+" refused"]++
				}
			}
		}
	})
	t.Log(seen)
	for _, k := range []string{"home in", "home refused", "home waits", "bench in", "bench refused", "bench waits"} {
		if seen[k] == 0 {
			t.Errorf("never: %s", k)
		}
	}
}

// refusedOpen is what the user of a channel is told that wasn't opened.
func refusedOpen(t testing.TB, err error) string {
	t.Helper()
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return strings.TrimPrefix(refused.Message, "entry: ")
}

// does tries name and gives "in", or what the user is told.
func (c *client) does(name string) string {
	c.s.t.Helper()
	if name == "bench" {
		ch, err := c.open(forward{name, 80, "127.0.0.1", 40000})
		if err != nil {
			return refusedOpen(c.s.t, err)
		}
		ch.Close()
		return "in"
	}
	ch, err := c.open(jumpTo(name, 22))
	if err != nil {
		return refusedOpen(c.s.t, err)
	}
	defer ch.Close()
	told := make(chan string, 1)
	conn, chans, reqs, err := ssh.NewClientConn(channelConn{ch}, name+":22", &ssh.ClientConfig{HostKeyCallback: c.s.hostCheck(), BannerCallback: func(text string) error {
		if strings.Contains(text, "approval") {
			told <- text
			return logbook.ErrFull // enough: leave
		}
		return nil
	}})
	if err != nil {
		select {
		case text := <-told:
			return text
		default:
		}
		if said, ok := disconnected(err); ok {
			return strings.TrimPrefix(said, "entry: ")
		}
		return err.Error()
	}
	inner := ssh.NewClient(conn, chans, reqs)
	defer inner.Close()
	sess, err := inner.NewSession()
	if err != nil {
		return err.Error()
	}
	var out, errs strings.Builder
	sess.Stdout, sess.Stderr = &out, &errs
	_ = sess.Run("say in")
	if out.Len() > 0 {
		return out.String()
	}
	return strings.TrimPrefix(errs.String(), "entry: ")
}
