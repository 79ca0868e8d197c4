package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"entry/e2e/testkit"
)

// The test binary runs itself for jobs that a client or a target must do in a
// process of their own.
const (
	roleAskpass = "askpass" // OpenSSH's SSH_ASKPASS: sends the prompt to the test, prints its answer
	roleX11     = "x11"     // an X client on the target: says hello to $DISPLAY with xauth's cookie
)

// askpassVar names the unix socket of the test that answers the prompts.
const askpassVar = "ENTRY_E2E_ASKPASS"

func playRole(role string) int {
	var err error
	switch role {
	case roleAskpass:
		err = askpass(os.Getenv(askpassVar), strings.Join(os.Args[1:], " "))
	case roleX11:
		err = x11Hello(os.Stdout)
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "e2e %s: %v\n", role, err)
		return 1
	}
	return 0
}

func askpass(socket, prompt string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, prompt); err != nil {
		return err
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return err
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	// "+" stands before an answer; nothing at all means that the user would
	// have pressed Ctrl-C.
	answer, ok := bytes.CutPrefix(reply, []byte("+"))
	if !ok {
		return fmt.Errorf("no answer to %q", prompt)
	}
	_, err = fmt.Println(string(answer))
	return err
}

// x11Hello opens $DISPLAY as an X client does: the connection set-up of the X
// protocol with the cookie that xauth holds, then it prints the reply.
func x11Hello(w io.Writer) error {
	display := os.Getenv("DISPLAY")
	host, number, ok := strings.Cut(display, ":")
	if !ok {
		return fmt.Errorf("DISPLAY is %q", display)
	}
	number, _, _ = strings.Cut(number, ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("DISPLAY is %q: %w", display, err)
	}
	out, err := exec.Command("xauth", "list").Output()
	if err != nil {
		return fmt.Errorf("xauth list: %w", err)
	}
	var cookie []byte
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && strings.HasSuffix(f[0], ":"+number) {
			if cookie, err = hex.DecodeString(f[2]); err != nil {
				return fmt.Errorf("xauth list: %w", err)
			}
		}
	}
	if cookie == nil {
		return fmt.Errorf("xauth has no cookie for %s:\n%s", display, out)
	}
	c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(6000+n)))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(testkit.Deadline(testkit.Soon)); err != nil {
		return err
	}
	const protocol = "MIT-MAGIC-COOKIE-1"
	hello := []byte{'l', 0} // little endian; X11 protocol, "Connection Setup"
	for _, v := range []uint16{11, 0, uint16(len(protocol)), uint16(len(cookie)), 0} {
		hello = binary.LittleEndian.AppendUint16(hello, v)
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	hello = append(hello, pad([]byte(protocol))...)
	hello = append(hello, pad(cookie)...)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	reply, err := io.ReadAll(io.LimitReader(c, 1<<10))
	if err != nil {
		return err
	}
	if len(reply) == 0 {
		return fmt.Errorf("the display closed the connection")
	}
	_, err = w.Write(reply)
	return err
}
