package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
)

// targetJob is a machine that many log in on: it costs less than an sshd with as many.
type targetJob struct {
	HostKey string   // PEM
	UserCA  string   // whose certificates it takes
	Keys    []string // and which keys, all as lines of authorized_keys
}

// The keys to which its terminals answer with more than the key.
const (
	keyScreen = 's' // a screenful
	keyFlood  = 'f' // what a build prints
)

// shown is how many bytes the answer to a key has.
func shown(key byte) int {
	switch key {
	case keyScreen:
		return 4_000
	case keyFlood:
		return 4 << 20
	}
	return 1
}

// serve takes connections until the process ends, and gives the port.
func (j targetJob) serve() (port int, err error) {
	signer, err := ssh.ParsePrivateKey([]byte(j.HostKey))
	if err != nil {
		return 0, err
	}
	taken := map[string]bool{}
	for _, line := range j.Keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return 0, err
		}
		taken[string(key.Marshal())] = true
	}
	ca, _, _, _, err := ssh.ParseAuthorizedKey([]byte(j.UserCA))
	if err != nil {
		return 0, err
	}
	check := &ssh.CertChecker{
		IsUserAuthority: func(key ssh.PublicKey) bool { return bytes.Equal(key.Marshal(), ca.Marshal()) },
		UserKeyFallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !taken[string(key.Marshal())] {
				return nil, fmt.Errorf("%s has another key", c.User())
			}
			return nil, nil
		},
	}
	config := &ssh.ServerConfig{PublicKeyCallback: check.Authenticate, ServerVersion: "SSH-2.0-OpenSSH_10.0 bench"}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveConn(conn, config)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func serveConn(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		ch, requests, err := nc.Accept()
		if err != nil {
			return
		}
		go func() {
			defer ch.Close()
			for r := range requests {
				_ = r.Reply(true, nil) // the client may be gone
				if r.Type == "exec" {
					go ssh.DiscardRequests(requests)
					answerKeys(ch)
					return
				}
			}
		}()
	}
}

// answerKeys is the program on its terminals.
func answerKeys(ch ssh.Channel) {
	key := make([]byte, 1)
	flood := bytes.Repeat([]byte("-rw-r--r-- 1 alice tinker 1048576 Mar  1 09:00 sample-00017.fastq.gz\r\n"), 60)
	for {
		if _, err := io.ReadFull(ch, key); err != nil {
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0})) // likewise
			return
		}
		for left := shown(key[0]); left > 0; {
			text := flood[:min(left, len(flood))]
			if left == 1 {
				text = key
			}
			n, err := ch.Write(text)
			if err != nil {
				return
			}
			left -= n
		}
	}
}
