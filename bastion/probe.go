package bastion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/group"
)

// errSeen ends the handshake of a probe once the host key has been judged.
var errSeen = errors.New("the host key has been seen")

// Probe tells an operator what is wrong with t, "" if it answers with the host
// key on record. It goes as far as the key exchange and logs in nowhere.
func (s *Server) Probe(ctx context.Context, t *policy.Target) (wrong string) {
	nc, err := s.connect(ctx, t.Addresses)
	if err != nil {
		return fmt.Sprintf("it does not answer: %v", err)
	}
	defer nc.Close()
	if t.Kind != policy.SSH {
		return ""
	}
	verifier, err := ca.NewHostVerifier(ca.HostPins{Target: t.FullName(), Keys: t.HostKeys, CAs: t.HostCAs, Now: s.now})
	if err != nil {
		return err.Error()
	}
	if err := nc.SetDeadline(time.Now().Add(s.cfg.Limits.Dial)); err != nil {
		return fmt.Sprintf("it hung up: %v", err)
	}
	var verdict error
	seen := false
	g := group.New(ctx, func(p *group.Panic) { s.log.Error(p.Error()) })
	defer g.Wait()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	conn, _, _, err := ssh.NewClientConn(fastconn.Coalesce(g, nc), nc.RemoteAddr().String(), &ssh.ClientConfig{
		Config: fastconn.ClientConfig(), ClientVersion: fastconn.Version, HostKeyAlgorithms: verifier.Algorithms(),
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			seen, verdict = true, verifier.Check(address, remote, key)
			return errors.Join(errSeen, verdict)
		},
	})
	if err == nil {
		conn.Close() // unreachable: the callback always ends it
	}
	switch {
	case !seen:
		return fmt.Sprintf("it answers, but not as an SSH server that entry can talk to: %v", err)
	case verdict != nil:
		return verdict.Error()
	}
	return ""
}
