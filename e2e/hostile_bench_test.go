package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// rig is one jump host with home behind it, and an inner connection that is
// logged in already.
type rig struct {
	name   string
	client *client
	socket string // of the inner connection's master
}

func newRig(b *testing.B, name string, c *client) *rig {
	b.Helper()
	r := &rig{name: name, client: c, socket: filepath.Join(testkit.ShortDir(b), "inner")}
	p := testkit.Start(b, "ssh master "+name, c.home([]string{"-M", "-N", "-S", r.socket}))
	awaitMaster(c, p, r.socket, c.target)
	return r
}

// exec runs a command on home over the inner connection. The client's sockets
// are handed to the master, so that nothing stands between but the jump host.
func (r *rig) exec(options []string, remote string) *exec.Cmd {
	return r.client.ssh(append(append([]string{"-S", r.socket}, options...), r.client.target, remote)...)
}

// hostile takes all that one user can through r until stop: four transfers at full
// speed, and programs started one after the other.
func (r *rig) hostile(b *testing.B) (stop func()) {
	b.Helper()
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		cmd := r.exec(nil, "cat /dev/zero")
		testkit.OwnGroup(cmd)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			<-done
			testkit.KillGroup(cmd)
			_ = cmd.Wait() // killed: its status says nothing
		})
	}
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = r.exec(nil, "true").Run() // it may be cut by the end
			}
		}
	})
	return func() {
		close(done)
		all.Wait()
	}
}

// crowd makes n accounts that can open connections with their keys alone: they come
// over from another system, each with a key and an authenticator, and then log in once.
func (s *site) crowd(n int) (names []string, keys []ssh.Signer) {
	s.t.Helper()
	homes, shadow := testkit.ShortDir(s.t), ""
	for i := range n {
		name := fmt.Sprintf("user%d", i)
		testkit.Check(s.t, os.MkdirAll(filepath.Join(homes, name, ".ssh"), 0o700))
		testkit.WriteFile(s.t, filepath.Join(homes, name, ".google_authenticator"), oldSeed+"\n\" TOTP_AUTH\n")
		key := testkit.NewKeyFile(s.t, filepath.Join(homes, name, "id"))
		testkit.WriteFile(s.t, filepath.Join(homes, name, ".ssh", "authorized_keys"), testkit.Authorized(key.PublicKey())+"\n")
		shadow += name + ":" + oldHash + ":19000:0:99999:7:::\n"
		names, keys = append(names, name), append(keys, key)
	}
	testkit.WriteFile(s.t, filepath.Join(homes, "shadow"), shadow)
	s.mustEntry("user", "import", homes, "--shadow", filepath.Join(homes, "shadow"))
	spent := time.Now().Unix()/otpStep + 1 // an import takes no code of its present
	parallel(s.t, n, 8, func(i int) error {
		p := &person{t: s.t, name: names[i], phone: newAuthenticator(oldSeed)}
		p.phone.last = spent
		c, err := s.dial(p, ssh.PublicKeys(keys[i]), p.keyboard())
		if err != nil {
			return fmt.Errorf("%s: %w (asked %q)", p.name, err, p.asked())
		}
		return c.Close()
	})
	return names, keys
}

// typist is a remote terminal that echoes bytes.
type typist struct {
	in  io.Writer
	out io.Reader
	n   byte
}

// terminalEchoes is what a typist's terminal runs.
const terminalEchoes = "stty raw -echo; echo ready; exec cat"

// begins waits until the terminal echoes.
func (y *typist) begins() error {
	var seen []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(seen), "ready\n"); seen = append(seen, one...) {
		if _, err := io.ReadFull(y.out, one); err != nil {
			return fmt.Errorf("%w after %q", err, seen)
		}
	}
	return nil
}

func (y *typist) echo(b *testing.B) time.Duration {
	key := []byte{'a' + y.n%26}
	y.n++
	began := time.Now()
	if _, err := y.in.Write(key); err != nil {
		b.Fatal(err)
	}
	got := make([]byte, 1)
	if _, err := io.ReadFull(y.out, got); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	if got[0] != key[0] {
		b.Fatalf("typed %q, saw %q", key, got)
	}
	return took
}

// newTerminal is a terminal on the machine that inner is logged in on.
func newTerminal(inner ssh.Conn) (*typist, error) {
	ch, requests, err := inner.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	for _, r := range []struct {
		kind    string
		payload []byte
	}{
		{"pty-req", ssh.Marshal(struct {
			Term                      string
			Columns, Rows, Wide, High uint32
			Modes                     string
		}{"xterm", 80, 24, 0, 0, "\x00"})},
		{"exec", ssh.Marshal(struct{ Command string }{terminalEchoes})},
	} {
		if ok, err := ch.SendRequest(r.kind, true, r.payload); err != nil || !ok {
			return nil, fmt.Errorf("%s: %t, %w", r.kind, ok, err)
		}
	}
	y := &typist{in: ch, out: ch}
	return y, y.begins()
}

// BenchmarkBesideAHostileUser types at the terminals of a hundred users, each on a
// connection of its own, alone and beside one more user who takes what there is,
// through sshd and through entry: what that costs the hundred here is to be held
// against what it costs there.
func BenchmarkBesideAHostileUser(b *testing.B) {
	const (
		accounts = 100
		keys     = 1500             // in each of the four measurements, by all together
		most     = 30 * time.Second // of one, if they take longer
	)
	c, jump, home, id := plainPair(b)
	signer, err := ssh.ParsePrivateKey([]byte(testkit.ReadFile(b, id)))
	testkit.Check(b, err)

	s := initSite(b)
	target := s.startHome()
	members := []string{"alice"}
	for i := range accounts {
		members = append(members, fmt.Sprintf("user%d", i))
	}
	s.setPolicy(members, []string{target.Target(b, "home")}, recordAll())
	s.configure(rememberEverywhere)
	s.serve()
	names, own := s.crowd(accounts)

	ways := []struct {
		taking *rig
		log    func(i int) (ssh.Conn, error) // the i-th user in at home
	}{
		{newRig(b, "plain", c), func(int) (ssh.Conn, error) {
			at := func(of *testkit.SSHD) *ssh.ClientConfig {
				return &ssh.ClientConfig{User: testkit.Me(b), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(testkit.ParseKey(b, of.HostKey()))}
			}
			outer, err := ssh.Dial("tcp", jump.Addr(), at(jump))
			if err != nil {
				return nil, err
			}
			b.Cleanup(func() { outer.Close() })
			return through(outer, "127.0.0.1", home.Port, at(home))
		}},
		{newRig(b, "entry", s.client(s.enrolled("alice"))), func(i int) (ssh.Conn, error) {
			outer, err := s.dialAs(names[i], ssh.PublicKeys(own[i]))
			if err != nil {
				return nil, err
			}
			b.Cleanup(func() { outer.Close() })
			return through(outer, "home", 22, s.clientConfig("worker"))
		}},
	}
	var typists [2][accounts]*typist
	for way, w := range ways {
		parallel(b, accounts, 8, func(i int) error {
			inner, err := w.log(i)
			if err != nil {
				return err
			}
			typists[way][i], err = newTerminal(inner)
			return err
		})
	}
	if b.Failed() {
		b.FailNow()
	}
	var took [2][2][]time.Duration // by way, alone and beside
	typed := func(way, load int) {
		began := time.Now()
		for i := 0; i < keys && time.Since(began) < most; i++ {
			took[way][load] = append(took[way][load], typists[way][i%accounts].echo(b))
		}
	}
	for b.Loop() {
		for way, w := range ways {
			typed(way, 0)
			stop := w.taking.hostile(b)
			typed(way, 1)
			stop()
		}
	}
	at := func(way, load int, q float64) float64 {
		all := took[way][load]
		slices.Sort(all)
		return float64(all[int(q*float64(len(all)-1))].Microseconds())
	}
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		var slower [2]float64
		for way, w := range ways {
			name := w.taking.name + "-" + q.name
			slower[way] = at(way, 1, q.q) / at(way, 0, q.q)
			b.ReportMetric(at(way, 0, q.q), name+"-µs-alone")
			b.ReportMetric(at(way, 1, q.q), name+"-µs-beside")
			b.ReportMetric(slower[way], name+"-slower")
		}
		b.ReportMetric(at(1, 1, q.q)/at(0, 1, q.q), q.name+"-beside-ratio")
		b.ReportMetric(slower[1]/slower[0], q.name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}
