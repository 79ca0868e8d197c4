package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/cmd/entry/demohome"
	"entry/configs"
)

// demoUser is the demo's one lab user.
const demoUser = "alice"

func demoCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole demonstration on this machine; nothing to configure, no root",
		Long: `Run a jump host, a lab "tinker" with the user alice, and a home machine, all in
this process and on loopback only, and print the command to log in with.

The home machine is the demo's own small SSH server. It runs an ordinary shell
of YOUR account, in a folder of the demo's directory.

Everything lies in ./demo, or where --dir says. Run it again on the same
directory and it carries on with the same state.`,
		Example: "  entry demo\n  entry demo --dir /tmp/demo --listen 127.0.0.1:2200",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dirOnly(cmd)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = "demo"
			}
			listen, err := cmd.Flags().GetString("listen")
			if err != nil {
				return err
			}
			if dir, err = filepath.Abs(dir); err != nil {
				return err
			}
			return demo(cmd.Context(), dir, listen)
		},
	}
	cmd.Flags().String("listen", "127.0.0.1:2222", "`ADDR` of the demo's jump host; loopback only")
	return cmd
}

func demo(ctx context.Context, dir, listen string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return hinted(failf(exitUsage, "--listen %q is no address with a port", listen), "give it as 127.0.0.1:2222")
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return hinted(failf(exitUsage, "--listen %q is not a loopback address", listen), "the demo is for this machine only; entry init makes a real installation")
	}
	if _, err := os.Stat(filepath.Join(dir, "entry.yaml")); errors.Is(err, fs.ErrNotExist) {
		if err := initDir(dir, listen); err != nil {
			return err
		}
	}
	cfg, err := configs.Load(filepath.Join(dir, "entry.yaml"))
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	// The command line has the last word about where the demo listens.
	here := *cfg
	here.Listeners = append([]configs.Listener{{Address: listen}}, withoutPlain(cfg.Listeners)...)
	log, err := newLogger(&here)
	if err != nil {
		return err
	}
	home, err := startHome(dir, log)
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }() // waits for its sessions; nothing of it is kept
	if err := demoClientFiles(dir, host, port); err != nil {
		return err
	}
	s, err := newServer(self(ctx), &here, log)
	if err != nil {
		return err
	}
	first, err := demoAccount(self(ctx), dir, s.state.auth, here.Login.TemporaryPassphrase)
	if err != nil {
		return errors.Join(err, s.close())
	}
	return s.run(ctx, func() { demoReady(dir, listen, first) })
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

// demoReady tells scripts with its first word, and people with the rest.
func demoReady(dir, listen string, first bool) {
	ask := "It asks for the passphrase that you set and a code from your authenticator app."
	if first {
		ask = "Temporary passphrase, for the first login:\n\n    " + strings.TrimSpace(readOr(passphraseFile(dir), "?")) +
			"\n\nYou will choose your own passphrase and scan a QR code with an authenticator app."
	}
	fmt.Printf(`ready %s

In another terminal, log in as alice:

    ssh -F %s -J entry home

%s

Afterwards, see what security staff see:

    %[5]s sessions ls --dir %[4]s
    %[5]s sessions play last --dir %[4]s
    %[5]s audit verify --dir %[4]s

Stop the demo with Ctrl-C; run it again and it carries on.
`, listen, shellWord(filepath.Join(dir, "ssh_config")), ask, shellWord(dir), shellWord(program()))
}

// program is how a shell in another directory calls this program.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "entry"
	}
	if found, err := exec.LookPath("entry"); err == nil && sameFile(found, path) {
		return "entry"
	}
	return path
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func passphraseFile(dir string) string { return filepath.Join(dir, demoUser+".passphrase") }

func readOr(path, otherwise string) string {
	b, err := readSmall(path)
	if err != nil {
		return otherwise
	}
	return string(b)
}

// shellWord quotes s for a POSIX shell where it needs that.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// demoAccount makes alice, or gives her a new temporary passphrase when the one
// in the file is good no more. It tells whether her first login is still to come.
func demoAccount(ctx context.Context, dir string, auth *identity.Authenticator, lifetime time.Duration) (first bool, err error) {
	u, err := auth.User(ctx, demoUser)
	var pass string
	switch {
	case errors.Is(err, identity.ErrNoAccount):
		pass, err = auth.AddUser(ctx, demoUser)
	case err != nil:
		return false, err
	case u.TemporaryExpires.IsZero():
		return false, nil
	case passphraseStands(dir, u.TemporaryExpires, lifetime):
		return true, nil
	default:
		pass, err = auth.Reset(ctx, demoUser)
	}
	if err != nil {
		return false, err
	}
	return true, replaceFile(passphraseFile(dir), pass+"\n", 0o600)
}

// passphraseStands tells whether the file has the temporary passphrase that
// expires then: it hasn't if entry user reset has issued one since it was written.
func passphraseStands(dir string, expires time.Time, lifetime time.Duration) bool {
	fi, err := os.Stat(passphraseFile(dir))
	return err == nil && time.Now().Before(expires) && !fi.ModTime().Before(expires.Add(-lifetime))
}

// demoClientFiles writes what a user's client needs: the one known_hosts line,
// and a configuration that touches nothing of the user's own.
func demoClientFiles(dir, host, port string) error {
	key, err := ca.LoadPublic(filepath.Join(dir, "keys", "host_ca.pub"))
	if err != nil {
		return err
	}
	line, err := ca.KnownHostsCA(key, "home", "*.tinker", "entry")
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
`, host, port, demoUser, known), 0o644)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path, text string, perm fs.FileMode) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := createFile(tmp, text, perm); err != nil {
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
	pem, err := readSmall(keyFile)
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
	if err := demoPolicy(dir, l.Addr().String(), hostKey.PublicKey()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	go func() {
		if err := home.Serve(l); err != nil {
			log.Error("demo home", zap.Error(err))
		}
	}()
	return home, nil
}

// listenAgain listens where the file says that it did the last time, or
// anywhere free.
func listenAgain(file string) (net.Listener, error) {
	if addr := strings.TrimSpace(readOr(file, "")); addr != "" {
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

// demoPolicy writes the demo's policy. Other files in policy.d are left alone.
func demoPolicy(dir, address string, hostKey ssh.PublicKey) error {
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
`, demoUser, address, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey))), demoUser)
	return replaceFile(filepath.Join(dir, "policy.d", "demo.yaml"), text, 0o644)
}
