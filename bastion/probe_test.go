package bastion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestProbeSaysItInWords: an operator reads why a target doesn't answer, without a text
// of the programs below.
func TestProbeSaysItInWords(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{dial(syscall.ECONNREFUSED), "connection refused"},
		{dial(syscall.ENETUNREACH), "there is no way to its network"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "nothing came back in time"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "home.example"}}, "its name home.example can't be looked up"},
		{errors.Join(dial(syscall.ECONNREFUSED), dial(syscall.ECONNREFUSED), dial(syscall.EHOSTUNREACH)), "connection refused; there is no way to its network"},
		{errors.New("raw"), "the server's log says why"},
	} {
		if got := unreached(c.err); got != c.want {
			t.Errorf("%v is told as %q", c.err, got)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	closed := fmt.Errorf("ssh: handshake failed: %w", &net.OpError{Op: "raw-read", Err: net.ErrClosed})
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{over, closed, "it takes the connection, but showed no host key in time"},
		{t.Context(), fmt.Errorf("ssh: handshake failed: %w", io.EOF), "it takes the connection and hangs up before it shows a host key"},
		{t.Context(), errors.New("ssh: handshake failed: ssh: no common algorithm for host key; client offered: [a]"), "it answers, but has no algorithm in common with entry; the server's log has both lists"},
		{t.Context(), errors.New("ssh: overflow reading version string"), "it answers, but not as an SSH server that entry can talk to"},
	} {
		if got := unshown(c.ctx, c.err); got != c.want {
			t.Errorf("%v is told as %q", c.err, got)
		}
	}
}
