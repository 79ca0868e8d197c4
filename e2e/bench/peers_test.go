package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// recorders are other servers that record, as commands of Go modules. How each is set up
// is its own affair, and differs by version: it is started by hand, and given by -peer.
var recorders = []struct{ name, command string }{
	{"sshportal", "moul.io/sshportal@latest"},
	{"ContainerSSH", "go.containerssh.io/containerssh/cmd/containerssh@latest"},
	{"sshpiper", "github.com/tg123/sshpiper/cmd/sshpiperd@latest"},
}

// peer is a recording server that somebody started for this run, and what runs it.
type peer struct {
	name         string
	pid          int    // of the process that all of it is below
	config, host string // ssh_config, and the name in it that leads through the server to this machine
}

// parsePeer reads "NAME=PID,SSH_CONFIG,HOST".
func parsePeer(text string) (peer, error) {
	name, rest, ok := strings.Cut(text, "=")
	f := strings.Split(rest, ",")
	if ok && name != "" && len(f) == 3 && f[1] != "" && f[2] != "" {
		if pid, err := strconv.Atoi(f[0]); err == nil && pid > 0 {
			return peer{name, pid, f[1], f[2]}, nil
		}
	}
	return peer{}, fmt.Errorf("%q isn't NAME=PID,SSH_CONFIG,HOST", text)
}

// peerRows are streams through other servers that record, beside sshd and entry: those
// that -peer names. Of the known ones it is told whether they can be had here.
func peerRows(t *testing.T, r *run) {
	sides := slices.Clone(pair)
	take := func(p peer) {
		r.of[p.name], r.client.peers[p.name] = p.pid, p
		sides = append(sides, p.name)
	}
	for _, text := range peers {
		take(testkit.Must(parsePeer(text))(t))
	}
	if !r.plan.measured {
		take(peer{"another", r.jump.Cmd.Process.Pid, r.client.config[byDefault], other("home")}) // the row works, whoever it is
	}
	for _, known := range recorders {
		given := slices.ContainsFunc(sides, func(side string) bool { return strings.EqualFold(side, known.name) })
		switch {
		case given:
		case !r.plan.measured:
			r.skip(known.name, "building it takes longer than this may")
		default:
			if err := builds(t, known.command); err != nil {
				r.skip(known.name, "it can't be built from the module proxy: %v", err)
			} else {
				r.skip(known.name, "%s builds here, and nobody started it: see -peer", known.command)
			}
		}
	}
	if len(sides) == len(pair) {
		return
	}
	for _, d := range r.newData(t) {
		r.stream(t, sides, "down, beside peers", byDefault, d)
	}
}

// builds tells why a command of a module can't be had, if it can't.
func builds(t *testing.T, command string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", command)
	cmd.Dir = t.TempDir() // outside this module
	cmd.Env = append(os.Environ(), "GOBIN="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.New("it takes longer than five minutes")
	}
	last := strings.Split(strings.TrimSpace(string(out)), "\n")
	return errors.New(strings.TrimSpace(last[len(last)-1]))
}

// TestPeer: what -peer takes.
func TestPeer(t *testing.T) {
	if p, err := parsePeer("piper=17,/etc/ssh_config,home"); err != nil || p != (peer{"piper", 17, "/etc/ssh_config", "home"}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "piper", "piper=17", "piper=17,config", "=17,config,home", "piper=x,config,home", "piper=0,config,home", "piper=17,,home", "piper=17,config,"} {
		if p, err := parsePeer(bad); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
}
