//go:build linux

package testkit

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// SSHD is a real OpenSSH server. It runs as whoever runs the tests and lets only
// that account in.
type SSHD struct {
	*Program
	Port int
	Host ssh.Signer // its host key, unless SSHDOptions has one
	Home string     // $HOME of its sessions: an empty folder, so that nobody's dotfiles matter
}

// SSHDOptions is what differs between servers. The zero value lets nobody in.
type SSHDOptions struct {
	UserCA          string   // file with the only CA whose user certificates it takes
	Keys            []string // authorized_keys lines, for use without entry
	HostKey         string   // file with its host key; "" makes one
	HostCertificate string   // of the host key, as a line
	HostCA          ssh.Signer
	HostName        string   // principal of a certificate by HostCA
	Before          []string // lines of sshd_config that overrule the ones below
	Extra           []string // more lines for sshd_config
}

// StartSSHD runs sshd until the test ends. It returns once sshd listens.
func StartSSHD(t testing.TB, o SSHDOptions) *SSHD {
	t.Helper()
	dir := ShortDir(t)
	s := &SSHD{Port: FreePort(t), Home: filepath.Join(dir, "home")}
	Check(t, os.Mkdir(s.Home, 0o700))
	if o.HostKey == "" {
		o.HostKey = filepath.Join(dir, "host_key")
		s.Host = NewKeyFile(t, o.HostKey)
	}
	if o.HostCA != nil {
		o.HostCertificate = hostCertificate(t, s.Host.PublicKey(), o.HostCA, o.HostName)
	}
	keys := filepath.Join(dir, "authorized_keys")
	WriteFile(t, keys, strings.Join(o.Keys, "\n")+"\n")
	lines := slices.Concat(o.Before, []string{
		"ListenAddress 127.0.0.1:" + strconv.Itoa(s.Port),
		"HostKey " + o.HostKey,
		"AuthorizedKeysFile " + keys,
		"PidFile none",
		"UsePAM no",
		"StrictModes no", // the folder is under /tmp
		"LogLevel VERBOSE",
		"PermitRootLogin yes", // when the tests run as root, root is the only account
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"AuthorizedPrincipalsFile none",
		"Subsystem sftp internal-sftp",
		"AcceptEnv LANG LC_* GIT_PROTOCOL COLORTERM MY_*",
		"X11Forwarding yes",
		"AllowAgentForwarding yes",
		"AllowTcpForwarding yes",
		"AllowStreamLocalForwarding yes",
		"MaxStartups 200",
		"PrintMotd no",
		// Its default is two minutes; a machine that is busy may need more.
		fmt.Sprintf("LoginGraceTime %d", 120*maxSlowness),
		fmt.Sprintf("SetEnv HOME=%s XAUTHORITY=%s", s.Home, filepath.Join(s.Home, "xauthority")),
	})
	if o.UserCA != "" {
		lines = append(lines, "TrustedUserCAKeys "+o.UserCA)
	}
	if o.HostCertificate != "" {
		path := filepath.Join(dir, "host_key-cert.pub")
		WriteFile(t, path, o.HostCertificate+"\n")
		lines = append(lines, "HostCertificate "+path)
	}
	config := filepath.Join(dir, "sshd_config")
	WriteFile(t, config, strings.Join(slices.Concat(lines, o.Extra), "\n")+"\n")
	if os.Geteuid() == 0 {
		// sshd started as root insists on its privilege separation folder.
		Check(t, os.MkdirAll("/run/sshd", 0o755))
	}
	s.Program = Start(t, "sshd", exec.Command(System(t, "sshd"), "-D", "-e", "-f", config))
	s.WaitFor(regexp.MustCompile(`Server listening on`))
	return s
}

// Addr is where it listens.
func (s *SSHD) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// HostKey is the line of its host key, "ssh-ed25519 AAAA…".
func (s *SSHD) HostKey() string { return Authorized(s.Host.PublicKey()) }

// Target is the line for this machine under a name. Everybody's login there is
// the account that runs the tests.
func (s *SSHD) Target(t testing.TB, name string, extra ...string) string {
	t.Helper()
	return TargetLine(name, s.Addr(), s.HostKey(), append([]string{"default_login: " + Me(t)}, extra...)...)
}

// Logins counts the connections that were let in.
func (s *SSHD) Logins() int {
	return strings.Count(s.Stderr.String(), "Accepted publickey for ")
}

// KillSessions ends sshd with all its sessions, as a power cut does. The
// sessions run in process groups of their own.
func (s *SSHD) KillSessions() {
	s.t.Helper()
	for _, pid := range Descendants(s.t, s.Cmd.Process.Pid) {
		// It may have ended already.
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.Kill()
}

func hostCertificate(t testing.TB, key ssh.PublicKey, ca ssh.Signer, principal string) string {
	t.Helper()
	cert := &ssh.Certificate{Key: key, CertType: ssh.HostCert, KeyId: principal, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
	Check(t, cert.SignCert(rand.Reader, ca))
	return Authorized(cert)
}

// Me is the account that runs the tests, the only one that sshd can serve
// without being root.
func Me(t testing.TB) string {
	t.Helper()
	return Must(user.Current())(t).Username
}

// System finds a program that Debian keeps out of an ordinary account's PATH, by
// its absolute path, by which sshd wants to be started.
func System(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Fatalf("%s isn't installed: run e2e/tools", name)
	return ""
}
