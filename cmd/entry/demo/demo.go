//go:build linux

// Package demo runs a whole demonstration on loopback, in one process: a jump
// host, a lab "tinker" with the user alice, and a home machine (package
// demohome). Everything lies in one directory; run again on it, it carries on.
//
// It starts the same server as a site, with nothing switched off, and writes
// what an operator would: a policy, and what a user would: the client's files.
//
// When not to use it: for anything but a look. Whoever logs in gets a shell of
// the account that runs it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/bastion/site"
	"entry/cmd/entry/demohome"
	"entry/configs"
	"entry/policy"
	"entry/session/group"
)

// user is the demo's one lab user.
const user = "alice"

// Options are Run's. All are required.
type Options struct {
	Dir    string // absolute; made if need be
	Listen string // address of the jump host, on loopback
	// Policy is site.Options'.
	Policy func(*configs.Config) (*policy.Policy, error)
}

// Ready is what somebody needs to log in.
type Ready struct {
	Dir, Listen string
	SSHConfig   string // a client's configuration, for ssh -F
	Passphrase  string // the temporary one; "" once alice has her own
}

// Run runs the demo until ctx ends or a signal says so. ready is called once
// somebody can log in.
func Run(ctx context.Context, o Options, ready func(Ready)) error {
	if _, err := os.Stat(filepath.Join(o.Dir, configs.FileName)); errors.Is(err, fs.ErrNotExist) {
		if err := site.Init(o.Dir, o.Listen, ""); err != nil {
			return err
		}
	}
	cfg, err := configs.Load(filepath.Join(o.Dir, configs.FileName))
	if err != nil {
		return &site.Error{Err: err, Config: true}
	}
	// The caller has the last word about where the demo listens.
	here := *cfg
	here.Listeners = append([]configs.Listener{{Address: o.Listen}}, withoutPlain(cfg.Listeners)...)
	log, err := site.NewLogger(&here)
	if err != nil {
		return err
	}
	home, err := startHome(o.Dir, log)
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }() // waits for its sessions; nothing of it is kept
	r := Ready{Dir: o.Dir, Listen: o.Listen, SSHConfig: filepath.Join(o.Dir, "ssh_config")}
	p, err := o.Policy(&here)
	if err != nil {
		return err
	}
	if err := clientFiles(o.Dir, o.Listen, p); err != nil {
		return err
	}
	s, err := site.New(ctx, site.Options{Config: &here, Log: log, Policy: o.Policy})
	if err != nil {
		return err
	}
	if r.Passphrase, err = account(site.Self(ctx), o.Dir, s.Accounts(), here.Login.TemporaryPassphrase); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Run(ctx, func() { ready(r) })
}

// withoutPlain keeps the listeners that are bound to a target.
func withoutPlain(all []configs.Listener) []configs.Listener {
	var out []configs.Listener
	for _, l := range all {
		if l.Target != "" {
			out = append(out, l)
		}
	}
	return out
}

func passphraseFile(dir string) string { return filepath.Join(dir, user+".passphrase") }

// readOr is a small file's text without white space around it, or otherwise.
func readOr(path, otherwise string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return otherwise
	}
	return strings.TrimSpace(string(b))
}

// account makes alice, or gives her a new temporary passphrase when the one in
// the file is good no more. It returns the temporary passphrase, "" once her
// first login was.
func account(ctx context.Context, dir string, auth *identity.Authenticator, lifetime time.Duration) (pass string, err error) {
	u, err := auth.User(ctx, user)
	switch {
	case errors.Is(err, identity.ErrNoAccount):
		pass, err = auth.AddUser(ctx, user)
	case err != nil:
		return "", err
	case u.TemporaryExpires.IsZero():
		return "", nil
	case passphraseStands(dir, u.TemporaryExpires, lifetime):
		return readOr(passphraseFile(dir), "?"), nil
	default:
		pass, err = auth.Reset(ctx, user)
	}
	if err != nil {
		return "", err
	}
	return pass, replaceFile(passphraseFile(dir), pass+"\n", 0o600)
}

// passphraseStands tells whether the file has the temporary passphrase that
// expires then: it hasn't if entry user reset has issued one since it was written.
func passphraseStands(dir string, expires time.Time, lifetime time.Duration) bool {
	const tick = 20 * time.Millisecond // the clock that files get their time from is behind by up to one
	fi, err := os.Stat(passphraseFile(dir))
	return err == nil && time.Now().Before(expires) && !fi.ModTime().Add(tick).Before(expires.Add(-lifetime))
}

// clientFiles writes what a user's client needs: the one known_hosts line,
// and a configuration that touches nothing of the user's own.
func clientFiles(dir, listen string, p *policy.Policy) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	key, err := ca.LoadPublic(filepath.Join(dir, "keys", "host_ca.pub"))
	if err != nil {
		return err
	}
	line, err := ca.KnownHostsCA(key, append(p.HostPatterns(), "entry")...)
	if err != nil {
		return err
	}
	known := filepath.Join(dir, "known_hosts")
	if err := replaceFile(known, line, 0o644); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, "ssh_config"), fmt.Sprintf(`# Written by entry demo at each start.
Host entry
    HostName %s
    Port %s
    HostKeyAlias entry

Host *
    User %s
    UserKnownHostsFile "%s"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    IdentityFile none
`, host, port, user, known), 0o644)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path, text string, perm fs.FileMode) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// startHome starts the demo's home machine and makes sure that the policy
// leads to it.
func startHome(dir string, log *zap.Logger) (*demohome.Server, error) {
	root := filepath.Join(dir, "home")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	keyFile := filepath.Join(dir, "keys", "demo_home_host_key")
	if _, err := os.Stat(keyFile); errors.Is(err, fs.ErrNotExist) {
		if _, err := ca.GenerateFile(keyFile, "demo home"); err != nil {
			return nil, err
		}
	}
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	hostKey, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	userCA, err := ca.LoadPublic(filepath.Join(dir, "keys", "user_ca.pub"))
	if err != nil {
		return nil, err
	}
	l, err := listenAgain(filepath.Join(dir, "home.address"))
	if err != nil {
		return nil, err
	}
	home, err := demohome.New(demohome.Options{HostKey: hostKey, UserCA: userCA, Home: root, Log: func(line string) { log.Info("demo home: " + line) }})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := writePolicy(dir, l.Addr().String(), hostKey.PublicKey()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	group.Vital("the demo's home machine", func() { // ends with home.Close
		if err := home.Serve(l); err != nil {
			log.Error("demo home", zap.Error(err))
		}
	})
	return home, nil
}

// listenAgain listens where the file says that it did the last time, or
// anywhere free.
func listenAgain(file string) (net.Listener, error) {
	if addr := readOr(file, ""); addr != "" {
		if l, err := net.Listen("tcp", addr); err == nil {
			return l, nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l, replaceFile(file, l.Addr().String()+"\n", 0o644)
}

// writePolicy writes the demo's policy. Other files in policy.d are left alone.
func writePolicy(dir, address string, hostKey ssh.PublicKey) error {
	text := fmt.Sprintf(`# The demo's policy, written by entry demo at each start. Put your own trials
# into other files of this folder.
labs:
  tinker:
    members: [%s]
    targets:
      home:
        address: %s
        host_keys: ["%s"]

rules:
  - name: tinker-home
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [shell, exec, upload, download, forward-local, forward-remote, agent]
    forward_local: ["localhost:8888"]
    forward_remote: [0]
    record: full
    because: members work on their lab's home machine

tests:
  - {user: %s, target: home.tinker, may: [shell, upload], may_not: [x11]}
  - {user: mallory, target: home.tinker, denied: true}
`, user, address, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey))), user)
	return replaceFile(filepath.Join(dir, "policy.d", "demo.yaml"), text, 0o644)
}
