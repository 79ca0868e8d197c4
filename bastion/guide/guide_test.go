package guide

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

const caBlob = "AAAAC3NzaC1lZDI1NTE5AAAAIFSZcBUX3DGLkPzMZyHIQ7rf2Iv/LkzOAkWHHX8JnKDj"

// sample has a machine, one in another lab, a web service and a refusal.
func sample() Facts {
	return Facts{
		Name: "entry", server: "entry.example.org", serverPort: 2222, User: "alice", HostCA: "ssh-ed25519 " + caBlob + " made by init",
		Targets: []Target{
			{Name: "home", Full: "home.tinker", Login: "alice", Recorded: "What you see and each file's name and size are recorded; the auditors of tinker may read it."},
			{Name: "home.tailor", Full: "home.tailor", Login: "guest", Ports: []int{2200}, Recorded: "Commands and file names are recorded; the auditors of tailor may read them."},
			{Name: "workbench", Full: "workbench.tinker", Kind: TCP, Ports: []int{8888, 443}, Recorded: "When and how much; not the content."},
			{Name: "desktop", Full: "desktop.tinker", Denied: "desktop.tinker isn't open to you; ask your lab's administrator"},
		},
		Remembered: 12 * time.Hour, Invited: 240 * time.Hour, Contact: "the service desk, desk@example.org", Multiplex: true,
	}
}

func TestGoldenFiles(t *testing.T) {
	for _, c := range Clients() {
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.Make(sample())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.Name+".golden", got)
			if crlf := strings.Count(got, "\r\n"); c.crlf && crlf != strings.Count(got, "\n") || !c.crlf && crlf != 0 {
				t.Errorf("%d of %d lines end in CRLF", crlf, strings.Count(got, "\n"))
			}
			for i, r := range got {
				if r > '~' || r < ' ' && r != '\n' && r != '\r' {
					t.Fatalf("%q at %d: old clients read ASCII", r, i)
				}
			}
		})
	}
	var b bytes.Buffer
	if err := HTML(&b, sample()); err != nil {
		t.Fatal(err)
	}
	golden(t, "guide.html", b.String())
	b.Reset()
	if err := Text(&b, sample()); err != nil {
		t.Fatal(err)
	}
	golden(t, "guide.txt", b.String())
}

// A guide with an address that nobody can dial says what the operator has to set.
func TestUnreachableAddressIsTheOperators(t *testing.T) {
	for _, unreachable := range []bool{true, false} {
		f := sample()
		f.Unreachable = unreachable
		for _, write := range []func(io.Writer, Facts) error{Text, HTML} {
			var b bytes.Buffer
			if err := write(&b, f); err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(b.String(), "nobody outside can dial that"); said != unreachable {
				t.Errorf("unreachable %t, said: %t", unreachable, said)
			}
		}
	}
}

// The page for IT staff names nobody, and both ways past a proxy.
func TestITSupport(t *testing.T) {
	var b bytes.Buffer
	if err := ITSupport(&b, sample(), Server{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")}, OtherPorts: []int{443}, HostKey: "SHA256:abc"}); err != nil {
		t.Fatal(err)
	}
	golden(t, "support.md", b.String())
	if s := sample(); strings.Contains(b.String(), s.User) || strings.Contains(b.String(), s.Targets[0].Full) {
		t.Error("the page names a user or a target")
	}
	for name, c := range map[string]struct {
		f Facts
		s Server
	}{
		"a port":        {sample(), Server{OtherPorts: []int{70000}}},
		"a fingerprint": {sample(), Server{HostKey: "\x1b[2J"}},
		"no host CA":    {Facts{Name: "entry"}, Server{}},
	} {
		if err := ITSupport(&b, c.f, c.s); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestParseProxy(t *testing.T) {
	for _, good := range []string{"proxy.example.org:3128", "192.0.2.1:80", "[2001:db8::1]:8080"} {
		if got, err := ParseProxy(good); err != nil || got != good {
			t.Errorf("%s: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", "proxy", ":3128", "proxy:", "proxy:0", anyProxy, "proxy:65536", "a b:1", "$(id):1", "x`:1", "-x:1", "%h:1", "proxy:3128 ", "http://proxy:3128"} {
		if got, err := ParseProxy(bad); err == nil {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and read the difference. Now:\n%s", name, got)
	}
}

func TestKnown(t *testing.T) {
	for _, name := range []string{"openssh", "putty", "winscp", "mobaxterm", "vscode", "browser", "known_hosts"} {
		if c, ok := Known(name); !ok || c.Name != name || c.Title == "" || c.File == "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, ok := Known("telnet"); ok {
		t.Error("telnet is known")
	}
}

// What ssh itself makes of the file, and of its host CA.
func TestOpenSSHReadsIt(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		c, _ := Known(name)
		s, err := c.Make(sample())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, c.File)
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf, known := write("openssh"), write("known_hosts")
	for host, wants := range map[string][]string{
		"entry":       {"hostname entry.example.org", "port 2222", "user alice", "hostkeyalias entry", "connecttimeout 120", "controlmaster auto", "controlpersist 28800"},
		"home":        {"hostname home.tinker", "port 22", "user alice", "proxyjump entry", "connecttimeout 120", "controlmaster false"},
		"home.tinker": {"hostname home.tinker", "user alice", "proxyjump entry"},
		"home.tailor": {"hostname home.tailor", "user guest", "proxyjump entry"},
	} {
		out, err := exec.Command("ssh", "-F", conf, "-G", host).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range wants {
			if !strings.Contains("\n"+string(out), "\n"+want+"\n") {
				t.Errorf("ssh -G %s: no %q in\n%s", host, want, out)
			}
		}
	}
	// A refused machine gets no block, and no connection to somewhere else.
	out, err := exec.Command("ssh", "-F", conf, "-G", "desktop").Output()
	if err != nil || strings.Contains(string(out), "proxyjump") {
		t.Errorf("desktop: %v\n%s", err, out)
	}
	for _, host := range []string{"entry", "home", "home.tinker", "home.tailor"} {
		out, err := exec.Command("ssh-keygen", "-F", host, "-l", "-f", known).CombinedOutput()
		prints, ferr := sample().fingerprints()
		if err != nil || ferr != nil || len(prints) != 1 || !strings.Contains(string(out), prints[0]) {
			t.Errorf("ssh-keygen -F %s: %v\n%s, want %s", host, err, out, prints)
		}
	}
	if out, err := exec.Command("ssh-keygen", "-F", "elsewhere", "-f", known).CombinedOutput(); err == nil {
		t.Errorf("the host CA speaks for elsewhere: %s", out)
	}
}

// While the host CA is changed, every file has both keys.
func TestBothHostCAs(t *testing.T) {
	f := sample()
	f.NextHostCA = "ssh-ed25519 " + caBlob[:len(caBlob)-2] + "00"
	if prints, err := f.fingerprints(); err != nil || len(prints) != 2 || prints[0] == prints[1] {
		t.Fatalf("%v, %v", prints, err)
	}
	next := strings.Fields(f.NextHostCA)[1]
	for name, text := range map[string]string{"openssh": openSSH(f), "putty": putty(f), "known_hosts": lines(f.knownHosts()...)} {
		if strings.Count(text, caBlob) != 1 || strings.Count(text, next) != 1 {
			t.Errorf("%s hasn't both:\n%s", name, text)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(lines(f.knownHosts()...)), "\n") {
		if !strings.HasPrefix(line, "@cert-authority entry,") {
			t.Errorf("known_hosts: %s", line)
		}
	}
	if !strings.Contains(putty(f), `SshHostCAs\entry%20next]`) {
		t.Errorf("putty:\n%s", putty(f))
	}
}

func TestWithoutMultiplexing(t *testing.T) {
	f := sample()
	f.Multiplex = false
	if s := openSSH(f); strings.Contains(s, "Control") {
		t.Errorf("%s", s)
	}
}

// node runs the function that a browser would.
func TestBrowserFile(t *testing.T) {
	c, _ := Known("browser")
	pac, err := c.Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{"workbench": true, "workbench.tinker": true, "WorkBench.Tinker.": true, "example.org": false, "home.tinker": false,
		"workbench.tinker.example.org": false, "xworkbench": false, "constructor": false, "": false}
	names, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	script := "'use strict';" + pac + "const out={};for (const h of Object.keys(" + string(names) + ")) out[h]=FindProxyForURL('https://'+h+'/',h);console.log(JSON.stringify(out));"
	out, err := exec.Command("node", "-e", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for host, through := range hosts {
		want := "DIRECT"
		if through {
			want = "SOCKS5 127.0.0.1:1080; SOCKS 127.0.0.1:1080"
		}
		if got[host] != want {
			t.Errorf("%q goes %q, want %q", host, got[host], want)
		}
	}
}

func TestVSCodeSettings(t *testing.T) {
	c, _ := Known("vscode")
	s, err := c.Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAll([]byte(s), nil), &v); err != nil {
		t.Fatalf("%v\n%s", err, s)
	}
	if v["remote.SSH.connectTimeout"] != 120.0 || v["remote.SSH.showLoginTerminal"] != true {
		t.Errorf("%v", v)
	}
	if p, _ := v["remote.SSH.remotePlatform"].(map[string]any); len(p) != 2 || p["home"] != "linux" {
		t.Errorf("%v", v)
	}
}

// ini reads what Windows programs call an INI file.
func ini(t *testing.T, s string) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	var section map[string]string
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\r\n"), "\r\n") {
		switch {
		case line == "" || strings.HasPrefix(line, ";") || line == "Windows Registry Editor Version 5.00":
		case strings.HasPrefix(line, "["):
			section = map[string]string{}
			out[strings.Trim(line, "[]")] = section
		default:
			k, v, ok := strings.Cut(line, "=")
			if !ok || section == nil {
				t.Fatalf("line %q", line)
			}
			section[strings.Trim(k, `"`)] = v
		}
	}
	return out
}

func TestPuTTYRegistry(t *testing.T) {
	c, _ := Known("putty")
	s, err := c.Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	reg := ini(t, s)
	ca := reg[puttyKey+`SshHostCAs\entry`]
	if ca["PublicKey"] != `"`+caBlob+`"` || ca["Validity"] != `"entry || home || *.tinker || home.tailor || *.tailor || desktop"` || ca["PermitRSASHA1"] != "dword:00000000" {
		t.Errorf("host CA %v", ca)
	}
	if e := reg[puttyKey+`Sessions\entry`]; e["HostName"] != `"entry.example.org"` || e["PortNumber"] != "dword:000008ae" || e["LogHost"] != `"entry"` || e["UserName"] != `"alice"` {
		t.Errorf("entry %v", e)
	}
	home := reg[puttyKey+`Sessions\home.tinker%20via%20entry`]
	if home["ProxyMethod"] != "dword:00000006" || home["ProxyHost"] != `"entry"` || home["HostName"] != `"home.tinker"` {
		t.Errorf("home %v of %v", home, reg)
	}
	if w := reg[puttyKey+`Sessions\entry%20web`]; w["PortForwardings"] != `"D1080,L8888=workbench:8888,L8443=workbench:443"` {
		t.Errorf("web %v", w)
	}
}

func TestWinSCPSessions(t *testing.T) {
	c, _ := Known("winscp")
	s, err := c.Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	all := ini(t, s)
	once := all[`Sessions\entry/home.tinker`]
	if once["HostName"] != "entry.example.org" || once["UserName"] != "alice+home.tinker" || once["PortNumber"] != "2222" || once["Timeout"] != "120" || once["Tunnel"] != "" {
		t.Errorf("%v", once)
	}
	tunnel := all[`Sessions\entry/home.tinker%20tunnel`]
	if tunnel["HostName"] != "home.tinker" || tunnel["Tunnel"] != "1" || tunnel["TunnelHostName"] != "entry.example.org" || tunnel["TunnelUserName"] != "alice" || tunnel["TunnelPortNumber"] != "2222" {
		t.Errorf("%v", tunnel)
	}
}

func TestMobaXtermSessions(t *testing.T) {
	c, _ := Known("mobaxterm")
	s, err := c.Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	marks := ini(t, s)["Bookmarks"]
	blocks := strings.Split(marks["home.tinker"], "#")
	if len(blocks) != 7 || blocks[1] != "109" {
		t.Fatalf("%q", blocks)
	}
	fields := strings.Split(blocks[2], "%")
	if len(fields) != mobaFields || fields[mobaHost] != "home.tinker" || fields[mobaGatewayHosts] != "entry.example.org" || fields[mobaGatewayPorts] != "2222" || fields[mobaGatewayUsers] != "alice" {
		t.Errorf("%q", fields)
	}
}

// TestApprovedLast: the one command of a guide leads where nobody has to be asked.
func TestApprovedLast(t *testing.T) {
	f := sample()
	f.Targets[0].Approval, f.Targets[0].Recorded = "1 of bob, carol", "Connecting asks for the approval of 1 of bob, carol."
	var b strings.Builder
	if err := Text(&b, f); err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(b.String(), "ssh -J entry home.tailor\n")
	if strings.Contains(first, "ssh -J entry home\n") || !strings.Contains(rest, "ssh -J entry home\n    Connecting asks for the approval of 1 of bob, carol.\n") || !strings.Contains(rest, "Host home home.tinker\n") {
		t.Errorf("%s", b.String())
	}
}
