package bastion

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
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
		s.log.Warn("probe of a target", zap.String("target", t.FullName()), zap.Error(err))
		return "it does not answer: " + unreached(err)
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
		return "it hung up at once"
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
		s.log.Warn("probe of a target", zap.String("target", t.FullName()), zap.Error(err))
		return unshown(ctx, err)
	case verdict != nil:
		return verdict.Error()
	}
	return ""
}

// unreached says in words why a target can't be dialled: of each of its addresses, as
// far as they differ.
func unreached(err error) string {
	causes := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		causes = several.Unwrap()
	}
	var said []string
	for _, err := range causes {
		var name *net.DNSError
		var timed net.Error
		why := "the server's log says why"
		switch {
		case errors.As(err, &name):
			why = "its name " + plain.Line(name.Name) + " can't be looked up"
		case errors.Is(err, syscall.ECONNREFUSED):
			why = "connection refused"
		case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
			why = "there is no way to its network"
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &timed) && timed.Timeout():
			why = "nothing came back in time"
		}
		if !slices.Contains(said, why) {
			said = append(said, why)
		}
	}
	return strings.Join(said, "; ")
}

// unshown says in words why a target that was dialled showed no host key.
func unshown(ctx context.Context, err error) string {
	var timed net.Error
	switch {
	case ctx.Err() != nil, errors.As(err, &timed) && timed.Timeout():
		return "it takes the connection, but showed no host key in time"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it takes the connection and hangs up before it shows a host key"
	case strings.Contains(err.Error(), "no common algorithm"):
		return "it answers, but has no algorithm in common with entry; the server's log has both lists"
	}
	return "it answers, but not as an SSH server that entry can talk to"
}
