package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// The benchmarks compare entry with stock sshd as the jump host, in the same
// run on the same machine: a ratio means something elsewhere too, a time
// doesn't. Run them with `make bench`.

// rig is one jump host with home behind it, and an inner connection that is
// logged in already.
type rig struct {
	name   string
	client *client
	socket string // of the inner connection's master
	pid    int    // of the jump host
}

func newRig(b *testing.B, name string, c *client, pid int) *rig {
	b.Helper()
	r := &rig{name: name, client: c, pid: pid, socket: filepath.Join(testkit.ShortDir(b), "inner")}
	p := testkit.Start(b, "ssh master "+name, c.home([]string{"-M", "-N", "-S", r.socket}))
	awaitMaster(c, p, r.socket, c.target)
	return r
}

// exec runs a command on home over the inner connection. The client's sockets
// are handed to the master, so that nothing stands between but the jump host.
func (r *rig) exec(options []string, remote string) *exec.Cmd {
	return r.client.ssh(append(append([]string{"-S", r.socket}, options...), r.client.target, remote)...)
}

// rigs are a plain jump host and entry, recording in full.
func rigs(b *testing.B, config ...string) (plain, through *rig) {
	b.Helper()
	c, jump, _, _ := plainPair(b)
	c.appendConfig(config...)
	plain = newRig(b, "plain", c, jump.Cmd.Process.Pid)
	s, _ := quickSite(b, recordAll())
	c = s.client(s.enrolled("alice"))
	c.appendConfig(config...)
	through = newRig(b, "entry", c, s.proc.Cmd.Process.Pid)
	return plain, through
}

// cpu is the processor time that pid and its children have used.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	const tick = time.Second / 100 // USER_HZ, which Linux fixes for /proc
	var ticks int
	for _, p := range append([]int{pid}, testkit.Descendants(b, pid)...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue // it has ended; its parent has its time
		}
		// utime, stime, cutime and cstime: fields 14 to 17 of proc(5), of which
		// two stand before the closing bracket.
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, v := range f[11:15] {
			n, err := strconv.Atoi(v)
			if err != nil {
				b.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

func BenchmarkDownload(b *testing.B) {
	const size = 1 << 30
	random := filepath.Join(testkit.ShortDir(b), "random")
	testkit.MustRun(b, exec.Command("sh", "-c", fmt.Sprintf("head -c %d /dev/urandom > %s", size, random)))
	for _, cipher := range []string{"default", "aes128-gcm@openssh.com"} {
		for _, data := range []struct{ name, command string }{
			{"zeros", fmt.Sprintf("head -c %d /dev/zero", size)},
			{"random", "cat " + random},
		} {
			b.Run("cipher="+cipher+"/data="+data.name, func(b *testing.B) {
				var config []string
				if cipher != "default" {
					// For both connections of a jump.
					config = []string{"Match all", "    Ciphers " + cipher}
				}
				plain, through := rigs(b, config...)
				type cost struct{ wall, cpu time.Duration }
				costs := make(map[*rig]cost)
				rounds := 0
				for b.Loop() {
					rounds++
					for _, r := range []*rig{plain, through} {
						cmd := r.exec(nil, data.command)
						var counter count
						cmd.Stdout = &counter
						used, began := cpu(b, r.pid), time.Now()
						if err := cmd.Run(); err != nil {
							b.Fatal(err)
						}
						c := costs[r]
						c.wall += time.Since(began)
						c.cpu += cpu(b, r.pid) - used
						costs[r] = c
						if counter != size {
							b.Fatalf("%s: %d bytes", r.name, counter)
						}
					}
				}
				gb := float64(rounds) * size / 1e9
				for _, r := range []*rig{plain, through} {
					c := costs[r]
					b.ReportMetric(gb*1e3/c.wall.Seconds(), r.name+"-MB/s")
					b.ReportMetric(c.cpu.Seconds()/gb, r.name+"-cpu-s/GB")
				}
				b.ReportMetric(costs[through].wall.Seconds()/costs[plain].wall.Seconds(), "wall-ratio")
				b.ReportMetric(costs[through].cpu.Seconds()/costs[plain].cpu.Seconds(), "cpu-ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// count counts what is written to it.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// BenchmarkKeystroke types one character at a time into a raw remote terminal
// and waits for its echo.
func BenchmarkKeystroke(b *testing.B) {
	plain, through := rigs(b)
	typists := make(map[*rig]*typist)
	for _, r := range []*rig{plain, through} {
		typists[r] = newTypist(b, r)
	}
	took := make(map[*rig][]time.Duration)
	for b.Loop() {
		for _, r := range []*rig{plain, through} {
			took[r] = append(took[r], typists[r].echo(b))
		}
	}
	// A percentile of few keystrokes is none.
	for len(took[plain]) < 2000 {
		for _, r := range []*rig{plain, through} {
			took[r] = append(took[r], typists[r].echo(b))
		}
	}
	at := func(r *rig, q float64) float64 {
		slices.Sort(took[r])
		return float64(took[r][int(q*float64(len(took[r])-1))].Microseconds())
	}
	for _, r := range []*rig{plain, through} {
		b.ReportMetric(at(r, 0.50), r.name+"-p50-µs")
		b.ReportMetric(at(r, 0.99), r.name+"-p99-µs")
	}
	b.ReportMetric(at(through, 0.50)/at(plain, 0.50), "p50-ratio")
	b.ReportMetric(at(through, 0.99)/at(plain, 0.99), "p99-ratio")
	b.ReportMetric(0, "ns/op")
}

// typist is a remote terminal that echoes bytes.
type typist struct {
	in  io.Writer
	out io.Reader
	n   byte
}

func newTypist(b *testing.B, r *rig) *typist {
	b.Helper()
	cmd := r.exec([]string{"-tt"}, terminalEchoes)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	testkit.OwnGroup(cmd)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		testkit.KillGroup(cmd)
		// Killed: its status says nothing.
		_ = cmd.Wait()
	})
	y := &typist{in: in, out: out}
	if err := y.begins(); err != nil {
		b.Fatalf("%s: %v", r.name, err)
	}
	return y
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

// BenchmarkLogins measures whole logins of different users, four at a time: by
// passphrase and code (argon2id bounds it by intent), and by key and code
// against sshd by key.
func BenchmarkLogins(b *testing.B) {
	const users, workers = 24, 4
	for b.Loop() {
		names := make([]string, users)
		for i := range names {
			names[i] = fmt.Sprintf("user%d", i)
		}
		s := initSite(b)
		home := s.startHome()
		s.setPolicy(names, []string{home.Target(b, "home")}, recordAll())
		s.serve()
		dir := testkit.ShortDir(b)
		key := testkit.NewKeyFile(b, filepath.Join(dir, "id"))
		people := make([]*person, users)
		for i, name := range names {
			people[i] = s.enrolled(name)
			s.mustEntry("user", "key", "add", name, filepath.Join(dir, "id.pub"))
		}
		plain := testkit.StartSSHD(b, testkit.SSHDOptions{Keys: []string{testkit.Authorized(key.PublicKey())}})

		rate := func(login func(*person) (*ssh.Client, error)) float64 {
			queue := make(chan *person, users)
			for _, p := range people {
				queue <- p
			}
			close(queue)
			var all sync.WaitGroup
			began := time.Now()
			for range workers {
				all.Go(func() {
					for p := range queue {
						c, err := login(p)
						if err != nil {
							b.Errorf("%s: %v", p.name, err)
							continue
						}
						c.Close()
					}
				})
			}
			all.Wait()
			return users / time.Since(began).Seconds()
		}
		sshd := rate(func(*person) (*ssh.Client, error) {
			return ssh.Dial("tcp", plain.Addr(), &ssh.ClientConfig{User: testkit.Me(b), Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(testkit.ParseKey(b, plain.HostKey()))})
		})
		byKey := rate(func(p *person) (*ssh.Client, error) { return s.dial(p, ssh.PublicKeys(key), p.keyboard()) })
		byPassphrase := rate(func(p *person) (*ssh.Client, error) { return s.dial(p) })
		b.ReportMetric(sshd, "plain-key/s")
		b.ReportMetric(byKey, "entry-key+otp/s")
		b.ReportMetric(byPassphrase, "entry-passphrase+otp/s")
		b.ReportMetric(byKey/sshd, "key-ratio")
	}
	b.ReportMetric(0, "ns/op")
}
