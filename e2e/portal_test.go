package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"entry/e2e/testkit"
)

// portalOf is a running site, one enrolled user, and their computer with one
// login to entry open: each portal command is a session on it.
func portalOf(t *testing.T) (*site, *person, *client) {
	t.Helper()
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)
	c.master()
	alice.asked()
	return s, alice, c
}

// portal runs a portal command at a terminal.
func (c *client) portal(args ...string) *terminal {
	c.t.Helper()
	w := onTerminal(c.t, c.ssh(append([]string{"-tt", "entry"}, args...)...))
	// A session on an open connection shows its first prompt a moment before
	// ssh takes the terminal's own echo away; people aren't that fast.
	testkit.Eventually(c.t, "ssh has the terminal", func() bool { return !w.echoes() })
	return w
}

// echoes tells whether the terminal itself shows what is typed.
func (w *terminal) echoes() bool {
	w.t.Helper()
	raw, err := w.file.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	echo := false
	if err := raw.Control(func(fd uintptr) {
		if a, aerr := unix.IoctlGetTermios(int(fd), unix.TCGETS); aerr == nil {
			echo = a.Lflag&unix.ECHO != 0
		}
	}); err != nil {
		w.t.Fatal(err)
	}
	return echo
}

// giveCode answers a command's own question for a fresh code.
func (w *terminal) giveCode(p *person) {
	w.t.Helper()
	w.expect(`entry one-time code: $`)
	w.sendLine(p.phone.code(w.t))
}

func TestPortalShell(t *testing.T) {
	beside(t)
	_, _, c := portalOf(t)
	w := c.portal()
	w.expect(`(?s)logged in to entry as alice\.\s+Nothing here is\s+recorded but what you\s+change\..*ssh -J entry home.*1\. targets.*entry> $`)
	w.sendLine("config")
	w.expect(`(?s)config openssh .*entry> $`)
	w.sendLine("4")
	w.expect(`(?s)ok: logins are not locked.*passphrase\+otp.*entry> $`)
	w.resize(40, 20)
	w.sendLine("help doctor")
	w.expect(`(?s)clocks, locks.*entry> $`)
	w.sendLine("quit")
	if code := w.wait(); code != 0 {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	if i := strings.IndexAny(w.text(), "\x1b\a\b"); i >= 0 {
		t.Errorf("a screen reader would read %q", w.text()[i:])
	}
	// A script gets results on its standard output alone, and an exit status.
	r := testkit.Run(t, c.ssh("entry", "doctor"))
	if r.Code != 0 || !strings.Contains(r.Stdout, "ok: ") {
		t.Errorf("%s", r)
	}
	if r := testkit.Run(t, c.ssh("entry", "frobnicate")); r.Code != 2 || r.Stdout != "" || !strings.Contains(r.Stderr, "ssh entry help") {
		t.Errorf("%s", r)
	}
}

func TestPortalEnroll(t *testing.T) {
	beside(t)
	s, alice, c := portalOf(t)
	w := c.portal("enroll", "tablet")
	w.giveCode(alice)
	m := w.expect(groupedSecret.String())
	tablet := newAuthenticator(m[1])
	w.expect(`: $`)
	w.sendLine(tablet.code(t))
	w.expect(`Enrolled: tablet\.`)
	if code := w.wait(); code != 0 {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	s.awaitEvent("authenticator.enrolled", func(e event) bool { return e.User == "alice" && e.Detail == "tablet" })
	// The new device logs in, and the old one still does.
	phone := alice.phone
	for _, device := range []*authenticator{tablet, phone} {
		alice.phone = device
		conn, err := s.dial(alice)
		if err != nil {
			t.Fatalf("%v: asked %q", err, alice.asked())
		}
		conn.Close()
	}
	if r := testkit.MustRun(t, c.ssh("entry", "enroll", "list")); !strings.Contains(r.Stdout, "tablet") || strings.Count(r.Stdout, "\n") != 2 {
		t.Errorf("%s", r)
	}
}

func TestPortalPasswd(t *testing.T) {
	beside(t)
	s, alice, c := portalOf(t)
	const fresh = "copper Harbour 29 whistle/fern"
	w := c.portal("passwd")
	w.expect(`To\s+change\s+your\s+passphrase,\s+first\s+type\s+a\s+new\s+code\s+of\s+your\s+authenticator:\s+the\s+one\s+that\s+you\s+logged\s+in\s+with\s+won't\s+do,\s+the\s+next\s+comes\s+within\s+30\s+seconds\.\s+entry one-time code: $`)
	w.sendLine(alice.passphrase) // by habit
	w.expect(`That is no code: a one-time code has six digits\.\s`)
	w.giveCode(alice)
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.passphrase)
	w.expect(`(?i)new entry passphrase: $`)
	w.sendLine("short")
	w.expect(`(?i)refused: it has 5 characters.*new entry passphrase: $`)
	w.sendLine(fresh)
	w.expect(`(?i)repeat new entry passphrase: $`)
	w.sendLine(fresh)
	w.expect(`Your passphrase is changed`)
	if code := w.wait(); code != 0 {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	if strings.Contains(w.text(), fresh) || strings.Contains(w.text(), alice.passphrase) {
		t.Errorf("a passphrase was shown: %q", w.text())
	}
	s.awaitEvent("passphrase.changed", func(e event) bool { return e.User == "alice" })
	alice.passphrase = fresh
	conn, err := s.dial(alice)
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	conn.Close()
	if strings.Contains(testkit.ReadFile(t, s.path("audit", "events.jsonl")), "Harbour") {
		t.Error("the passphrase is in the audit log")
	}
}

func TestPortalRecovery(t *testing.T) {
	beside(t)
	s, alice, c := portalOf(t)
	w := c.portal("recovery")
	w.giveCode(alice)
	w.expect(`(?s)[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}.*: $`)
	codes := recoveryCode.FindAllString(w.text(), -1)
	w.sendLine("")
	w.expect(`These are your recovery codes now`)
	if code := w.wait(); code != 0 || len(codes) < 8 {
		t.Fatalf("exit status %d, %d codes: %q", code, len(codes), w.text())
	}
	// One of the old ones is void; a new one lets her in, to enrol anew.
	for _, x := range []struct {
		code string
		in   bool
	}{{alice.recovery[0], false}, {codes[0], true}} {
		first := true
		alice.answering(func(prompt string) (string, bool) {
			if askCode.MatchString(prompt) && !groupedSecret.MatchString(prompt) {
				if !first {
					return "", false
				}
				first, alice.phone = false, nil
				return x.code, true
			}
			return alice.rightAnswer(prompt)
		})
		conn, err := s.dial(alice)
		if (err == nil) != x.in {
			t.Fatalf("%v: asked %q", err, alice.asked())
		}
		if err == nil {
			conn.Close()
		}
	}
	s.awaitEvent("recovery.created", nil)
}

// One code a day: a key, once with a code, then ten runs that ask nothing, and
// none after `keys forget`.
func TestPortalKeysAreRemembered(t *testing.T) {
	beside(t)
	s, alice, c := portalOf(t)
	signer := testkit.NewKeyFile(t, c.path("id"))
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " laptop"
	w := c.portal("keys", "add", line)
	w.giveCode(alice)
	w.expect(`Signature: $`)
	w.sendLine("")
	w.expect(regexp.QuoteMeta("Added: " + ssh.FingerprintSHA256(signer.PublicKey())))
	if code := w.wait(); code != 0 {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	// Another computer of hers, without the open connection.
	laptop := s.client(alice, "IdentityFile "+c.path("id"), "PreferredAuthentications publickey,keyboard-interactive")
	alice.asked()
	if r := testkit.MustRun(t, laptop.exec("echo in")); r.Stdout != "in\n" {
		t.Errorf("%s", r)
	}
	if asked := alice.asked(); len(asked) != 1 || !askCode.MatchString(asked[0]) {
		t.Errorf("key and code asked %q", asked)
	}
	laptop = laptop.byHand()
	laptop.appendConfig("Match all", "    BatchMode yes")
	for i := range 10 {
		if r := testkit.MustRun(t, laptop.exec(fmt.Sprint("echo run ", i))); r.Stdout != fmt.Sprintf("run %d\n", i) {
			t.Errorf("%s", r)
		}
	}
	testkit.WriteFile(t, laptop.path("data"), "figures")
	for i := range 5 {
		testkit.MustRun(t, laptop.command("rsync", "-e", "ssh -F "+laptop.config+" -J entry", laptop.path("data"), fmt.Sprintf("home:%s", laptop.path("copy"+strconv.Itoa(i)))))
		if got := testkit.ReadFile(t, laptop.path("copy"+strconv.Itoa(i))); got != "figures" {
			t.Errorf("rsync %d brought %q", i, got)
		}
	}
	if n := len(s.events("login.succeeded")); n < 17 {
		t.Errorf("%d logins in the log", n)
	}
	s.awaitEvent("login.succeeded", func(e event) bool { return e.Method == "publickey+remembered" && e.User == "alice" })
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
	if r := testkit.MustRun(t, c.ssh("entry", "keys")); !strings.Contains(r.Stdout, "need no code for now") || !strings.Contains(r.Stdout, "127.0.0.1/32") {
		t.Errorf("%s", r)
	}
	testkit.MustRun(t, c.ssh("entry", "keys", "forget", "all"))
	if r := testkit.Run(t, laptop.exec("echo in")); r.Code != 255 || r.Stdout != "" {
		t.Errorf("after keys forget: %s", r)
	}
	if r := testkit.MustRun(t, c.ssh("entry", "keys")); !strings.Contains(r.Stdout, "No key is remembered") {
		t.Errorf("%s", r)
	}
}

// The printed OpenSSH file works as it is: one login, then none.
func TestPortalConfigOpenSSH(t *testing.T) {
	beside(t)
	_, alice, c := portalOf(t)
	dir := testkit.ShortDir(t)
	entryConf, known := filepath.Join(dir, "entry.conf"), filepath.Join(dir, "known_hosts")
	testkit.WriteFile(t, entryConf, testkit.MustRun(t, c.ssh("entry", "config", "openssh")).Stdout)
	testkit.WriteFile(t, known, testkit.MustRun(t, c.ssh("entry", "config", "known_hosts")).Stdout)
	// Only what keeps the test away from the real home folder is added.
	conf := filepath.Join(dir, "config")
	testkit.WriteFile(t, conf, fmt.Sprintf("Host entry\n    ControlPath %s\nHost *\n    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    IdentityFile none\n    Include %s\n",
		filepath.Join(dir, "m-%C"), known, entryConf))
	alice.asked()
	t.Cleanup(func() { _ = c.command("ssh", "-F", conf, "-O", "exit", "entry").Run() }) // if the test failed before
	if r := testkit.MustRun(t, c.command("ssh", "-F", conf, "home", "echo in")); r.Stdout != "in\n" {
		t.Errorf("%s", r)
	}
	if asked := alice.asked(); len(asked) != 2 {
		t.Errorf("the first login asked %q", asked)
	}
	for _, name := range []string{"home.tinker", "home"} {
		if r := testkit.MustRun(t, c.command("ssh", "-F", conf, name, "echo again")); r.Stdout != "again\n" {
			t.Errorf("%s: %s", name, r)
		}
	}
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("shared connections asked %q", asked)
	}
	testkit.MustRun(t, c.command("ssh", "-F", conf, "-O", "exit", "entry"))
}

// PuTTY's own reader takes the registry file's values: on Unix they are files
// of the same names. No host key is asked about.
func TestPortalConfigPuTTY(t *testing.T) {
	beside(t)
	_, alice, c := portalOf(t)
	reg := testkit.MustRun(t, c.ssh("entry", "config", "putty")).Stdout
	folders := map[string]string{"Sessions": "sessions", "SshHostCAs": "sshhostcas"}
	var file string
	values := map[string][]string{}
	for line := range strings.SplitSeq(reg, "\r\n") {
		if m := regexp.MustCompile(`^\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\(\w+)\\(.+)\]$`).FindStringSubmatch(line); m != nil {
			file = filepath.Join(folders[m[1]], m[2])
		} else if m := regexp.MustCompile(`^"(\w+)"=(?:"(.*)"|dword:([0-9a-f]{8}))$`).FindStringSubmatch(line); m != nil {
			v := m[2]
			if m[3] != "" {
				n, err := strconv.ParseUint(m[3], 16, 32)
				if err != nil {
					t.Fatal(err)
				}
				v = fmt.Sprint(n)
			}
			values[file] = append(values[file], m[1]+"="+v)
		} else if line != "" && !strings.HasPrefix(line, ";") && line != "Windows Registry Editor Version 5.00" {
			t.Errorf("line %q", line)
		}
	}
	for name, all := range values {
		path := c.path(".putty", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		testkit.WriteFile(t, path, strings.Join(all, "\n")+"\n")
	}
	w := onTerminal(t, c.byHand().command("plink", "-load", "home.tinker via entry", "-no-antispoof", "echo at-$((1+1)); exit 8"))
	answerLogin(w, alice)
	w.expect(`entry passphrase: $`) // PuTTY doesn't say that it is the client itself
	w.sendLine(alice.passphrase)
	w.expect(`at-2\r?\n`)
	if code := w.wait(); code != 8 {
		t.Errorf("exit status %d, want 8: %q", code, w.text())
	}
	if strings.Contains(w.text(), "cache") {
		t.Errorf("a host key was asked about: %q", w.text())
	}
}
