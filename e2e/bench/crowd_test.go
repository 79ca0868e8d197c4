package bench

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit/wire"
)

// clientsJob is who they are and which way they go.
type clientsJob struct {
	Jump, Name string   // address of the jump host, and its name
	User, Key  string   // PEM
	Target     string   // what the jump is asked for, "full:22"
	Login      string   // there
	Trust      []string // host keys and who vouches for some
}

// crowd is many users' computers.
type crowd struct {
	job          clientsJob
	outer, inner *ssh.ClientConfig

	mu    sync.Mutex
	open  []*terminal
	tries int
}

// terminal is a session that goes on.
type terminal struct {
	ssh.Channel
	outer ssh.Conn
}

func newCrowd(job clientsJob) (*crowd, error) {
	signer, err := ssh.ParsePrivateKey([]byte(job.Key))
	if err != nil {
		return nil, err
	}
	check, err := trust(job.Trust...)
	if err != nil {
		return nil, err
	}
	config := func(user string) *ssh.ClientConfig {
		return &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check,
			HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01, ssh.KeyAlgoED25519}, ClientVersion: "SSH-2.0-OpenSSH_10.0 bench"}
	}
	return &crowd{job: job, outer: config(job.User), inner: config(job.Login)}, nil
}

func (c *crowd) do(a ask) (answer, error) {
	switch a.Do {
	case "open":
		return answer{}, c.openMore(a.N)
	case "key":
		return answer{}, c.each(func(t *terminal) error { return t.shows(a.As[0]) })
	case "connect":
		return c.connect(a.N)
	case "rate":
		return c.rate(a.N, time.Duration(a.Ms)*time.Millisecond)
	}
	return answer{}, fmt.Errorf("nobody can %q", a.Do)
}

// log opens a session through the jump host, as `ssh -J` does: two logins.
func (c *crowd) log(terminalToo bool) (*terminal, error) {
	c.mu.Lock()
	c.tries++
	n := c.tries
	c.mu.Unlock()
	// Each comes from an address of its own, as users do.
	from := &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(max(1, n&0xff)))}
	tcp, err := (&net.Dialer{LocalAddr: from, Timeout: time.Minute}).Dial("tcp", c.job.Jump)
	if err != nil {
		return nil, err
	}
	t, err := c.logOver(tcp, terminalToo)
	if err != nil {
		tcp.Close()
		return nil, err
	}
	return t, nil
}

func (c *crowd) logOver(tcp net.Conn, terminalToo bool) (*terminal, error) {
	outer, chans, reqs, err := ssh.NewClientConn(tcp, c.job.Name, c.outer)
	if err != nil {
		return nil, err
	}
	takeNothing(chans, reqs)
	host, port, err := net.SplitHostPort(c.job.Target)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	jump, jumpReqs, err := outer.OpenChannel("direct-tcpip", wire.DirectTCPIP(host, uint32(number)))
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(jumpReqs)
	inner, innerChans, innerReqs, err := ssh.NewClientConn(jumped{jump, tcp}, c.job.Target, c.inner)
	if err != nil {
		return nil, err
	}
	takeNothing(innerChans, innerReqs)
	ch, requests, err := inner.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	if terminalToo {
		pty := struct {
			Term                      string
			Columns, Rows, Wide, High uint32
			Modes                     string
		}{"xterm", 80, 24, 0, 0, "\x00"}
		if ok, err := ch.SendRequest("pty-req", true, ssh.Marshal(pty)); err != nil || !ok {
			return nil, fmt.Errorf("pty-req: %t, %w", ok, err)
		}
	}
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{"cat"})); err != nil || !ok {
		return nil, fmt.Errorf("exec: %t, %w", ok, err)
	}
	return &terminal{ch, outer}, nil
}

// jumped is a jump channel as a connection. It has no deadlines.
type jumped struct {
	ssh.Channel
	net.Conn // only for its addresses
}

func (j jumped) Read(p []byte) (int, error)       { return j.Channel.Read(p) }
func (j jumped) Write(p []byte) (int, error)      { return j.Channel.Write(p) }
func (j jumped) Close() error                     { return j.Channel.Close() }
func (j jumped) SetDeadline(time.Time) error      { return nil }
func (j jumped) SetReadDeadline(time.Time) error  { return nil }
func (j jumped) SetWriteDeadline(time.Time) error { return nil }

// takeNothing refuses whatever a server asks for.
func takeNothing(chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
	go ssh.DiscardRequests(reqs)
	go func() {
		for nc := range chans {
			_ = nc.Reject(ssh.Prohibited, "nothing here")
		}
	}()
}

// shows types a key and reads what it brings.
func (t *terminal) shows(key byte) error {
	if _, err := t.Write([]byte{key}); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, t, int64(shown(key)))
	return err
}

const workers = 8 // that log in at a time

// openMore opens n sessions more.
func (c *crowd) openMore(n int) error {
	return inParallel(n, func(int) error {
		t, err := c.log(true)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open = append(c.open, t)
		return nil
	})
}

// each does something at every terminal.
func (c *crowd) each(f func(*terminal) error) error {
	return inParallel(len(c.open), func(i int) error { return f(c.open[i]) })
}

// inParallel runs f for 0 to n-1, and gives the first error there is.
func inParallel(n int, f func(int) error) error {
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	for range workers {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= n || first != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = fmt.Errorf("number %d: %w", i, err)
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return first
}

// once logs in, has a key echoed, which shows that the session is there, and leaves.
func (c *crowd) once() (time.Duration, error) {
	began := time.Now()
	t, err := c.log(false)
	if err != nil {
		return 0, err
	}
	defer t.outer.Close()
	err = t.shows('x')
	return time.Since(began), err
}

// connect logs in n times, one after the other.
func (c *crowd) connect(n int) (answer, error) {
	var a answer
	began := time.Now()
	for range n {
		took, err := c.once()
		if err != nil {
			return a, err
		}
		a.Took = append(a.Took, ms(took))
	}
	a.Wall = ms(time.Since(began))
	return a, nil
}

// rate begins n connections a second for a time, whether those before have ended or
// not, as users do.
func (c *crowd) rate(n int, during time.Duration) (answer, error) {
	var (
		a   answer
		all sync.WaitGroup
		mu  sync.Mutex
	)
	began := time.Now()
	tick := time.NewTicker(time.Second / time.Duration(n))
	defer tick.Stop()
	// A ticker leaves out what it is late for: what is due is counted.
	for i := 0; time.Since(began) < during; <-tick.C {
		for due := int(time.Since(began).Seconds()*float64(n)) + 1; i < due; i++ {
			all.Go(func() {
				took, err := c.once()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					if a.Failed++; a.Failed == 1 {
						a.First = err.Error()
					}
					return
				}
				a.Took = append(a.Took, ms(took))
			})
		}
	}
	all.Wait()
	a.Wall = ms(time.Since(began))
	slices.Sort(a.Took)
	return a, nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
