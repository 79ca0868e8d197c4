package session

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
)

const (
	// maxEnv bounds the environment of one channel, in bytes of its requests. A
	// desktop's whole one has some 10 KiB, and OpenSSH's sshd takes 128 variables.
	maxEnv = 256 << 10
	// maxVariables bounds their number, of which each costs the recording a frame.
	maxVariables = 1024
	// maxLeftOut bounds the names that the log has of variables left out.
	maxLeftOut = 20
)

// environment is what a client would set for what it runs. Clients send what they
// have, hundreds of variables at once and before the target has answered any: those
// that are passed on count by their bytes and not as requests that wait, and the
// others by nothing, once they are noted.
type environment struct {
	admits func(name string) bool // by the grant that opened the channel
	size   int                    // bytes so far; the channel's owner alone looks at it
	passed int                    // bytes that went on; whoever handles requests alone looks at it
	number int                    // likewise, variables

	mu    sync.Mutex // guards what follows
	names []string   // left out, at most maxLeftOut
	n     int        // left out
}

// drops tells whether nothing is to be done for req: the client waits for no answer,
// and the target won't have it.
func (e *environment) drops(req *ssh.Request) bool {
	if req.Type != "env" || req.WantReply {
		return false
	}
	name, _, ok := parseEnv(req.Payload)
	if ok && e.admits(name) && e.size+len(req.Payload) <= maxEnv {
		return false
	}
	e.leaveOut(name)
	return true
}

// uncounted tells whether req is part of the environment that a channel may have.
func (e *environment) uncounted(req *ssh.Request) bool {
	if req.Type != "env" || e.size+len(req.Payload) > maxEnv {
		return false
	}
	e.size += len(req.Payload)
	return true
}

// takes tells whether a variable of that name, in a request of so many bytes, goes on
// to the target: what a client may set, up to the bounds of a channel, however it asks.
func (e *environment) takes(name string, bytes int) bool {
	if !e.admits(name) || e.passed+bytes > maxEnv || e.number == maxVariables {
		e.leaveOut(name)
		return false
	}
	e.passed += bytes
	e.number++
	return true
}

func (e *environment) leaveOut(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n++; len(e.names) < maxLeftOut {
		e.names = append(e.names, plain.Escaped(name, maxSignal))
	}
}

// leftOut is what the log says of it, without values; "" for nothing.
func (e *environment) leftOut() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.names) // clients send them in any order
	switch rest := e.n - len(e.names); {
	case e.n == 0:
		return ""
	case rest > 0:
		return fmt.Sprintf("left out of the environment: %s and %d more", strings.Join(e.names, ", "), rest)
	}
	return "left out of the environment: " + strings.Join(e.names, ", ")
}
