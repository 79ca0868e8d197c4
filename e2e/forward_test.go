package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
	"entry/session/fastconn"
)

func TestForwards(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	listed, unlisted := echoServer(t), echoServer(t)
	web := webServer(t, "the workbench says hello")
	fixed, dead := testkit.FreePort(t), testkit.FreePort(t)
	sockets := testkit.ShortDir(t)
	s.setPolicy([]string{"alice", "bob"},
		[]string{
			home.Target(t, "home"),
			fmt.Sprintf("      workbench: {kind: tcp, address: \"127.0.0.1:%d\", ports: [80]}", web),
		},
		// Of a tcp target only metadata can be recorded.
		testkit.Rule("workbench", testkit.On("workbench"), "may: [forward-local]", "record: metadata"),
		testkit.Rule("all", testkit.MayAll, fmt.Sprintf(`forward_local: ["127.0.0.1:%d", "localhost:%d", "127.0.0.1:%d", "%s/service"]`, listed, listed, dead, sockets), fmt.Sprintf("forward_remote: [0, %d, %q]", fixed, sockets+"/back"), "record: full"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()

	forward := func(t *testing.T, options ...string) *testkit.Program {
		t.Helper()
		p := testkit.Start(t, "ssh -N", c.home(append([]string{"-N"}, options...)))
		t.Cleanup(p.End)
		return p
	}
	t.Run("-L listed", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			port := testkit.FreePort(t)
			p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:%s:%d", port, host, listed))
			if err := tryForward(p, port); err != nil {
				t.Errorf("%s: %v", host, err)
			}
			// The same forward carries many connections, each with its own end.
			for range 5 {
				if err := tryForward(p, port); err != nil {
					t.Errorf("%s again: %v", host, err)
				}
			}
		}
		s.awaitEvent("forward.opened", func(e event) bool { return strings.HasSuffix(e.Dest, fmt.Sprintf(":%d", listed)) })
		s.awaitEvent("forward.closed", nil)
	})
	t.Run("-L unlisted", func(t *testing.T) {
		port := testkit.FreePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, unlisted))
		if tryForward(p, port) == nil {
			t.Error("an unlisted destination was reached")
		}
		p.WaitFor(regexp.MustCompile(fmt.Sprintf(`administratively prohibited: entry: you may not reach 127\.0\.0\.1:%d through home\.tinker; ask `, unlisted)))
		s.awaitEvent("forward.refused", func(e event) bool {
			return strings.HasSuffix(e.Dest, fmt.Sprintf(":%d", unlisted)) && regexp.MustCompile(`^all \(tinker\.yaml:\d+\)$`).MatchString(e.Rule)
		})
	})
	t.Run("-L nobody there", func(t *testing.T) {
		port := testkit.FreePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, dead))
		if tryForward(p, port) == nil {
			t.Error("something answers there")
		}
		p.WaitFor(regexp.MustCompile(`connect failed`)) // the target's own answer
	})
	t.Run("-R", func(t *testing.T) {
		back := echoServer(t)
		p := forward(t, "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", fixed, back))
		if err := tryForward(p, fixed); err != nil {
			t.Errorf("fixed port: %v", err)
		}
		s.awaitEvent("listen.opened", nil)
		if err := tryRemote(t, &wayfarer{client: c, echo: back}); err != nil {
			t.Errorf("port 0: %v", err)
		}
		other := testkit.FreePort(t)
		if r := testkit.Run(t, c.home([]string{"-N", "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", other, back)})); r.Code != 255 || !strings.Contains(r.Stderr, "remote port forwarding failed") {
			t.Errorf("a port that isn't listed: %s", r)
		}
	})
	t.Run("-R ends with the session", func(t *testing.T) {
		testkit.Eventually(t, "the port is free again", func() bool {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", fixed))
			return err == nil && l.Close() == nil
		})
	})
	t.Run("-D", func(t *testing.T) {
		port := testkit.FreePort(t)
		p := forward(t, "-D", fmt.Sprintf("127.0.0.1:%d", port))
		proxy := fmt.Sprintf("127.0.0.1:%d", port)
		awaitListener(t, p, port)
		conn, err := socks(proxy, "localhost", listed)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := roundTrip(conn); err != nil {
			t.Error(err)
		}
		if refused, err := socks(proxy, "127.0.0.1", unlisted); err == nil {
			defer refused.Close()
			if err := roundTrip(refused); err == nil {
				t.Error("an unlisted destination was reached by SOCKS")
			}
		}
	})
	t.Run("unix sockets", func(t *testing.T) {
		l, err := net.Listen("unix", filepath.Join(sockets, "service"))
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, func(c net.Conn) { _, _ = io.Copy(c, c) }) // the far end sees an early end
		port := testkit.FreePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:%s/service", port, sockets))
		if err := tryForward(p, port); err != nil {
			t.Errorf("-L to a listed socket: %v", err)
		}
		p = forward(t, "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("%s/back:127.0.0.1:%d", sockets, listed))
		var conn net.Conn
		testkit.Eventually(t, "home listens on its socket", func() bool {
			conn, err = net.Dial("unix", filepath.Join(sockets, "back"))
			return err == nil
		})
		defer conn.Close()
		if err := roundTrip(conn); err != nil {
			t.Errorf("-R from a listed socket: %v: %s", err, p.Stderr.String())
		}
		unlisted := filepath.Join(testkit.ShortDir(t), "s")
		r := testkit.Run(t, c.home([]string{"-o", "ExitOnForwardFailure=yes", "-R", unlisted + ":127.0.0.1:1"}, "true"))
		if r.Code == 0 || fileExists(unlisted) {
			t.Errorf("a socket that no rule lists: %s", r)
		}
	})

	// The workbench is no SSH server: it is reached by name on the client
	// connection itself.
	t.Run("kind tcp by -L", func(t *testing.T) {
		port := testkit.FreePort(t)
		p := testkit.Start(t, "ssh -L workbench", c.ssh("-N", "-L", fmt.Sprintf("127.0.0.1:%d:workbench:80", port), "-S", "none", "entry"))
		t.Cleanup(p.End)
		awaitListener(t, p, port)
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		get(t, conn, "the workbench says hello")
	})
	t.Run("kind tcp by -D and -W", func(t *testing.T) {
		port := testkit.FreePort(t)
		bob := s.client(s.enrolled("bob"))
		p := testkit.Start(t, "ssh -D entry", bob.ssh("-N", "-M", "-S", bob.path("m"), "-D", fmt.Sprintf("127.0.0.1:%d", port), "entry"))
		t.Cleanup(p.End)
		awaitListener(t, p, port)
		for _, name := range []string{"workbench", "workbench.tinker"} {
			conn, err := socks(fmt.Sprintf("127.0.0.1:%d", port), name, 80)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			get(t, conn, "the workbench says hello")
		}
		for name, dest := range map[string]int{"workbench": 81, "127.0.0.1": web, "example.org": 80} {
			conn, err := socks(fmt.Sprintf("127.0.0.1:%d", port), name, dest)
			if err == nil {
				conn.Close()
				t.Errorf("%s:%d was reached", name, dest)
			}
		}
		cmd := bob.ssh("-S", bob.path("m"), "-W", "workbench:80", "entry")
		cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: workbench\r\nConnection: close\r\n\r\n")
		if r := testkit.Run(t, cmd); !strings.Contains(r.Stdout, "the workbench says hello") {
			t.Errorf("-W: %s", r)
		}
		s.awaitEvent("forward.closed", func(e event) bool { return e.Target == "workbench.tinker" && e.User == "bob" })
	})
}

// awaitListener waits until a client listens on a local port.
func awaitListener(t testing.TB, p *testkit.Program, port int) {
	t.Helper()
	// Dialling it would open a forward.
	if !p.Within(testkit.CommandTime, func() bool { return testkit.Listening(port) }) {
		t.Fatalf("%s doesn't listen on %d: %s", p.Name, port, p.Stderr.String())
	}
}

// get asks for / over conn, closes it and wants body.
func get(t testing.TB, conn net.Conn, body string) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(testkit.Deadline(testkit.Soon)); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: workbench\r\nConnection: close\r\n\r\n"); err != nil {
		t.Error(err)
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body {
		t.Errorf("body %q, %v", got, err)
	}
}

// TestClientConnectionRefusals: on the client connection itself nothing is
// listened on, no agent or display is taken, and only names are reached.
func TestClientConnectionRefusals(t *testing.T) {
	beside(t)
	s, home := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	socket := c.path("m")
	for name, spec := range map[string]string{
		"port":        fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", testkit.FreePort(t), home.Port),
		"port 0":      fmt.Sprintf("127.0.0.1:0:127.0.0.1:%d", home.Port),
		"unix socket": filepath.Join(testkit.ShortDir(t), "s") + ":127.0.0.1:1",
	} {
		if r := testkit.Run(t, c.ssh("-S", socket, "-O", "forward", "-R", spec, "entry")); r.Code == 0 {
			t.Errorf("entry listens on a %s for its user: %s", name, r)
		}
	}
	for _, dest := range []string{
		fmt.Sprintf("127.0.0.1:%d", home.Port), fmt.Sprintf("localhost:%d", home.Port),
		"[::1]:22", "home:23", "home:0", "home.other:22", "xn--home:22", "example.org:22", "entry:22",
	} {
		cmd := c.ssh("-S", socket, "-W", dest, "entry")
		cmd.Stdin = strings.NewReader("")
		r := testkit.Run(t, cmd)
		if strings.HasSuffix(dest, ":22") || dest == "home:23" { // entry's own SSH, which says why after the key exchange
			if r.Stdout != fastconn.Version+"\r\n" {
				t.Errorf("-W %s: %s", dest, r)
			}
		} else if r.Code != 255 || r.Stdout != "" {
			t.Errorf("-W %s: %s", dest, r)
		}
	}
	if n := home.Logins(); n != 0 {
		t.Errorf("%d logins at home", n)
	}
}
