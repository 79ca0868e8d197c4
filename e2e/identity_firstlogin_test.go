package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// firstLogin types p's whole first login on a terminal: the temporary
// passphrase, one of their own, the authenticator, Enter below the recovery
// codes.
func (p *person) firstLogin(w *terminal) {
	w.t.Helper()
	w.expect(`entry passphrase: $`)
	w.sendLine(p.temporary)
	p.chooseAndEnrol(w)
}

// chooseAndEnrol is what follows a right temporary passphrase.
func (p *person) chooseAndEnrol(w *terminal) {
	w.t.Helper()
	w.expect(`New entry passphrase: $`)
	w.sendLine(p.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(p.chosen())
	p.passphrase = p.chosen()
	p.enrolDevice(w)
}

// enrolDevice scans what is shown and keeps the recovery codes.
func (p *person) enrolDevice(w *terminal) {
	w.t.Helper()
	m := w.expect(groupedSecret.String() + `[\s|]+entry one-time code: $`) // plink puts bars before what entry says
	p.phone = newAuthenticator(m[1])
	w.sendLine(p.phone.code(w.t))
	m = w.expect(`(?s)These are your recovery codes(.*)Press Enter when you have kept them, to go on with entry: $`)
	if p.recovery = recoveryCode.FindAllString(m[1], -1); len(p.recovery) != 10 {
		w.t.Errorf("%d recovery codes in %q", len(p.recovery), m[1])
	}
	w.sendLine("")
}

// TestFirstLogins: each of the stock clients carries a new user through the
// whole first login, and lands at home in the same command.
func TestFirstLogins(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	names := []string{"olga", "paul", "dora", "petra"}
	s.setPolicy(names, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	people := map[string]*person{}
	for _, name := range names {
		people[name] = s.add(name)
	}

	t.Run("OpenSSH", func(t *testing.T) {
		olga := people["olga"]
		w := onTerminal(t, s.client(olga).byHand().exec("echo at-$((1+1)); exit 8"))
		olga.firstLogin(w)
		lands(w)
	})
	t.Run("plink", func(t *testing.T) {
		paul := people["paul"]
		w := onTerminal(t, s.client(paul).byHand().command("plink", "-ssh", "-no-antispoof", "-P", strconv.Itoa(s.port), "paul+home@127.0.0.1", "echo at-$((1+1)); exit 8"))
		w.expect(`(?i)store key in cache\?.*\) $`)
		w.sendLine("y")
		paul.firstLogin(w)
		lands(w)
	})
	t.Run("dropbear", func(t *testing.T) {
		dora := people["dora"]
		c := s.client(dora).byHand()
		if err := os.Mkdir(c.path(".ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		path, err := exec.LookPath("dbclient")
		if err != nil {
			t.Fatal(err)
		}
		w := onTerminal(t, c.command(path, "-y", fmt.Sprintf("dora@127.0.0.1/%d,%s@home", s.port, testkit.Me(t)), "echo at-$((1+1)); exit 8"))
		dora.firstLogin(w)
		lands(w)
	})
	t.Run("paramiko", func(t *testing.T) {
		petra := people["petra"]
		c := s.client(petra)
		r := testkit.Run(t, c.command(python, "testdata/paramiko_session.py", strconv.Itoa(s.port), "petra", askpassSocket(c.env), testkit.Me(t), filepath.Join(testkit.ShortDir(t), "file")))
		if r.Code != 0 || !strings.Contains(r.Stdout, "status: 11\n") {
			t.Errorf("%s", r)
		}
		if petra.phone == nil || petra.passphrase == "" || len(petra.recovery) != 10 {
			t.Errorf("not enrolled: asked %q", petra.asked())
		}
	})
	for _, name := range names {
		p := people[name]
		s.awaitEvent("authenticator.enrolled", func(e event) bool { return e.User == name })
		// What was chosen and enrolled is what counts from now on.
		conn, err := s.dial(p)
		if err != nil {
			t.Errorf("%s doesn't get in afterwards: %v (asked %q)", name, err, p.asked())
			continue
		}
		conn.Close()
		again := &person{t: t, name: name}
		again.mistakes(p.temporary, "")
		if conn, err := s.dial(again); err == nil {
			conn.Close()
			t.Errorf("%s's temporary passphrase still opens", name)
		}
	}
}

// TestFirstLoginAfterTypingErrors: whoever mistypes the temporary passphrase, or has
// one that is worth nothing any more, reads what is wrong before a code is asked, comes
// back from that question by Enter, and gets in in the same dialogue. Strangers read
// the same.
func TestFirstLoginAfterTypingErrors(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.configure(func(c map[string]any) { c["guides"] = map[string]any{"contact": "the desk, desk@example.org"} })
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.add("alice")
	withdrawn := alice.temporary
	temp := strings.TrimSpace(s.mustEntry("user", "reset", "alice"))
	swapped := temp[1:2] + temp[:1] + temp[2:]
	if temp[0] == temp[1] {
		swapped = temp[:21] + temp[22:23] + temp[21:22]
	}
	for _, name := range []string{"nobody", "alice"} {
		w := onTerminal(t, s.client(&person{t: t, name: name}).byHand().exec("echo at-$((1+1)); exit 8"))
		w.expect(`entry passphrase: $`)
		w.sendLine(strings.ToUpper(swapped))
		w.expect(`That temporary passphrase has a typing error in its (?:first|second) half \(two groups of five\)\. Type it again as it was given to you\.\s+entry passphrase: $`)
		w.sendLine(temp[:22])
		w.expect(`(?s)typing error in its second half .*entry passphrase: $`)
		w.sendLine(withdrawn)
		w.expect(`no longer valid: ask\s+the\s+desk,\s+desk@example\.org\s+for\s+a\s+new\s+one\.\s+Enter goes back to the passphrase\. entry one-time code: $`)
		w.sendLine("")
		w.expect(`(?s)No code was typed\. .*ask\s+the\s+desk,\s+desk@example\.org\.\r?\nentry passphrase: $`)
		if name == "nobody" {
			w.sendLine("guess")
			w.expect(`entry one-time code: $`)
			w.sendLine("")
			w.expect(`(?s)No code was typed\. .*\nentry passphrase: $`)
			w.sendLine("guess")
			w.expect(`entry one-time code: $`)
			w.sendLine("")
			w.expect(`That\s+was\s+the\s+last\s+try\s+on\s+this\s+connection:\s+connect\s+again,\s+which\s+may\s+be\s+at\s+once,\s+or\s+ask\s+the\s+desk,\s+desk@example\.org\.\s+An\s+app's\s+codes\s+change\s+every\s+30\s+seconds:\s+see\s+that\s+your\s+phone\s+sets\s+its\s+clock\s+by\s+itself\.\r?\nPress Enter to leave entry: $`)
			w.sendLine("a habit")
			if code := w.wait(); code != 255 || strings.Contains(w.text(), "a habit") {
				t.Errorf("%s: exit status %d: %q", name, code, w.text())
			}
			continue
		}
		w.sendLine(" " + strings.ToUpper(strings.ReplaceAll(temp, "-", "  ")))
		w.expect(`Your temporary passphrase was right\.\s+Now choose one of your own: 12 characters or more, best several unrelated words\.\s+`)
		alice.chooseAndEnrol(w)
		lands(w)
	}
}

// lands expects what the command of these tests prints at home.
func lands(w *terminal) {
	w.t.Helper()
	w.expect(`at-2\r?\n`)
	if code := w.wait(); code != 8 {
		w.t.Errorf("exit status %d, want 8: %q", code, w.text())
	}
}

// oneDialogue keeps OpenSSH from beginning again when somebody gives up.
const oneDialogue = "NumberOfPasswordPrompts 1"

// TestTwoEnrolmentsAtOnce: whoever confirms the first code wins; the other is
// told, and what they chose counts for nothing.
func TestTwoEnrolmentsAtOnce(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.add("alice")
	first, second := &person{t: t, name: "alice", temporary: alice.temporary}, &person{t: t, name: "alice", temporary: alice.temporary}
	begin := func(p *person) (w *terminal) {
		w = onTerminal(t, s.client(p, oneDialogue).byHand().exec("echo at-$((1+1)); exit 8"))
		w.expect(`entry passphrase: $`)
		w.sendLine(p.temporary)
		w.expect(`New entry passphrase: $`)
		w.sendLine(p.chosen())
		w.expect(`Repeat new entry passphrase: $`)
		w.sendLine(p.chosen())
		m := w.expect(groupedSecret.String() + `\s+entry one-time code: $`)
		p.phone = newAuthenticator(m[1])
		p.passphrase = p.chosen()
		return w
	}
	a, b := begin(first), begin(second)
	if first.phone.secret == second.phone.secret {
		t.Error("both were shown the same key")
	}
	a.sendLine(first.phone.code(t))
	a.expect(`Press Enter when you have kept them, to go on with entry: $`)
	a.sendLine("")
	lands(a)
	b.sendLine(second.phone.code(t))
	b.expect(`Not\s+saved:\s+this\s+account\s+was\s+changed\s+meanwhile,\s+by\s+another\s+login\s+or\s+an?\s+\w+\.\s+Log\s+in\s+with\s+what\s+was\s+set\s+there\.\r?\nentry passphrase: $`)
	b.sendLine("")
	if code := b.wait(); code != 255 {
		t.Errorf("the second ended with %d: %q", code, b.text())
	}
	if conn, err := s.dial(first); err != nil {
		t.Errorf("the winner doesn't get in: %v (asked %q)", err, first.asked())
	} else {
		conn.Close()
	}
	second.mistakes(second.passphrase, second.phone.code(t))
	if conn, err := s.dial(second); err == nil {
		conn.Close()
		t.Error("the loser's authenticator gets in")
	}
	if n := len(s.events("authenticator.enrolled")); n != 1 {
		t.Errorf("%d enrolments in the log", n)
	}
}

// TestInvitation: the two halves, typed as one, lead to the first login; the
// guide is a page that a browser shows, with the command to type.
func TestInvitation(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	www := filepath.Join(s.dir, "..", "www")
	if err := os.Mkdir(www, 0o755); err != nil {
		t.Fatal(err)
	}
	s.configure(func(c map[string]any) { c["guides"] = map[string]any{"directory": www} })
	s.serve()
	if r := s.entry("user", "invite", "bob"); r.Code != 3 || !strings.Contains(r.Stderr, "bob is in no lab") {
		t.Errorf("nobody's member: %s", r)
	}
	halves := regexp.MustCompile(`\Afirst half, by mail: +(\S+)\nsecond half, by Signal: +(\S+)\nguide: +(\S+\.html)\nguide: +(\S+\.txt)\n\z`)
	out := s.mustEntry("user", "invite", "alice", "--lab", "tinker")
	old := halves.FindStringSubmatch(out)
	if old == nil {
		t.Fatalf("invite printed %q", out)
	}
	m := halves.FindStringSubmatch(s.mustEntry("user", "invite", "alice", "--lab", "tinker"))
	if m == nil || fileExists(old[3]) {
		t.Fatalf("the new invitation is %q, and the old guide is there: %t", m, fileExists(old[3]))
	}

	// One half, and the halves of the invitation before, open nothing.
	for _, typed := range []string{m[1], m[2], m[2] + m[1], old[1] + old[2], old[1] + m[2]} {
		p := &person{t: t, name: "alice"}
		p.mistakes(typed, "123456")
		if conn, err := s.dial(p); err == nil {
			conn.Close()
			t.Errorf("%q opens", typed)
		}
	}
	alice := &person{t: t, name: "alice", temporary: m[1] + m[2]}
	w := onTerminal(t, s.client(alice).byHand().exec("echo at-$((1+1)); exit 8"))
	alice.firstLogin(w)
	lands(w)
	if r := s.entry("user", "invite", "alice"); r.Code != 1 || !strings.Contains(r.Stderr, "entry user reset") {
		t.Errorf("inviting somebody who is here: %s", r)
	}
	if r := s.entry("user", "invite", "alice", "--revoke"); r.Code != 1 || !strings.Contains(r.Stderr, "no invitation to revoke") {
		t.Errorf("revoking what was used: %s", r)
	}

	page := testkit.MustRun(t, s.client(alice).command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+testkit.ShortDir(t), "--dump-dom", "file://"+m[3])).Stdout
	for _, text := range []string{"ssh -J entry home", "alice", ssh.FingerprintSHA256(testkit.ParseKey(t, testkit.ReadFile(t, s.path("keys", "host_ca.pub")))), "Windows", strconv.Itoa(s.port)} {
		if !strings.Contains(page, text) || text != "Windows" && !strings.Contains(testkit.ReadFile(t, m[4]), text) {
			t.Errorf("a guide doesn't say %q", text)
		}
	}
	for _, file := range []string{m[3], m[4]} {
		if text := testkit.ReadFile(t, file); strings.Contains(text, m[1]) || strings.Contains(text, m[2]) {
			t.Errorf("a half stands in %s", file)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("a web server can't read %s: %v, %v", file, info.Mode(), err)
		}
	}
	e := s.awaitEvent("user.invited", nil)
	if !strings.Contains(e.line, `"actor":{"uid":`) || strings.Contains(testkit.ReadFile(t, s.path("audit", "events.jsonl")), m[1]) {
		t.Errorf("the log says %s", e.line)
	}
}

// TestRevokedInvitation: what was taken back opens nothing, not even half-way
// through the first login.
func TestRevokedInvitation(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	in := decodeLines[struct {
		First  string    `json:"first_half"`
		Second string    `json:"second_half"`
		Until  time.Time `json:"until"`
	}](t, s.mustEntry("user", "invite", "alice", "--json"))[0]
	if left := time.Until(in.Until); left < 239*time.Hour || left > 240*time.Hour {
		t.Errorf("good for %s, want 10 days", left)
	}
	alice := &person{t: t, name: "alice", temporary: in.First + " " + in.Second}
	w := onTerminal(t, s.client(alice, oneDialogue).byHand().exec("echo in"))
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.temporary)
	w.expect(`New entry passphrase: $`)
	s.mustEntry("user", "invite", "alice", "--revoke")
	w.sendLine(alice.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(alice.chosen())
	m := w.expect(groupedSecret.String() + `\s+entry one-time code: $`)
	w.sendLine(newAuthenticator(m[1]).code(t))
	w.expect(`(?s)Not saved: .*\nentry passphrase: $`)
	w.sendLine("")
	if code := w.wait(); code != 255 || strings.Contains(w.text(), "recovery codes for") {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	again := &person{t: t, name: "alice"}
	again.mistakes(alice.temporary, "123456")
	if conn, err := s.dial(again); err == nil {
		conn.Close()
		t.Error("the revoked invitation opens")
	}
	if n := len(s.events("authenticator.enrolled", "login.succeeded")); n != 0 {
		t.Errorf("%d logins or enrolments in the log", n)
	}
}
