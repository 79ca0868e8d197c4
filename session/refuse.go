package session

import (
	"context"
	"io"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/session/fastconn"
	"entry/session/group"
)

const (
	// exitRefused is the status with which OpenSSH's client reports a
	// connection that it couldn't make.
	exitRefused = 255

	// refuseLinger is how long a refused client is given to leave by itself;
	// clients that multiplex stay otherwise.
	refuseLinger = 10 * time.Second

	// refuseTotal bounds the whole, however many channels a client opens.
	refuseTotal = time.Minute

	// refuseChannels bounds the session channels that are told at once.
	refuseChannels = 10
)

// Refuse serves an authenticated client leg for which there is no upstream,
// and says why: a session channel that asks for a program gets one line
// `entry: text` on standard error and exit status 255; every other channel is
// rejected with that line. text must be short; it is cut to one ASCII line.
//
// It returns when the client has left, 10 s after the last channel ended
// (or, without any, after the call), after a minute in any case, and when ctx
// is cancelled or something in it panics. The leg is closed then and no
// goroutine is left.
func Refuse(ctx context.Context, client Leg, text string) {
	line := "entry: " + asciiLine(text, maxText)
	ctx, cancel := context.WithTimeout(ctx, refuseTotal)
	defer cancel()
	all := group.New(ctx, nil)
	all.Run("refusal", func() { refuseAll(all, client, line) })
	_ = client.Conn.Close() // it is closed already if it wasn't the client who left
	// Nothing more comes, unless it was a panic that ended this.
	all.Go("late requests", func() { ssh.DiscardRequests(client.Requests) })
	for nc := range client.Channels {
		rejectLate(nc)
	}
	all.Wait()
}

// refuseAll is Refuse until the client has left, with goroutines of all, whose
// end it hastens.
func refuseAll(all *group.Group, client Leg, line string) {
	var (
		ended  = make(chan struct{}, refuseChannels)
		open   int
		linger = time.NewTimer(refuseLinger)
		cc, cr = client.Channels, client.Requests
	)
	defer linger.Stop()
	hangUp := func() {
		all.Go("end of a refused connection", func() { _ = client.Conn.Close() }) // the client may be gone
	}
	done := all.Context().Done()
	for cc != nil || cr != nil {
		select {
		case nc, ok := <-cc:
			client.Intake.Asked()
			if cc = stillOpen(cc, ok); !ok {
				break
			}
			if nc.ChannelType() != "session" || open == refuseChannels {
				_ = nc.Reject(ssh.ConnectionFailed, line) // the client may be gone
				break
			}
			ch, reqs, err := nc.Accept()
			if err != nil {
				break
			}
			open++
			all.Go("data that nobody reads", func() { fastconn.Drop(ch) })
			fastconn.DropExtended(all, ch)
			all.Go("refused session", func() {
				refuseSession(all, client.Intake, ch, reqs, line)
				ended <- struct{}{}
			})
		case req, ok := <-cr:
			client.Intake.Asked()
			cr = stillOpen(cr, ok)
			replyLate(req)
		case <-ended:
			open--
			linger.Reset(refuseLinger)
		case <-linger.C:
			hangUp()
		case <-done:
			done = nil
			hangUp()
		}
	}
}

// refuseSession waits for a request to run something and answers it with line.
// It ends when the client closes the channel or the connection ends.
func refuseSession(all *group.Group, on *fastconn.Intake, ch ssh.Channel, reqs <-chan *ssh.Request, line string) {
	// Errors say that the client is gone, which ends reqs too.
	told := make(chan struct{})
	pty, saying := false, false
	for req := range reqs {
		on.Asked()
		switch req.Type {
		case "pty-req":
			pty = true
		case "shell", "exec", "subsystem":
			if saying {
				break
			}
			saying = true
			// Accepted, so that clients print what follows and no message of their own.
			_ = req.Reply(true, nil)
			end := "\n"
			if pty {
				end = "\r\n"
			}
			all.Go("line of a refusal", func() { // a client that takes nothing mustn't stop its own requests
				defer close(told)
				_, _ = io.WriteString(ch.Stderr(), line+end)
				_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{exitRefused}))
				_ = ch.CloseWrite()
				_ = ch.Close()
			})
			continue
		}
		_ = req.Reply(req.Type == "pty-req" || req.Type == "env" || isKeepAlive(req), nil)
	}
	if saying {
		<-told
	}
}
