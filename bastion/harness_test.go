package bastion_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit/evidence"
	"entry/bastion"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/policies"
	"entry/session/recording"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

func TestMain(m *testing.M) {
	// A client that opens a channel in the moment in which its connection ends
	// waits for ever (x/crypto v0.58.0: mux.loop drops the channels before it
	// closes the connection).
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("golang.org/x/crypto/ssh.(*mux).openChannel"))
}

// site is a whole jump host in this process, with one target machine.
type site struct {
	t      testing.TB
	clock  *testkit.Clock
	log    *logbook.Log
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
	home := testkit.TargetLine("home", s.home.addr, s.home.key(), "default_login: worker", "logins: {alice: [worker, analysis]}")
	return testkit.PolicyText([]string{"alice", "bob"}, []string{strings.TrimSuffix(home+"\n"+targets, "\n")},
		testkit.Rule("all", testkit.On("home"), "may: [shell, exec, upload, download]", "record: full")) + rule
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
	s := &site{t: t, dir: dir, clock: testkit.NewClock(enrolled.at), log: &logbook.Log{}, served: make(chan error, 1)}
	for _, d := range []string{"hosts", "spool"} {
		testkit.Check(t, os.Mkdir(filepath.Join(dir, d), 0o700))
	}
	db := filepath.Join(dir, "entry.db")
	testkit.Check(t, os.WriteFile(db, enrolled.db, 0o600))
	s.store = testkit.Must(store.OpenSQLite(db, s.clock.Now))(t)
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	s.auth = testkit.Must(identity.New(identity.Options{Config: configs.Default(), Store: s.store, Events: s.log.Append, Secret: []byte(siteSecret), Now: s.clock.Now}))(t)

	host := testkit.Must(ca.GenerateFile(filepath.Join(dir, "host_ca"), ""))(t)
	user := testkit.Must(ca.GenerateFile(filepath.Join(dir, "user_ca"), ""))(t)
	hostCA := testkit.Must(ca.NewHostCA(host))(t)
	s.hostCA = hostCA.PublicKey()
	s.userCA = testkit.Must(ca.NewUserCA(user))(t)
	s.hosts = testkit.Must(ca.OpenHostKeys(ca.HostKeysOptions{Dir: filepath.Join(dir, "hosts"), CA: hostCA, Now: s.clock.Now}))(t)
	t.Cleanup(func() {
		if err := s.hosts.Close(); err != nil {
			t.Error(err)
		}
	})
	s.spool = testkit.Must(spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	t.Cleanup(func() {
		if err := s.spool.Close(); err != nil && !errors.Is(err, spool.ErrClosed) {
			t.Error(err)
		}
	})
	_, recipient, err := auditors.Generate()
	readers := testkit.Must(auditors.Parse(strings.NewReader(testkit.Must(recipient, err)(t))))(t)

	s.home = startMachine(t, s)
	text := usual
	if o.policy != nil {
		text = o.policy
	}
	cfg := configs.Default()
	cfg.Limits.Startups, cfg.Limits.PerSource = configs.Startups{Begin: 200, Rate: 30, Full: 300}, 100
	cfg.Limits.Dial, cfg.Recording.Notice = testkit.Bound(2*time.Second), configs.NoticeNone
	bo := bastion.Options{
		Config: cfg,
		Policy: policies.Parse(t, text(s)), Auth: s.auth, Events: s.log, Spool: s.spool, Usage: s.store, Book: s.store, Orders: s.store,
		Auditors: func(string) []auditors.Auditor { return readers },
		HostKeys: s.hosts, UserCA: s.userCA, Log: zap.NewNop(), Now: s.clock.Now,
	}
	if o.options != nil {
		o.options(&bo)
	}
	s.server = testkit.Must(bastion.New(bo))(t)
	testkit.Check(t, os.Mkdir(filepath.Join(dir, "audit"), 0o700))
	testkit.WriteFile(t, filepath.Join(dir, "audit", "events.jsonl"), "")
	s.admin = &admin.Server{Auth: s.auth, Events: s.log, Log: zap.NewNop(), Holds: s.store, Gate: s.server.Access(),
		Retention: evidence.Retention{Log: filepath.Join(dir, "audit"), Orders: new(evidence.Orders), Holds: s.store.Holds, Erasures: s.store.Erasures}}
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s.addr = l.Addr().String()
	go func() { s.served <- s.server.Serve(l, o.bound) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		testkit.Finishes(t, "shutdown", func() { s.server.Shutdown(ctx); <-s.served })
	})
	return s
}

// code is user's next one-time code. The clock moves a step, so that it is a
// new one.
func (s *site) code(user string) string {
	s.t.Helper()
	return testkit.Must(totp.GenerateCode(enrolled.seeds[user], s.clock.Advance(30*time.Second)))(s.t)
}

// hostCheck accepts what entry's host CA vouches for.
func (s *site) hostCheck() ssh.HostKeyCallback {
	c := &ssh.CertChecker{Clock: s.clock.Now, IsHostAuthority: func(k ssh.PublicKey, _ string) bool { return bytes.Equal(k.Marshal(), s.hostCA.Marshal()) }}
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
