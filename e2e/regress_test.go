package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// OpenSSH's own regression tests, as Debian packages them (openssh-tests),
// through entry: each script's proxy command, which starts an sshd, is replaced
// by a jump through entry to that same sshd. The scripts stay as they are but
// for what regressCuts names, and what isn't run stands in regressOmitted.

// regressLanes are the scripts, side by side by lanes: those that insist on the
// same ports come after one another.
var regressLanes = [][]string{
	{"forwarding", "forward-control", "multiplex"},
	{"rekey", "kextype", "connect", "connect-uri", "dynamic-forward"},
	{"sftp", "sftp-cmds", "sftp-badcmds", "sftp-batch", "sftp-glob", "sftp-uri", "scp", "scp3", "scp-uri"},
	{
		"connection-timeout", "channel-timeout", "exit-status", "exit-status-signal", "stderr-data", "stderr-after-eof",
		"yes-head", "envpass", "transfer", "broken-pipe", "forcecommand", "localcommand", "try-ciphers",
	},
}

// regressForwards are the scripts whose rule records manifests: under record:
// full a forward to anywhere can't be granted, and SSH inside one is refused.
var regressForwards = []string{"connection-timeout", "dynamic-forward", "forwarding", "forward-control", "multiplex"}

// regressEdits is what differs in scripts: old becomes new wherever it stands,
// or what reaches from old up to the last upTo.
var regressEdits = map[string]struct{ old, upTo, new string }{
	// What the target asks for ends at entry, which carries the connection to it:
	// the client sees nothing of a new key exchange there.
	"rekey": {old: "for s in 16 1k 128k 256k; do\n\tverbose \"server rekeylimit", upTo: "rm -f ${COPY} ${DATA}"},
	// The script uses remote forwards as soon as the client is in the background,
	// which waits for their answers only so.
	"forwarding": {old: "-N -M ", new: "-N -M -oExitOnForwardFailure=yes "},
}

// regressOmitted is why a script of Debian's list isn't run through entry.
var regressOmitted = map[string]string{
	"agent": agents, "agent-getpeereid": agents, "agent-timeout": agents, "agent-ptrace": agents,
	"agent-subprocess": agents, "agent-restrict": agents, "agent-pkcs11": agents,
	"keygen-change": noConnection, "keygen-comment": noConnection, "keygen-convert": noConnection,
	"keygen-knownhosts": noConnection, "keygen-moduli": noConnection, "keygen-sshfp": noConnection,
	"sshcfgparse": noConnection, "cfgparse": noConnection, "percent": noConnection, "addrmatch": noConnection,
	"host-expand": noConnection, "cfginclude": noConnection, "servcfginclude": noConnection, "sshsig": noConnection,
	"krl": noConnection, "portnum": noConnection,
	"brokenkeys": keysAtTarget, "key-options": keysAtTarget, "keytype": keysAtTarget, "cert-userkey": keysAtTarget,
	"keys-command": keysAtTarget, "multipubkey": keysAtTarget, "limit-keytype": keysAtTarget,
	"principals-command": keysAtTarget, "cert-file": keysAtTarget, "authinfo": keysAtTarget,
	"allow-deny-users": keysAtTarget, "hostbased": keysAtTarget,
	"cert-hostkey": hostKeys, "hostkey-agent": hostKeys, "hostkey-rotate": hostKeys, "knownhosts": hostKeys,
	"knownhosts-command": hostKeys, "sshfp-connect": hostKeys, "keyscan": hostKeys,
	"connect-privsep": ownServer, "reexec": ownServer, "reconfigure": ownServer, "cfgmatch": ownServer,
	"cfgmatchlisten": ownServer, "login-timeout": ownServer, "proto-version": ownServer, "proto-mismatch": ownServer,
	"sftp-chroot": ownServer, "sftp-perm": ownServer, "proxy-connect": ownServer, "integrity": ownServer,
	"banner": "of sshd's text before a login, which is entry's there",
	"dhgex":  "group exchange isn't offered: golang.org/x/crypto/ssh has it for clients alone",
}

const (
	agents       = "of ssh-agent itself, and of logins by its keys, which are entry's there"
	noConnection = "of configurations, keys and files: no connection is made"
	keysAtTarget = "of which of the user's keys sshd lets in: entry logs in there by a certificate of its own"
	hostKeys     = "of sshd's host keys, which the client compares: it sees entry's"
	ownServer    = "of how sshd itself starts, ends or is configured, or of bytes between it and its client"
)

// regressTime bounds one script: the longest sleep for minutes.
const regressTime = 10 * time.Minute

// regressDir is where Debian has them.
const regressDir = "/usr/lib/openssh/regress"

func TestOpenSSHRegress(t *testing.T) {
	beside(t)
	scripts := slices.Concat(regressLanes...)
	s := initSite(t)
	homes := make(map[string]*regressHome)
	var targets, rules []string
	for _, name := range scripts {
		homes[name] = newRegressHome(t, s, name)
		targets = append(targets, homes[name].target(t))
		const env = `env: ["_*", LANG, "LC_*"]`
		if slices.Contains(regressForwards, name) {
			rules = append(rules, testkit.Rule(name, testkit.On(name), testkit.MayAll, `forward_local: ["*"]`, `forward_remote: ["*"]`, env, "record: manifest"))
		} else {
			rules = append(rules, testkit.Rule(name, testkit.On(name), "may: [shell, exec, upload, download]", env, "record: full"))
		}
	}
	s.setPolicy([]string{"alice"}, targets, rules...)
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	offered := regressOffered(t, c, scripts[0]+".tinker")
	var lanes sync.WaitGroup
	for _, lane := range regressLanes {
		lanes.Go(func() {
			for _, name := range lane {
				t.Run(name, func(t *testing.T) { homes[name].run(t, s, c, offered) })
			}
		})
	}
	lanes.Wait()
}

// TestOpenSSHRegressIsWhole wants each script that Debian's package runs to be
// run here, or left out for a reason.
func TestOpenSSHRegressIsWhole(t *testing.T) {
	beside(t)
	list := regexp.MustCompile(`(?ms)^LTESTS=(.*?[^\\])$`).FindStringSubmatch(testkit.ReadFile(t, filepath.Join(regressDir, "Makefile")))
	if list == nil {
		t.Fatal("the package's Makefile has no list of tests")
	}
	run := slices.Concat(regressLanes...)
	for _, name := range strings.Fields(strings.ReplaceAll(list[1], "\\\n", " ")) {
		if _, omitted := regressOmitted[name]; omitted == slices.Contains(run, name) {
			t.Errorf("%s is either run through entry or left out for a reason", name)
		}
	}
}

// regressOffered are the algorithms that the client is offered for target, a
// line each: the scripts try all that OpenSSH knows, and entry has no old ones.
func regressOffered(t *testing.T, c *client, target string) string {
	t.Helper()
	// There is no sshd yet: what becomes of the login doesn't matter.
	said := testkit.Run(t, c.ssh("-vv", "-J", "entry", target, "true")).Stderr
	_, said, ok := strings.Cut(said, "peer server KEXINIT proposal")
	if !ok {
		t.Fatalf("ssh doesn't say what is offered: %s", said)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^debug2: (?:KEX algorithms|ciphers ctos|MACs ctos): (\S+?)\r?$`).FindAllStringSubmatch(said, -1) {
		all = append(all, strings.Split(m[1], ",")...)
	}
	if len(all) < 6 {
		t.Fatalf("entry offers %q only", all)
	}
	return strings.Join(all, "\n") + "\n"
}

// regressHome is the machine that one script logs in to: an sshd for each
// connection, by the configuration that the script writes meanwhile.
type regressHome struct {
	name   string
	obj    string // the script's folder
	port   int    // where the script believes its sshd to be
	listen *net.TCPListener
}

func newRegressHome(t *testing.T, s *site, name string) *regressHome {
	t.Helper()
	h := &regressHome{name: name, obj: filepath.Join(testkit.ShortDir(t), "o"), port: testkit.FreePort(t)}
	testkit.MustRun(t, command("cp", "-r", regressDir, h.obj))
	// The scripts make each key that isn't there: this is home's host key.
	testkit.MustRun(t, command("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", filepath.Join(h.obj, "ssh-ed25519")))
	listen, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	testkit.Check(t, err)
	h.listen = listen
	var wait sync.WaitGroup
	wait.Go(func() { h.serve(t, &wait) })
	t.Cleanup(func() {
		testkit.Check(t, listen.Close())
		wait.Wait()
	})
	return h
}

// serve starts an sshd for each connection, as inetd would.
func (h *regressHome) serve(t *testing.T, wait *sync.WaitGroup) {
	sshd := testkit.System(t, "sshd")
	for {
		conn, err := h.listen.AcceptTCP()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			return
		}
		file, err := conn.File()
		if err = errors.Join(err, conn.Close()); err != nil {
			t.Error(err)
			return
		}
		cmd := command(sshd, "-i", "-f", filepath.Join(h.obj, "sshd_proxy"), "-E", filepath.Join(h.obj, "sshd.log"))
		cmd.Stdin, cmd.Stdout = file, file
		testkit.OwnGroup(cmd)
		err = cmd.Start()
		if err = errors.Join(err, file.Close()); err != nil {
			t.Error(err)
			return
		}
		wait.Go(func() {
			// Its exit status is the client's business.
			_ = cmd.Wait()
		})
	}
}

func (h *regressHome) target(t *testing.T) string {
	key := strings.Join(strings.Fields(testkit.ReadFile(t, filepath.Join(h.obj, "ssh-ed25519.pub")))[:2], " ")
	return testkit.TargetLine(h.name, h.listen.Addr().String(), key, "default_login: "+testkit.Me(t))
}

// run runs the script as OpenSSH's Makefile does, with clients that go through
// entry wherever they ask for the script's own port.
func (h *regressHome) run(t *testing.T, s *site, c *client, offered string) {
	t.Helper()
	h.prepare(t, s, c, offered)
	cmd := c.command("sh", h.at("test-exec.sh"), h.obj, h.at(h.name+".sh"))
	cmd.Dir = h.obj
	cmd.Env = append(slices.Clone(cmd.Env),
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin",
		"BUILDDIR="+h.obj,
		"TEST_SHELL=sh",
		"TEST_SSH_SSH="+h.at("entry-ssh.sh"),
		"TEST_SSH_PORT="+strconv.Itoa(h.port),
		"TEST_SSH_SFTPSERVER="+h.at("entry-sftp.sh"),
		"TEST_SSH_UNSAFE_PERMISSIONS=1",
		"TEST_SSH_SSH_CONFOPTS="+testkit.ReadFile(t, h.at("entry-client")),
		"TEST_SSH_SSHD_CONFOPTS="+testkit.ReadFile(t, h.at("entry-server")),
	)
	began := time.Now()
	p := testkit.Start(t, h.name, cmd)
	if _, ended := testkit.ReceiveWithin(regressTime, p.Exited); !ended {
		t.Fatal("it doesn't end")
	}
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
		for _, log := range []string{"failed-regress.log", "failed-ssh.log", "failed-sshd.log"} {
			if text, err := os.ReadFile(h.at(log)); err == nil {
				t.Logf("%s:\n%s", log, testkit.Tail(string(text)))
			}
		}
	}
	// A script that went by another way shows nothing.
	through := 0
	for _, e := range s.events("session.started") {
		if e.Target == h.name+".tinker" {
			through++
		}
	}
	if through == 0 {
		t.Error("no session went through entry")
	}
	t.Logf("%d sessions through entry in %s", through, time.Since(began).Round(time.Second))
}

func (h *regressHome) at(name string) string { return filepath.Join(h.obj, name) }

// prepare writes what takes the script's clients through entry.
func (h *regressHome) prepare(t *testing.T, s *site, c *client, offered string) {
	t.Helper()
	at := h.at
	// entry's host certificate names the target.
	exec := strings.ReplaceAll(testkit.ReadFile(t, at("test-exec.sh")), "localhost-with-alias", h.name+".tinker")
	testkit.WriteFile(t, at("test-exec.sh"), exec)
	testkit.WriteFile(t, at("entry_ca"), "@cert-authority "+h.name+".tinker "+testkit.ReadFile(t, s.path("keys", "host_ca.pub")))
	testkit.WriteFile(t, at("entry-client"), fmt.Sprintf(`KnownHostsCommand /bin/cat %s
Match exec "test %%p = %d"
	ProxyCommand ssh -F %s -q -W %s.tinker:22 entry
Host *`, at("entry_ca"), h.port, c.config, h.name))
	// What restricts a key of the script's is put on entry's CA.
	testkit.WriteFile(t, at("keys-command.sh"), fmt.Sprintf(`options=$(sed -n '1s/\(ssh\|sk\|ecdsa\)-.*//p' '%s' | sed 's/ *$//')
echo "${options:+$options,}cert-authority $(cat '%s')"
`, at("authorized_keys_"+testkit.Me(t)), s.path("keys", "user_ca.pub")))
	testkit.WriteFile(t, at("entry-server"), fmt.Sprintf("AuthorizedKeysCommand /bin/sh %s\nAuthorizedKeysCommandUser %s", at("keys-command.sh"), testkit.Me(t)))
	// Run by sshd it is the server, and by a client the way to it.
	testkit.WriteFile(t, at("entry-sftp.sh"), fmt.Sprintf(`#!/bin/sh
test -n "$SSH_CONNECTION" && exec %s "$@"
exec ssh -F %s -q somehost -s sftp
`, sftpServer, at("ssh_proxy")))
	testkit.Check(t, os.Chmod(at("entry-sftp.sh"), 0o755))
	testkit.WriteFile(t, at("offered"), offered)
	testkit.WriteFile(t, at("entry-ssh.sh"), fmt.Sprintf(`#!/bin/sh
log=
case $1 in -E*) log=$1; shift;; esac
case "$1 $2" in
"-Q kex"|"-Q cipher"|"-Q cipher-auth"|"-Q mac") ssh "$@" | grep -xF -f %s;;
*) exec ssh $log "$@";;
esac
`, at("offered")))
	testkit.Check(t, os.Chmod(at("entry-ssh.sh"), 0o755))
	// broken-pipe.sh's own configuration, which nothing writes.
	testkit.WriteFile(t, at("ssh_config_config"), "Include "+at("ssh_proxy")+"\n")
	if edit, ok := regressEdits[h.name]; ok {
		script := testkit.ReadFile(t, at(h.name+".sh"))
		if from, to := strings.Index(script, edit.old), strings.LastIndex(script, edit.upTo); from < 0 || to < from {
			t.Fatalf("%s.sh isn't as it was", h.name)
		} else if edit.upTo != "" {
			edit.old = script[from:to]
		}
		testkit.WriteFile(t, at(h.name+".sh"), strings.ReplaceAll(script, edit.old, edit.new))
	}
	wrapper := testkit.ReadFile(t, at("scp-ssh-wrapper.sh"))
	local := "set -- $arg\n\tshift\n\texec $SCP \"$@\""
	if !strings.Contains(wrapper, local) {
		t.Fatal("scp-ssh-wrapper.sh isn't as it was")
	}
	testkit.WriteFile(t, at("scp-ssh-wrapper.sh"), strings.Replace(wrapper, local, "exec ssh -F "+at("ssh_proxy")+" somehost \"$arg\"", 1))
}
