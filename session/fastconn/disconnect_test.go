package fastconn

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// x/crypto's client reads what Disconnect sends, whatever its length.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		text := "entry: " + strings.Repeat("x", n)
		near, far := net.Pipe()
		sent := make(chan error, 1)
		go func() {
			line := make([]byte, len("SSH-2.0-Go\r\n"))
			if _, err := far.Read(line); err != nil {
				sent <- err
				return
			}
			if _, err := io.WriteString(far, Version+"\r\n"); err != nil {
				sent <- err
				return
			}
			sent <- Disconnect(far, NotAvailable, text)
			far.Close()
		}()
		_, _, _, err := ssh.NewClientConn(near, "home:22", &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err == nil || !strings.Contains(err.Error(), strconv.Quote(text)) {
			t.Errorf("%d: the client says %v", n, err)
		}
		near.Close()
		if err := <-sent; err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}
