package bastion_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/policy"
	"entry/policy/strict"
	"entry/session/recording"
	"entry/session/recording/spool"
)

func TestMain(m *testing.M) {
	// A client that opens a channel in the moment in which its connection ends
	// waits for ever (x/crypto v0.58.0: mux.loop drops the channels before it
	// closes the connection).
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("golang.org/x/crypto/ssh.(*mux).openChannel"))
}

// soon bounds waiting for what should hold at once.
const soon = 20 * time.Second

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(soon)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s", what, soon)
		case <-tick.C:
		}
	}
}

// finishes runs f and fails if it doesn't return.
func finishes(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(soon):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s: not within %s\n%s", what, soon, stacks[:runtime.Stack(stacks, true)])
	}
}

// clock is the site's time: it stands still until a test moves it.
type siteClock struct {
	mu    sync.Mutex
	t     time.Time
	since time.Time // it goes on by itself since then, if it does
}

func (c *siteClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() {
		return c.t.Add(time.Since(c.since))
	}
	return c.t
}

// starts has the clock go on by itself, too.
func (c *siteClock) starts() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = time.Now()
}

func (c *siteClock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return c.t
}

var errLog = errors.New("no space left on device")

// logbook is an audit log in memory that tests read and break.
type logbook struct {
	mu     sync.Mutex
	events []audit.Event
	refuse func(audit.Event) bool // these can't be written
	before func(audit.Event)      // runs outside mu ahead of each event
	failed chan struct{}
}

func (l *logbook) Append(ctx context.Context, all ...audit.Event) error {
	l.mu.Lock()
	before, refuse := l.before, l.refuse
	l.mu.Unlock()
	for _, e := range all {
		if before != nil {
			before(e)
		}
		if refuse != nil && refuse(e) {
			return errLog
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, all...)
	return nil
}

func (l *logbook) Failed() <-chan struct{} { return l.failed }

func (l *logbook) all(types ...audit.Type) []audit.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []audit.Event
	for _, e := range l.events {
		if len(types) == 0 || slices.Contains(types, e.Type) {
			out = append(out, e)
		}
	}
	return out
}

func (l *logbook) set(f func(*logbook)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

// await waits for an event of that type and reason and returns the latest.
func (l *logbook) await(t testing.TB, typ audit.Type, reason string) audit.Event {
	t.Helper()
	var e audit.Event
	eventually(t, fmt.Sprintf("event %s %s", typ, reason), func() bool {
		for _, x := range l.all(typ) {
			if reason == "" || x.Reason == reason {
				e = x
			}
		}
		return e.Type != ""
	})
	return e
}

// site is a whole jump host in this process, with one target machine.
type site struct {
	t      testing.TB
	clock  *siteClock
	log    *logbook
	store  *store.Store
	auth   *identity.Authenticator
	spool  *spool.Spool
	dir    string
	hostCA ssh.PublicKey
	hosts  *ca.HostKeys
	userCA *ca.UserCA
	home   *machine
	server *bastion.Server
	addr   string
	admin  *admin.Server
	served chan error
}

// options change what newSite makes.
type options struct {
	options func(*bastion.Options)
	policy  func(*site) string // instead of the usual one
	bound   string             // the listener leads to this target
}

// usual is a policy under which alice and bob may do everything on home.
func usual(s *site) string { return s.policyText("", "") }

// policyText is the usual policy with more targets, and more or other limits
// in the rule.
func (s *site) policyText(targets, rule string) string {
	return fmt.Sprintf(`labs:
  tinker:
    members: [alice, bob]
    targets:
      home: {address: %q, host_keys: [%q], default_login: worker, logins: {alice: [worker, analysis]}}
%srules:
  - name: all
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [shell, exec, upload, download]
    record: full
%s`, s.home.addr, s.home.key(), targets, rule)
}

func parsePolicy(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(strict.File{Name: "tinker.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func newSite(t *testing.T, o options) *site {
	t.Helper()
	enrolled.once.Do(func() {
		dir, err := os.MkdirTemp("", "bastion")
		if err == nil {
			err = enrolAll(dir)
			err = errors.Join(err, os.RemoveAll(dir))
		}
		enrolled.err = err
	})
	if enrolled.err != nil {
		t.Fatal(enrolled.err)
	}
	dir := t.TempDir()
	s := &site{t: t, dir: dir, clock: &siteClock{t: enrolled.at}, log: &logbook{failed: make(chan struct{})}, served: make(chan error, 1)}
	for _, d := range []string{"hosts", "spool"} {
		must[struct{}](t)(struct{}{}, os.Mkdir(filepath.Join(dir, d), 0o700))
	}
	db := filepath.Join(dir, "entry.db")
	must[struct{}](t)(struct{}{}, os.WriteFile(db, enrolled.db, 0o600))
	s.store = must[*store.Store](t)(store.OpenSQLite(db, s.clock.now))
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	s.auth = must[*identity.Authenticator](t)(identity.New(identity.Options{Config: configs.Default(), Store: s.store, Events: s.log.Append, Secret: []byte(siteSecret), Now: s.clock.now}))

	host := must[*ca.Authority](t)(ca.GenerateFile(filepath.Join(dir, "host_ca"), ""))
	user := must[*ca.Authority](t)(ca.GenerateFile(filepath.Join(dir, "user_ca"), ""))
	hostCA := must[*ca.HostCA](t)(ca.NewHostCA(host))
	s.hostCA = hostCA.PublicKey()
	s.userCA = must[*ca.UserCA](t)(ca.NewUserCA(user))
	s.hosts = must[*ca.HostKeys](t)(ca.OpenHostKeys(ca.HostKeysOptions{Dir: filepath.Join(dir, "hosts"), CA: hostCA, Now: s.clock.now}))
	t.Cleanup(func() {
		if err := s.hosts.Close(); err != nil {
			t.Error(err)
		}
	})
	s.spool = must[*spool.Spool](t)(spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), Commit: func(context.Context, recording.Tick) error { return nil }}))
	t.Cleanup(func() {
		if err := s.spool.Close(); err != nil && !errors.Is(err, spool.ErrClosed) {
			t.Error(err)
		}
	})
	_, recipient, err := recording.GenerateIdentity()
	auditors := must[[]age.Recipient](t)(recording.ParseRecipients(strings.NewReader(must[string](t)(recipient, err))))

	s.home = startMachine(t, s)
	text := usual
	if o.policy != nil {
		text = o.policy
	}
	cfg := configs.Default()
	cfg.Limits.Startups, cfg.Limits.PerSource = configs.Startups{Begin: 200, Rate: 30, Full: 300}, 100
	cfg.Limits.Dial, cfg.Recording.Notice = 2*time.Second, configs.NoticeNone
	bo := bastion.Options{
		Config: cfg,
		Policy: parsePolicy(t, text(s)), Auth: s.auth, Events: s.log, Spool: s.spool, Usage: s.store,
		Auditors: func(string) []age.Recipient { return auditors },
		HostKeys: s.hosts, UserCA: s.userCA, Log: zap.NewNop(), Now: s.clock.now,
	}
	if o.options != nil {
		o.options(&bo)
	}
	s.server = must[*bastion.Server](t)(bastion.New(bo))
	s.admin = &admin.Server{Auth: s.auth, Events: s.log, Log: zap.NewNop(), Gate: s.server.Access()}
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	s.addr = l.Addr().String()
	go func() { s.served <- s.server.Serve(l, o.bound) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		finishes(t, "shutdown", func() { s.server.Shutdown(ctx); <-s.served })
	})
	return s
}

// code is user's next one-time code. The clock moves a step, so that it is a
// new one.
func (s *site) code(user string) string {
	s.t.Helper()
	return must[string](s.t)(totp.GenerateCode(enrolled.seeds[user], s.clock.advance(30*time.Second)))
}

// hostCheck accepts what entry's host CA vouches for.
func (s *site) hostCheck() ssh.HostKeyCallback {
	c := &ssh.CertChecker{Clock: s.clock.now, IsHostAuthority: func(k ssh.PublicKey, _ string) bool { return bytes.Equal(k.Marshal(), s.hostCA.Marshal()) }}
	return c.CheckHostKey
}

// config logs user in with their key and code.
func (s *site) config(name string) *ssh.ClientConfig {
	user, _, _ := strings.Cut(name, "+")
	return &ssh.ClientConfig{
		User: name, HostKeyCallback: s.hostCheck(), ClientVersion: "SSH-2.0-OpenSSH_9.2p1",
		Auth: []ssh.AuthMethod{ssh.PublicKeys(enrolled.keys[user]), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i, q := range questions {
				if strings.HasSuffix(q, "entry one-time code: ") {
					answers[i] = s.code(user)
				}
			}
			return answers, nil
		})},
	}
}
