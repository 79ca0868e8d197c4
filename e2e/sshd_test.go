package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// sshd is a real OpenSSH server, the lab's home machine. It runs as whoever
// runs the tests and lets only that account in.
type sshd struct {
	*process
	port    int
	hostKey string // "ssh-ed25519 AAAA…"
	dir     string
	home    string // $HOME of its sessions: an empty folder, so that nobody's dotfiles matter
}

type sshdOptions struct {
	userCA   string   // file with the only CA whose user certificates it takes
	keys     []string // authorized_keys lines, for use without entry
	hostCA   ssh.Signer
	hostName string   // principal of the host certificate, with hostCA
	before   []string // lines of sshd_config that overrule the ones below
	extra    []string // more lines for sshd_config
}

// me is the account that runs the tests, the only one sshd can serve without
// being root.
func me(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func startSSHD(t testing.TB, o sshdOptions) *sshd {
	t.Helper()
	s := &sshd{dir: tempDir(t), port: freePort(t)}
	s.home = filepath.Join(s.dir, "home")
	if err := os.Mkdir(s.home, 0o700); err != nil {
		t.Fatal(err)
	}
	signer := newKeyFile(t, filepath.Join(s.dir, "host_key"))
	s.hostKey = authorized(signer.PublicKey())
	lines := append(slices.Clone(o.before), []string{
		"ListenAddress 127.0.0.1:" + strconv.Itoa(s.port),
		"HostKey " + filepath.Join(s.dir, "host_key"),
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
		fmt.Sprintf("SetEnv HOME=%s XAUTHORITY=%s", s.home, filepath.Join(s.home, "xauthority")),
	}...)
	if o.userCA != "" {
		lines = append(lines, "TrustedUserCAKeys "+o.userCA)
	}
	keys := filepath.Join(s.dir, "authorized_keys")
	writeFile(t, keys, strings.Join(o.keys, "\n")+"\n")
	lines = append(lines, "AuthorizedKeysFile "+keys)
	if o.hostCA != nil {
		writeHostCertificate(t, filepath.Join(s.dir, "host_key-cert.pub"), signer.PublicKey(), o.hostCA, o.hostName)
		lines = append(lines, "HostCertificate "+filepath.Join(s.dir, "host_key-cert.pub"))
	}
	lines = append(lines, o.extra...)
	config := filepath.Join(s.dir, "sshd_config")
	writeFile(t, config, strings.Join(lines, "\n")+"\n")
	if os.Geteuid() == 0 {
		// sshd started as root insists on its privilege separation folder.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.process = start(t, "sshd", exec.Command(sshdPath(t), "-D", "-e", "-f", config))
	s.waitFor(regexp.MustCompile(`Server listening on`))
	return s
}

// sshdPath finds sshd, which wants to be started by its absolute path and
// isn't in an ordinary user's PATH.
func sshdPath(t testing.TB) string {
	t.Helper()
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/opt/homebrew/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Fatal("sshd isn't installed: run e2e/tools")
	return ""
}

func (s *sshd) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// target is the policy line for this machine under a name; extra are more
// fields in YAML's flow form.
func (s *sshd) target(t testing.TB, name string, extra ...string) string {
	t.Helper()
	return targetLine(name, s.addr(), s.hostKey, append([]string{"default_login: " + me(t)}, extra...)...)
}

func targetLine(name, addr, hostKey string, extra ...string) string {
	fields := []string{fmt.Sprintf("address: %q", addr)}
	if hostKey != "" {
		fields = append(fields, fmt.Sprintf("host_keys: [%q]", hostKey))
	}
	fields = append(fields, extra...)
	return fmt.Sprintf("      %s: {%s}", name, strings.Join(fields, ", "))
}

// logins counts the connections that were let in.
func (s *sshd) logins() int {
	return strings.Count(s.stderr.String(), "Accepted publickey for ")
}

// newKeyFile writes a fresh ed25519 key as ssh-keygen does, with its .pub.
func newKeyFile(t testing.TB, path string) ssh.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "e2e")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path+".pub", authorized(signer.PublicKey())+"\n")
	return signer
}

// newSigner is a key that is needed only in memory.
func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func writeHostCertificate(t testing.TB, path string, key ssh.PublicKey, ca ssh.Signer, principal string) {
	t.Helper()
	cert := &ssh.Certificate{Key: key, CertType: ssh.HostCert, KeyId: principal, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, authorized(cert)+"\n")
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
