package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// TestRefusedJumpsAreTold: whatever a jump is refused for, and whichever client
// asks, the person reads the line that says why and what to do, with the
// reference under which it stands in the log. OpenSSH's connection sharing used
// to show "Session open refused by peer" for all of them.
func TestRefusedJumpsAreTold(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	target := func(name, address string) string {
		return strings.NewReplacer("home:", name+":", "127.0.0.1:"+strconv.Itoa(home.Port), address).Replace(home.Target(t, "home"))
	}
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home"), target("vault", "127.0.0.1:2"), target("asleep", "127.0.0.1:1")},
		strings.Replace(recordAll(), "where: {labs: [tinker]}", "where: {targets: [home.tinker, asleep.tinker]}", 1))
	s.serve()
	alice := s.enrolled("alice")
	signer := testkit.NewKeyFile(t, s.path("id"))
	s.mustEntry("user", "key", "add", "alice", s.path("id.pub"))
	if conn, err := s.dial(alice, ssh.PublicKeys(signer), alice.keyboard()); err != nil { // remembered from here on
		t.Fatalf("%v: asked %q", err, alice.asked())
	} else {
		conn.Close()
	}
	block := "IdentityFile " + s.path("id")

	clients := map[string]func(*testing.T, string) string{
		"ssh -J": func(t *testing.T, name string) string {
			return testkit.Run(t, s.client(alice, block).ssh("-J", "entry", name, "true")).Stderr
		},
		"ssh -J over a shared connection": func(t *testing.T, name string) string {
			c := s.client(alice, block)
			c.master()
			return testkit.Run(t, c.ssh("-J", "entry", name, "true")).Stderr
		},
		"ssh with ProxyCommand ssh -q -W": func(t *testing.T, name string) string {
			c := s.client(alice, block)
			return testkit.Run(t, c.ssh("-o", fmt.Sprintf("ProxyCommand=ssh -q -F %s -W %%h:%%p entry", c.config), name, "true")).Stderr
		},
		"sftp -J": func(t *testing.T, name string) string {
			c := s.client(alice, block)
			return testkit.Run(t, c.command("sftp", "-F", c.config, "-b", "/dev/null", "-J", "entry", name)).Stderr
		},
		"dbclient": func(t *testing.T, name string) string {
			c := s.client(alice).byHand()
			key := c.path("id.dropbear")
			testkit.MustRun(t, c.command("dropbearconvert", "openssh", "dropbear", s.path("id"), key))
			path, err := exec.LookPath("dbclient") // it runs itself for the first hop
			if err != nil {
				t.Fatal(err)
			}
			return testkit.Run(t, c.command(path, "-y", "-y", "-i", key, fmt.Sprintf("alice@127.0.0.1/%d,%s@%s", s.port, testkit.Me(t), name), "true")).Stderr
		},
		"paramiko": func(t *testing.T, name string) string {
			return testkit.Run(t, s.client(alice).command(python, "testdata/paramiko_refused.py", strconv.Itoa(s.port), "alice", s.path("id"), name)).Stdout
		},
		"npm's ssh2": func(t *testing.T, name string) string {
			return testkit.Run(t, s.client(alice).command("node", "testdata/node/refused.js", strconv.Itoa(s.port), "alice", s.path("id"), name)).Stdout
		},
		"plink": func(t *testing.T, name string) string {
			c := s.client(alice, block)
			plink := func(more ...string) string {
				args := append([]string{"-ssh", "-batch", "-proxycmd", fmt.Sprintf("ssh -q -F %s -W %s:22 entry", c.config, name)}, more...)
				return testkit.Run(t, c.command("plink", append(args, name, "true")...)).Stderr
			}
			said := plink()
			if key := regexp.MustCompile(`SHA256:\S+`).FindString(said); key != "" {
				said = plink("-l", testkit.Me(t), "-hostkey", key)
			}
			return said
		},
		"Go": func(t *testing.T, name string) string {
			conn, err := s.dial(alice, ssh.PublicKeys(signer))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			nc, err := conn.Dial("tcp", name+":22")
			if err != nil {
				return err.Error()
			}
			inner, chans, reqs, err := ssh.NewClientConn(nc, name+":22", s.clientConfig("alice", ssh.PublicKeys(signer)))
			if err == nil { // a machine is tried once somebody has logged in
				session, serr := ssh.NewClient(inner, chans, reqs).NewSession()
				testkit.Check(t, serr)
				out, rerr := session.CombinedOutput("true")
				if rerr == nil {
					t.Error("it opened")
				}
				return string(out)
			}
			return strings.ReplaceAll(fmt.Sprint(err), `\"`, `"`) // x/crypto quotes it
		},
	}
	refusals := map[string]struct{ target, says string }{
		"an unknown name":      {"hoem", `no target "hoem"; did you mean home?`},
		"a denial":             {"vault", "vault.tinker isn't open to you; ask your lab's administrator"},
		"a machine that's off": {"asleep.tinker", "asleep.tinker does not answer; it may be down or restarting."},
	}
	for client, tell := range clients {
		for why, c := range refusals {
			t.Run(client+", "+why, func(t *testing.T) {
				beside(t)
				said := tell(t, c.target)
				if !strings.Contains(said, "entry: ") || !strings.Contains(said, c.says) || !strings.Contains(said, "(ref ") {
					t.Errorf("the person reads %q, want %q", said, c.says)
				}
				if strings.Contains(said, "administratively prohibited") {
					t.Errorf("the person reads %q", said)
				}
			})
		}
	}
	t.Run("a port that a machine doesn't have, over a shared connection", func(t *testing.T) {
		beside(t)
		c := s.client(alice, block)
		c.master()
		if said := testkit.Run(t, c.ssh("-J", "entry", "-p", "2200", "home", "true")).Stderr; !strings.Contains(said, "entry: home.tinker is reached on port 22, not 2200 (ref ") {
			t.Errorf("the person reads %q", said)
		}
	})
}
