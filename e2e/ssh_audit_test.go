package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
	"entry/session/fastconn"
)

// audited is what ssh-audit has against a peer: lines of failures and warnings.
// Algorithms that its version doesn't know yet are none.
func audited(out string) (found []string) {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		unknown := strings.HasSuffix(line, "-- [warn] unknown algorithm") && regexp.MustCompile(`^\(kex\) (mlkem768x25519-sha256|kex-strict-[sc]-v00@openssh\.com|ext-info-c) `).MatchString(line)
		if !unknown && regexp.MustCompile(`\[(fail|warn)\]|^\(cve\)`).MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// TestSSHAudit: ssh-audit has nothing against entry's server, and passes it by the
// policy file that comes along. Of entry as a client it names the two MACs that
// only targets get which have no better ones.
func TestSSHAudit(t *testing.T) {
	beside(t)
	s := initSite(t)
	port := testkit.FreePort(t)
	// A target that is ssh-audit itself, waiting for a client.
	s.setPolicy([]string{"alice"}, []string{fmt.Sprintf(`      home: {address: "127.0.0.1:%d", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"], default_login: w}`, port)}, recordAll())
	s.serve()

	scan := testkit.Run(t, exec.Command("ssh-audit", "-n", "-p", strconv.Itoa(s.port), "127.0.0.1"))
	if !strings.Contains(scan.Stdout, "(gen) banner: "+fastconn.Version) || !strings.Contains(scan.Stdout, "(key) ssh-ed25519 ") {
		t.Fatalf("no scan: %s", scan)
	}
	if found := audited(scan.Stdout); found != nil {
		t.Errorf("ssh-audit says:\n%s", strings.Join(found, "\n"))
	}
	policy := testkit.ReadFile(t, "../configs/ssh-audit.policy")
	if slices.Contains(fastconn.ServerConfig([]byte(fastconn.Version)).Ciphers, "chacha20-poly1305@openssh.com") { // no AES here
		policy = strings.Replace(policy, "aes256-gcm@openssh.com", "aes256-gcm@openssh.com, chacha20-poly1305@openssh.com", 1)
	}
	testkit.WriteFile(t, s.path("ssh-audit.policy"), policy)
	if r := testkit.Run(t, exec.Command("ssh-audit", "-n", "-P", s.path("ssh-audit.policy"), "-p", strconv.Itoa(s.port), "127.0.0.1")); r.Code != 0 || !strings.Contains(r.Stdout, "Passed") {
		t.Errorf("by the policy that comes along: %s", r)
	}

	alice := s.enrolled("alice")
	c := s.client(alice)
	c.master()
	waits := testkit.Start(t, "ssh-audit of a client", exec.Command("ssh-audit", "-n", "-c", "-t", "300", "-p", strconv.Itoa(port)))
	testkit.Eventually(t, "ssh-audit listens", func() bool { return testkit.Listening(port) })
	testkit.Run(t, c.exec("true")) // it fails: ssh-audit is no server
	waits.Wait()
	out := waits.Stdout.String()
	if !strings.Contains(out, "aes128-gcm@openssh.com") {
		t.Fatalf("no scan of the client: %s", out)
	}
	for _, line := range audited(out) {
		if !regexp.MustCompile(`^\(mac\) hmac-sha2-(256|512) .*\[warn\] using encrypt-and-MAC mode$`).MatchString(line) {
			t.Errorf("of entry as a client ssh-audit says: %s", line)
		}
	}
}
