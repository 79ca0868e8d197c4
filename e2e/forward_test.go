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
	"time"
)

func TestForwards(t *testing.T) {
	t.Parallel()
	s := initSite(t)
	home := s.startHome()
	listed, unlisted := echoServer(t), echoServer(t)
	web := webServer(t, "the workbench says hello")
	fixed, dead := freePort(t), freePort(t)
	sockets := tempDir(t)
	s.setPolicy([]string{"alice", "bob"},
		[]string{
			home.target(t, "home"),
			fmt.Sprintf("      workbench: {kind: tcp, address: \"127.0.0.1:%d\", ports: [80]}", web),
		},
		// Of a tcp target only metadata can be recorded.
		strings.Replace(rule("workbench", "may: [forward-local]", "record: metadata"), "where: {labs: [tinker]}", "where: {targets: [workbench.tinker]}", 1),
		rule("all", mayAll, fmt.Sprintf(`forward_local: ["127.0.0.1:%d", "localhost:%d", "127.0.0.1:%d", "%s/service"]`, listed, listed, dead, sockets), fmt.Sprintf("forward_remote: [0, %d, %q]", fixed, sockets+"/back"), "record: full"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()

	forward := func(t *testing.T, options ...string) *process {
		t.Helper()
		p := start(t, "ssh -N", c.home(append([]string{"-N"}, options...)))
		t.Cleanup(p.end)
		return p
	}
	t.Run("-L listed", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			port := freePort(t)
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
		port := freePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, unlisted))
		err := withStderr(p, tryForward(p, port))
		if err == nil || !regexp.MustCompile(`administratively prohibited: .*all \(tinker\.yaml:\d+\)`).MatchString(err.Error()) {
			t.Errorf("unlisted destination: %v", err)
		}
		s.awaitEvent("forward.refused", func(e event) bool { return strings.HasSuffix(e.Dest, fmt.Sprintf(":%d", unlisted)) })
	})
	t.Run("-L nobody there", func(t *testing.T) {
		port := freePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, dead))
		if err := withStderr(p, tryForward(p, port)); err == nil || !strings.Contains(err.Error(), "connect failed") {
			t.Errorf("the target's own answer is lost: %v", err)
		}
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
		other := freePort(t)
		if r := run(t, c.home([]string{"-N", "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", other, back)})); r.code != 255 || !strings.Contains(r.stderr, "remote port forwarding failed") {
			t.Errorf("a port that isn't listed: %s", r)
		}
	})
	t.Run("-R ends with the session", func(t *testing.T) {
		eventually(t, "the port is free again", func() bool {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", fixed))
			return err == nil && l.Close() == nil
		})
	})
	t.Run("-D", func(t *testing.T) {
		port := freePort(t)
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
		port := freePort(t)
		p := forward(t, "-L", fmt.Sprintf("127.0.0.1:%d:%s/service", port, sockets))
		if err := tryForward(p, port); err != nil {
			t.Errorf("-L to a listed socket: %v", err)
		}
		p = forward(t, "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("%s/back:127.0.0.1:%d", sockets, listed))
		var conn net.Conn
		eventually(t, "home listens on its socket", func() bool {
			conn, err = net.Dial("unix", filepath.Join(sockets, "back"))
			return err == nil
		})
		defer conn.Close()
		if err := roundTrip(conn); err != nil {
			t.Errorf("-R from a listed socket: %v: %s", err, p.stderr.String())
		}
		unlisted := filepath.Join(tempDir(t), "s")
		r := run(t, c.home([]string{"-o", "ExitOnForwardFailure=yes", "-R", unlisted + ":127.0.0.1:1"}, "true"))
		if r.code == 0 || fileExists(unlisted) {
			t.Errorf("a socket that no rule lists: %s", r)
		}
	})

	// The workbench is no SSH server: it is reached by name on the client
	// connection itself.
	t.Run("kind tcp by -L", func(t *testing.T) {
		port := freePort(t)
		p := start(t, "ssh -L workbench", c.ssh("-N", "-L", fmt.Sprintf("127.0.0.1:%d:workbench:80", port), "-S", "none", "entry"))
		t.Cleanup(p.end)
		awaitListener(t, p, port)
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		get(t, conn, "the workbench says hello")
	})
	t.Run("kind tcp by -D and -W", func(t *testing.T) {
		port := freePort(t)
		bob := s.client(s.enrolled("bob"))
		p := start(t, "ssh -D entry", bob.ssh("-N", "-M", "-S", bob.path("m"), "-D", fmt.Sprintf("127.0.0.1:%d", port), "entry"))
		t.Cleanup(p.end)
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
		if r := run(t, cmd); !strings.Contains(r.stdout, "the workbench says hello") {
			t.Errorf("-W: %s", r)
		}
		s.awaitEvent("forward.closed", func(e event) bool { return e.Target == "workbench.tinker" && e.User == "bob" })
	})
}

// awaitListener waits until a client listens on a local port.
func awaitListener(t testing.TB, p *process, port int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s listens on %d", p.name, port), func() bool {
		select {
		case <-p.exited:
			t.Fatalf("%s ended: %s", p.name, p.stderr.String())
		default:
		}
		// A listening port can't be bound again; dialling it would open a
		// forward.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		return err != nil || l.Close() != nil
	})
}

// get asks for / over conn, closes it and wants body.
func get(t testing.TB, conn net.Conn, body string) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
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
	t.Parallel()
	s, home := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	socket := c.path("m")
	for name, spec := range map[string]string{
		"port":        fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", freePort(t), home.port),
		"port 0":      fmt.Sprintf("127.0.0.1:0:127.0.0.1:%d", home.port),
		"unix socket": filepath.Join(tempDir(t), "s") + ":127.0.0.1:1",
	} {
		if r := run(t, c.ssh("-S", socket, "-O", "forward", "-R", spec, "entry")); r.code == 0 {
			t.Errorf("entry listens on a %s for its user: %s", name, r)
		}
	}
	for _, dest := range []string{
		fmt.Sprintf("127.0.0.1:%d", home.port), fmt.Sprintf("localhost:%d", home.port),
		"[::1]:22", "home:23", "home:0", "home.other:22", "xn--home:22", "example.org:22", "entry:22",
	} {
		cmd := c.ssh("-S", socket, "-W", dest, "entry")
		cmd.Stdin = strings.NewReader("")
		if r := run(t, cmd); r.code != 255 || r.stdout != "" {
			t.Errorf("-W %s: %s", dest, r)
		}
	}
	if n := home.logins(); n != 0 {
		t.Errorf("%d logins at home", n)
	}
}
