package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"entry/e2e/testkit"
)

// directory is a real slapd with one user, alice.
type directory struct {
	*testkit.Program
	addr string
	conf string
	args []string
}

const directoryPeople = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: uid=alice,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: %s
`

func startDirectory(t testing.TB, passphrase string) *directory {
	t.Helper()
	dir := testkit.ShortDir(t)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slapd.conf")
	testkit.WriteFile(t, conf, fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
disallow bind_anon
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
database mdb
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
rootpw root
directory %[1]s/db
`, dir))
	add := command(testkit.System(t, "slapadd"), "-f", conf)
	add.Stdin = strings.NewReader(fmt.Sprintf(directoryPeople, passphrase))
	testkit.MustRun(t, add)
	d := &directory{conf: conf, addr: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))}
	d.args = []string{testkit.System(t, "slapd"), "-f", conf, "-d", "256", "-h", "ldap://" + d.addr + "/"}
	d.up(t)
	return d
}

func (d *directory) up(t testing.TB) {
	t.Helper()
	d.Program = testkit.Start(t, "slapd", command(d.args[0], d.args[1:]...))
	testkit.Eventually(t, "slapd answers", func() bool {
		c, err := net.Dial("tcp", d.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// TestRealm: a directory judges the passphrase, entry the code. With the
// directory down nobody gets in, and is told why.
func TestRealm(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := startDirectory(t, phrase)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) {
		c["realms"] = []any{map[string]any{"name": "duo", "where": "https://accounts.example.org",
			"ldap": map[string]any{"url": "ldap://" + ldap.addr, "bind_dn": "uid={user},dc=example,dc=org", "timeout": "20s"}}}
	})
	s.serve()
	alice := s.add("alice")
	s.mustEntry("user", "realm", "alice", "duo")
	if out := s.mustEntry("user", "show", "alice"); !strings.Contains(out, "judged by the directory duo") {
		t.Errorf("user show: %s", out)
	}

	// The first enrolment is entry's: the temporary passphrase, no new one.
	w := onTerminal(t, s.client(alice).byHand().exec("echo at-$((1+1)); exit 8"))
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.temporary)
	alice.enrolDevice(w)
	lands(w)
	if strings.Contains(w.text(), "New entry passphrase") {
		t.Errorf("a passphrase of entry's own was asked for: %q", w.text())
	}

	// A wrong code costs the directory nothing; with a right one each dialogue is
	// one bind, and the second is right.
	alice.passphrase = phrase
	binds := func() int {
		return strings.Count(ldap.LogNow(ldap.addr), `BIND dn="uid=alice,dc=example,dc=org" method=128`)
	}
	alice.mistakes(phrase, alice.phone.wrong(t))
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Error("let in with a wrong code")
	}
	if n := binds(); n != 0 {
		t.Errorf("a wrong code cost the directory %d binds", n)
	}
	code := alice.phone.code(t)
	alice.mistakes("not "+phrase, code, phrase, alice.phone.code(t))
	if c, err := s.dial(alice); err != nil {
		t.Errorf("%v: asked %q", err, alice.asked())
	} else {
		c.Close()
	}
	if n := binds(); n != 2 {
		t.Errorf("two dialogues cost the directory %d binds", n)
	}
	s.awaitEvent("login.succeeded", func(e event) bool { return e.Method == "passphrase+otp" && e.User == "alice" })

	ldap.Kill()
	alice.asked()
	alice.mistakes(phrase, alice.phone.code(t))
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Fatal("let in without the directory")
	}
	if asked := unbroken(alice.asked()); !strings.Contains(asked, "The directory duo that knows your passphrase can't be asked right now, which is not your fault: try again later.") {
		t.Errorf("with the directory down the user is told %q", asked)
	}
	s.awaitEvent("login.failed", func(e event) bool { return e.Reason == "directory-unavailable" && e.User == "alice" })

	// Back up: in again.
	ldap.up(t)
	alice.mistakes(phrase, alice.phone.code(t))
	c, err := s.dial(alice)
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	c.Close()
	if log := testkit.ReadFile(t, s.path("audit", "events.jsonl")); strings.Contains(log, "battery") {
		t.Error("the passphrase is in the audit log")
	}
}

// smsGateway is a site's gateway for text messages.
type smsGateway struct {
	addr string
	mu   sync.Mutex
	sent []map[string]string
	down bool
}

func startSMSGateway(t testing.TB) *smsGateway {
	t.Helper()
	g := &smsGateway{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		var m map[string]string
		g.mu.Lock()
		defer g.mu.Unlock()
		switch {
		case g.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case err != nil || json.Unmarshal(body, &m) != nil || r.Header.Get("X-Key") != "gateway's key":
			w.WriteHeader(http.StatusBadRequest)
		default:
			g.sent = append(g.sent, m)
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // until the test ends
	}()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return g
}

func (g *smsGateway) turn(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// messages are what was taken so far.
func (g *smsGateway) messages() []map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]map[string]string(nil), g.sent...)
}

var smsCode = regexp.MustCompile(`\b([0-9]{6})\b`)

// awaitCode is the code of the nth message.
func (g *smsGateway) awaitCode(t testing.TB, n int, number string) string {
	t.Helper()
	testkit.Eventually(t, "a text message", func() bool { return len(g.messages()) >= n })
	m := g.messages()[n-1]
	code := smsCode.FindString(m["message"])
	if m["to"] != number || code == "" {
		t.Fatalf("message %q", m)
	}
	return code
}

// TestCodesBySMS: the code comes by SMS to the number that an operator set, only
// after a right passphrase, and logs in once. With the gateway down the user is
// told, and doesn't get in.
func TestCodesBySMS(t *testing.T) {
	beside(t)
	const number = "+46701234567"
	gateway := startSMSGateway(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	headers := s.path("keys", "sms_headers")
	testkit.WriteFile(t, headers, "X-Key: gateway's key\n")
	s.configure(func(c map[string]any) {
		c["sms"] = map[string]any{"url": "http://" + gateway.addr + "/send", "body": `{"to": "{number}", "message": "{text}"}`, "headers_file": headers, "retries": 1}
	})
	s.serve()
	alice := s.add("alice")
	s.mustEntry("user", "phone", "alice", number)

	// The first login: the temporary passphrase and a code, a passphrase of her
	// own, no authenticator.
	login := func(passphrase string, nth int) *terminal {
		w := onTerminal(t, s.client(alice, oneDialogue).byHand().exec("echo at-$((1+1)); exit 8"))
		w.expect(`entry passphrase: $`)
		w.sendLine(passphrase)
		w.expect(`entry one-time code: $`)
		w.sendLine(gateway.awaitCode(t, nth, number))
		return w
	}
	w := login(alice.temporary, 1)
	w.expect(`New entry passphrase: $`)
	w.sendLine(alice.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(alice.chosen())
	lands(w)
	alice.passphrase = alice.chosen()
	lands(login(alice.passphrase, 2))
	s.awaitEvent("sms.sent", func(e event) bool { return e.User == "alice" && !strings.Contains(e.line, number) })

	// A wrong passphrase sends nothing, and the prompts are the same. The last
	// code is used up.
	used := gateway.awaitCode(t, 2, number)
	alice.mistakes("a wrong passphrase", "123456")
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Error("let in")
	}
	wrong := alice.asked()
	nobody := &person{t: t, name: "mallory"}
	nobody.mistakes("a wrong passphrase", "123456")
	if c, err := s.dial(nobody); err == nil {
		c.Close()
		t.Error("let in")
	}
	if a, b := strings.Join(wrong, "\n"), strings.Join(nobody.asked(), "\n"); a != b {
		t.Errorf("a known name sees %q, an unknown one %q", a, b)
	}
	if n := len(gateway.messages()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	alice.mistakes(alice.passphrase, used)
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Error("a code of another connection gets in")
	}
	// That dialogue had a code of its own, which is sent beside it: one that the
	// gateway refuses from now on would be taken for the next one's.
	testkit.Eventually(t, "its own code is sent", func() bool { return len(s.events("sms.sent")) == 3 })

	gateway.turn(true)
	alice.asked()
	failed := len(s.events("sms.failed"))
	alice.answering(func(prompt string) (string, bool) {
		if askPassphrase.MatchString(prompt) {
			return alice.passphrase, alice.prompted() == 1
		}
		s.awaitEvent("sms.failed", func(event) bool { return len(s.events("sms.failed")) > failed })
		return "123456", true
	})
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Error("let in although no code was sent")
	}
	if asked := unbroken(alice.asked()); !strings.Contains(asked, "The SMS with your code could not be sent, which is not your fault: try again later") {
		t.Errorf("with the gateway down the user is told %q", asked)
	}
	// And back up. An hour has five codes.
	gateway.turn(false)
	lands(login(alice.passphrase, len(gateway.messages())+1))
	// A code by itself, that is: six digits of a time or a hash may be the same.
	code := regexp.MustCompile(`(^|[^0-9A-Za-z.])` + used + `([^0-9A-Za-z]|$)`)
	for line := range strings.Lines(testkit.ReadFile(t, s.path("audit", "events.jsonl"))) {
		if strings.Contains(line, number) || code.MatchString(line) {
			t.Errorf("the number or the code %s is in the audit log: %s", used, line)
		}
	}
}
