package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"entry/e2e/testkit"
)

// connectProxy is an HTTP proxy that knows nothing but CONNECT, as the networks
// of hospitals have it. It returns its address and where it was asked to go.
func connectProxy(t *testing.T) (addr string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var to []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		mu.Lock()
		to = append(to, r.Host)
		mu.Unlock()
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer far.Close()
		near, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer near.Close()
		if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return
		}
		done := make(chan struct{}, 2)
		pass := func(dst io.Writer, src io.Reader) {
			_, _ = io.Copy(dst, src) // either end may hang up
			done <- struct{}{}
		}
		go pass(far, buffered)
		go pass(near, far)
		<-done
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), to...)
	}
}

// TestConfigThroughProxy: where SSH gets out through an HTTP proxy only, the file
// that a user fetches leads through it.
func TestConfigThroughProxy(t *testing.T) {
	beside(t)
	s, _, c := portalOf(t)
	addr, asked := connectProxy(t)
	if r := testkit.Run(t, c.ssh("entry", "config", "openssh", "--http-proxy", "proxy.example.org")); r.Code != 2 ||
		strings.TrimSpace(r.Stderr) != "entry: a proxy is HOST:PORT, as in proxy.example.org:3128" {
		t.Errorf("a proxy that is none: %s", r)
	}
	dir := testkit.ShortDir(t)
	entryConf, known := filepath.Join(dir, "entry.conf"), filepath.Join(dir, "known_hosts")
	testkit.WriteFile(t, entryConf, testkit.MustRun(t, c.ssh("entry", "config", "openssh", "--http-proxy", addr)).Stdout)
	testkit.WriteFile(t, known, testkit.MustRun(t, c.ssh("entry", "config", "known_hosts")).Stdout)
	conf := filepath.Join(dir, "config")
	testkit.WriteFile(t, conf, fmt.Sprintf("Host entry\n    ControlMaster no\n    ControlPath none\nHost *\n    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    IdentityFile none\n    Include %s\n", known, entryConf))
	if r := testkit.MustRun(t, c.command("ssh", "-F", conf, "home", "echo in")); r.Stdout != "in\n" {
		t.Errorf("%s", r)
	}
	if to := asked(); len(to) != 1 || to[0] != s.addr() {
		t.Errorf("the proxy was asked for %q", to)
	}
}

// TestITSupportPage: what the page tells to run can be run without an account,
// and prints what it says.
func TestITSupportPage(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.serve()
	if r := s.entry("guide", "it-support"); r.Code != 2 || !strings.Contains(r.Stderr, "nobody outside can dial "+s.addr()+": set address in entry.yaml") {
		t.Errorf("of a server on loopback: %s", r)
	}
	s.configure(func(c map[string]any) { c["address"] = fmt.Sprintf("entry.example.org:%d", s.port) })
	page := s.mustEntry("guide", "it-support", "--address", "192.0.2.10")
	for _, want := range []string{
		"# entry at entry.example.org: for IT support\n", fmt.Sprintf("| TCP to `entry.example.org`, port %d |", s.port), "| Addresses | 192.0.2.10 |",
		"ssh entry config openssh --http-proxy PROXY:PORT", "on which entry doesn't listen", "    Host entry\n        HostName entry.example.org\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page doesn't say %q:\n%s", want, page)
		}
	}
	scan := regexp.MustCompile(`(?m)^    ssh-keyscan (-p \d+) entry\.example\.org > entry\.key\n    ssh-keygen -l -f entry\.key$`).FindStringSubmatch(page)
	print := regexp.MustCompile(`(?m)^    (SHA256:\S+)$`).FindStringSubmatch(page)
	if scan == nil || print == nil {
		t.Fatalf("no test without an account:\n%s", page)
	}
	key := filepath.Join(t.TempDir(), "entry.key")
	testkit.WriteFile(t, key, testkit.MustRun(t, command("ssh-keyscan", append(strings.Fields(scan[1]), "127.0.0.1")...)).Stdout)
	if r := testkit.MustRun(t, command("ssh-keygen", "-l", "-f", key)); !strings.Contains(r.Stdout, " "+print[1]+" ") {
		t.Errorf("the page has %s, ssh-keygen prints %s", print[1], r)
	}
	if r := s.entry("guide", "it-support", "--address", "entry"); r.Code != 2 || !strings.Contains(r.Stderr, `--address "entry": want an IP address`) {
		t.Errorf("an address that is none: %s", r)
	}
}
