package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// roleVar makes this binary play a role in a process of its own.
const roleVar = "ENTRY_BENCH_ROLE"

// The roles: what is asked comes in lines of JSON on stdin, what comes of it goes out in
// lines of JSON on stdout. A role ends with its stdin.
const (
	roleClients = "clients" // many of them: crowd_test.go
	roleTarget  = "target"  // what they log in on: machine_test.go
)

func playRole(role string) error {
	in := json.NewDecoder(os.Stdin)
	var do func(ask) (answer, error)
	switch role {
	case roleClients:
		var job clientsJob
		if err := in.Decode(&job); err != nil {
			return err
		}
		c, err := newCrowd(job)
		if err != nil {
			return err
		}
		do = c.do
	case roleTarget:
		var job targetJob
		if err := in.Decode(&job); err != nil {
			return err
		}
		port, err := job.serve()
		if err != nil {
			return err
		}
		do = func(ask) (answer, error) { return answer{Port: port}, nil }
	default:
		return fmt.Errorf("no role %q", role)
	}
	out := json.NewEncoder(os.Stdout)
	for {
		var a ask
		if err := in.Decode(&a); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		said, err := do(a)
		if err != nil {
			said.Error = err.Error()
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
}

// ask is one thing that a role is to do.
type ask struct {
	Do string // of clients: open, key, connect, rate; of a target: port
	N  int    // sessions, connections, or connections a second
	Ms int    // how long, in milliseconds
	As string // the key that is typed
}

// answer is what came of it.
type answer struct {
	Error  string    `json:",omitempty"`
	Port   int       `json:",omitempty"`
	Took   []float64 `json:",omitempty"` // milliseconds, a connection each
	Failed int       `json:",omitempty"`
	First  string    `json:",omitempty"` // why the first of them failed
	Wall   float64   `json:",omitempty"` // milliseconds, in all
}

// role is a running process in a role.
type role struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs *testkit.Output
}

// startRole starts one with its job.
func startRole(t testing.TB, name string, job any) *role {
	t.Helper()
	cmd := quiet(testkit.Must(os.Executable())(t))
	cmd.Env = append(cmd.Env, roleVar+"="+name)
	r := &role{t: t, name: name, cmd: cmd, errs: &testkit.Output{}}
	cmd.Stderr = r.errs
	in, err := cmd.StdinPipe()
	testkit.Check(t, err)
	out, err := cmd.StdoutPipe()
	testkit.Check(t, err)
	r.in, r.out = in, bufio.NewReader(out)
	testkit.OwnGroup(cmd)
	testkit.Check(t, cmd.Start())
	t.Cleanup(r.end)
	testkit.Check(t, json.NewEncoder(in).Encode(job))
	return r
}

// end ends it. More than once is once.
func (r *role) end() {
	testkit.KillGroup(r.cmd)
	_ = r.cmd.Wait() // killed: its status says nothing
}

// do has it do something, which may take long.
func (r *role) do(a ask) (answer, error) {
	if err := json.NewEncoder(r.in).Encode(a); err != nil {
		return answer{}, fmt.Errorf("%s: %w: %s", r.name, err, testkit.Tail(r.errs.String()))
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w: %s", r.name, err, testkit.Tail(r.errs.String()))
	}
	var said answer
	if err := json.Unmarshal(line, &said); err != nil {
		return answer{}, fmt.Errorf("%s: %w: %q", r.name, err, line)
	}
	if said.Error != "" {
		return said, fmt.Errorf("%s: %s", r.name, said.Error)
	}
	return said, nil
}

// trust accepts these host keys and no others, and certificates that one of them signed.
func trust(lines ...string) (ssh.HostKeyCallback, error) {
	var keys [][]byte
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.Marshal())
	}
	known := func(key ssh.PublicKey) bool {
		for _, k := range keys {
			if bytes.Equal(k, key.Marshal()) {
				return true
			}
		}
		return false
	}
	check := &ssh.CertChecker{
		IsHostAuthority: func(key ssh.PublicKey, _ string) bool { return known(key) },
		HostKeyFallback: func(host string, _ net.Addr, key ssh.PublicKey) error {
			if !known(key) {
				return fmt.Errorf("%s has a key that nobody knows", host)
			}
			return nil
		},
	}
	return check.CheckHostKey, nil
}

func trusting(t testing.TB, lines ...string) ssh.HostKeyCallback {
	t.Helper()
	return testkit.Must(trust(lines...))(t)
}
