package demohome

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// process is the program of one session channel, leader of a session (setsid)
// of its own.
type process struct {
	conn *conn
	ch   ssh.Channel
	cmd  *exec.Cmd
	pid  int

	pty                   *terminal // or the three pipes
	stdin, stdout, stderr *os.File

	gone     chan struct{} // closed when the channel is: hangUp
	goneOnce sync.Once
	exited   chan struct{} // closed when the leader is a zombie, not yet reaped

	// mu guards reaped: no signal may be sent once the pid can be another's.
	mu     sync.Mutex
	reaped bool
}

// startProcess starts path on t, or on three pipes if t is nil.
func startProcess(c *conn, ch ssh.Channel, t *terminal, path string, args, env []string) (*process, error) {
	p := &process{conn: c, ch: ch, pty: t, gone: make(chan struct{}), exited: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env, p.cmd.Dir = env, c.server.home
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if t != nil {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = t.slave, t.slave, t.slave
		p.cmd.SysProcAttr.Setctty = true // descriptor 0
		defer t.closeSlave()
	} else {
		theirs, err := p.pipes()
		defer closeAll(theirs...)
		if err != nil {
			p.closeFiles()
			return nil, err
		}
	}
	if err := p.cmd.Start(); err != nil {
		p.closeFiles()
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	return p, nil
}

// pipes makes the three pipes and returns the program's ends.
func (p *process) pipes() (theirs []*os.File, err error) {
	var in, out, errs *os.File
	if in, p.stdin, err = os.Pipe(); err != nil {
		return theirs, err
	}
	theirs = append(theirs, in)
	if p.stdout, out, err = os.Pipe(); err != nil {
		return theirs, err
	}
	theirs = append(theirs, out)
	if p.stderr, errs, err = os.Pipe(); err != nil {
		return theirs, err
	}
	theirs = append(theirs, errs)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, errs
	return theirs, nil
}

// run copies and supervises until the program has ended; it returns at once.
func (p *process) run() {
	var outputs sync.WaitGroup
	output := func(dst io.Writer, src *os.File) {
		outputs.Add(1)
		p.conn.run(func() {
			defer outputs.Done()
			// The error is EIO at the end of a pty, or the loss of either side.
			_, _ = io.Copy(dst, src)
			if p.pty == nil {
				_ = src.Close() // a program that writes on gets SIGPIPE
			}
		})
	}
	if p.pty != nil {
		p.conn.run(func() { p.input(p.pty.master) })
		output(p.ch, p.pty.master)
	} else {
		p.conn.run(func() { p.input(p.stdin) })
		output(p.ch, p.stdout)
		output(p.ch.Stderr(), p.stderr)
	}
	drained := make(chan struct{})
	p.conn.run(func() { outputs.Wait(); close(drained) })
	p.conn.run(func() { p.awaitExit() })
	p.conn.run(func() { p.supervise(drained) })
}

// input copies what the client sends, and closes a pipe at the client's EOF
// (a pty has no half to close). If the program reads no more, the client is
// told so where it understands it, and the rest is dropped so that the
// connection's other channels go on.
func (p *process) input(dst *os.File) {
	_, err := io.Copy(dst, p.ch)
	if p.pty == nil {
		_ = dst.Close()
	}
	if err == nil {
		return
	}
	if errors.Is(err, unix.EPIPE) && p.conn.openSSH() {
		_, _ = p.ch.SendRequest("eow@openssh.com", false, nil)
	}
	_, _ = io.Copy(io.Discard, p.ch)
}

// awaitExit closes exited when the leader has ended, and leaves it a zombie:
// until it is reaped, its pid names this session and no other.
func (p *process) awaitExit() {
	defer close(p.exited)
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// supervise ends the session: by itself, its output drained, or with the
// channel. What is left of it in the background goes too.
func (p *process) supervise(drained <-chan struct{}) {
	select {
	case <-p.exited:
		// As with sshd, a background program that holds the output open keeps
		// the channel open.
		select {
		case <-drained:
		case <-p.gone:
		}
	case <-p.gone:
	}
	if p.pty != nil {
		// The kernel hangs the terminal up, as when a line drops.
		p.pty.close()
	}
	if err := endSession(p.pid, p.exited); err != nil {
		p.conn.server.log(fmt.Sprintf("end of session: %v", err))
	}
	p.closeFiles()
	p.mu.Lock()
	err := p.cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.conn.server.log(fmt.Sprintf("wait: %v", err))
	}
	kind, payload := result(p.cmd.ProcessState)
	finish(p.ch, kind, payload)
}

// hangUp tells the program that its channel is gone. It is safe to call more
// than once and after the end.
func (p *process) hangUp() { p.goneOnce.Do(func() { close(p.gone) }) }

// stopOutput stops reading standard output; the program gets SIGPIPE or, on a
// terminal, goes on until the channel closes.
func (p *process) stopOutput() {
	if p.stdout != nil {
		_ = p.stdout.Close()
	}
}

// signal sends one of RFC 4254's signals to the program's process group.
func (p *process) signal(name string) bool {
	sig, ok := signals[name]
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.reaped && unix.Kill(-p.pid, sig) == nil
}

func (p *process) closeFiles() {
	if p.pty != nil {
		p.pty.close()
		return
	}
	closeAll(p.stdin, p.stdout, p.stderr)
}

// closeAll closes pipe ends; one closed before is no matter.
func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// signals are the names of RFC 4254 §6.10.
var signals = map[string]syscall.Signal{
	"ABRT": unix.SIGABRT, "ALRM": unix.SIGALRM, "FPE": unix.SIGFPE, "HUP": unix.SIGHUP, "ILL": unix.SIGILL,
	"INT": unix.SIGINT, "KILL": unix.SIGKILL, "PIPE": unix.SIGPIPE, "QUIT": unix.SIGQUIT, "SEGV": unix.SIGSEGV,
	"TERM": unix.SIGTERM, "USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2,
}

// result is the channel request that reports how the program ended. A signal
// without a name in the RFC becomes the status a shell would show for it.
func result(state *os.ProcessState) (kind string, payload []byte) {
	status, _ := state.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		return "exit-status", ssh.Marshal(struct{ Status uint32 }{uint32(status.ExitStatus())})
	}
	for name, sig := range signals {
		if sig == status.Signal() {
			return "exit-signal", ssh.Marshal(struct {
				Signal        string
				Core          bool
				Message, Lang string
			}{name, status.CoreDump(), "", ""})
		}
	}
	return "exit-status", ssh.Marshal(struct{ Status uint32 }{128 + uint32(status.Signal())})
}

const (
	// killAfter is how long a program may tidy up after SIGHUP.
	killAfter = 500 * time.Millisecond
	// giveUpAfter bounds the wait for a program that even SIGKILL doesn't end,
	// one stuck in the kernel.
	giveUpAfter = 10 * time.Second
	// lookEvery is how often what is left is counted meanwhile.
	lookEvery = 10 * time.Millisecond
)

// endSession ends every process of the session that pid leads and returns when
// only the leader's zombie is left. The leader must not have been reaped.
func endSession(pid int, exited <-chan struct{}) error {
	left := members(pid)
	if len(left) == 0 {
		<-exited
		return nil
	}
	signalAll(left, unix.SIGHUP, unix.SIGCONT)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	started := time.Now()
	for range tick.C {
		if left = members(pid); len(left) == 0 {
			<-exited
			return nil
		}
		switch waited := time.Since(started); {
		case waited > giveUpAfter:
			return fmt.Errorf("processes %v of session %d don't end", left, pid)
		case waited > killAfter:
			signalAll(left, unix.SIGKILL)
		}
	}
	return nil
}

// signalAll doesn't mind a process that has just ended.
func signalAll(pids []int, list ...syscall.Signal) {
	for _, pid := range pids {
		for _, sig := range list {
			_ = unix.Kill(pid, sig)
		}
	}
}
