package portal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/guide"
	"entry/bastion/identity"
	"entry/session"
	"entry/session/fastconn"
	"entry/session/group"
)

// maxCommand bounds what a portal session may ask to run.
const maxCommand = 1 << 10 // bytes

const (
	maxPeer = 256  // bytes of what a peer says, for the log
	maxLine = 1000 // bytes of one line to a client
)

// Options holds what a Portal needs. Fields without a default are required.
type Options struct {
	Name    string // of the jump host, as users type it
	Gate    *access.Gate
	Auth    *identity.Authenticator
	Now     func() time.Time
	Trouble func(what string, login *access.Login, cause error) // for the server's own log
	History History                                             // of the audit log; nil = live sessions only
	Idle    time.Duration                                       // a session ends without an answer for that long; default 10 min
	// Facts are what ready files say of this server; of the user and the client
	// the portal knows itself.
	Facts guide.Facts
	// HostCAs are those of Facts as they are now: an operator may change them. Nil means
	// that they stay.
	HostCAs func() (now, next string)
}

// Portal is the self-service of one server. It is safe for concurrent use.
type Portal struct {
	o     Options
	pasts *pasts
}

// New returns the portal of the server that o describes.
func New(o Options) *Portal {
	if o.Idle == 0 {
		o.Idle = 10 * time.Minute
	}
	return &Portal{o: o, pasts: newPasts()}
}

// visit is one session channel: a user at the portal.
type visit struct {
	p      *Portal
	login  *access.Login
	conn   ssh.Conn         // that the channel is on
	intake *fastconn.Intake // below conn
	group  *group.Group
}

// Serve answers one session channel on a connection to entry itself: the
// commands of the user's own account. There is no shell of the machine. It
// returns when the client has closed the channel. group has the connection's
// goroutines.
func (p *Portal) Serve(ctx context.Context, login *access.Login, leg session.Leg, group *group.Group, nch ssh.NewChannel) {
	v := &visit{p: p, login: login, conn: leg.Conn, intake: leg.Intake, group: group}
	ch, reqs, err := leg.Intake.Accept(nch)
	if err != nil {
		return
	}
	// Until the client has closed the channel too, its place stays taken; what
	// it still asks for needs no answer any more.
	defer leg.Intake.Discard(reqs)
	// What comes before a command is read ahead, and once nobody wants it, dropped.
	in := fastconn.Channel(group, ch, leg.Conn.LocalAddr(), leg.Conn.RemoteAddr())
	defer in.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ch.Close() })
	defer stop()
	var pty *ptyRequest
	for r := range reqs {
		leg.Intake.Asked()
		switch r.Type {
		case "pty-req":
			var m ptyRequest
			ok := ssh.Unmarshal(r.Payload, &m) == nil
			if ok {
				pty = &m
			}
			reply(r, ok)
		case "env", "window-change":
			reply(r, true)
		case "shell", "exec":
			var m struct{ Command string }
			if r.Type == "exec" && (len(r.Payload) > maxCommand || ssh.Unmarshal(r.Payload, &m) != nil) {
				reply(r, false)
				continue
			}
			reply(r, true)
			v.sitDown(ctx, cancel, newDesk(in, ch, pty, p.o.Idle), ch, reqs, strings.Fields(m.Command))
			return
		case "subsystem":
			// Accepted, so that clients show what follows and not a message of
			// their own.
			reply(r, true)
			text := login.Note(access.Refuse("subsystem", fmt.Sprintf("there are no files here; go through to your machine, for example: sftp -J %s home", p.o.Name),
				audit.Event{Type: audit.ChannelRefused, ChannelType: "session"}))
			lines{w: ch.Stderr(), eol: "\n"}.printf("entry: %s", plain.ASCII(text, maxLine))
			exit(ch, exitUsage)
			return
		default:
			if r.WantReply {
				login.Note(access.Refuse("unknown-request", "", audit.Event{Type: audit.ChannelRefused, ChannelType: r.Type}))
			}
			reply(r, false)
		}
	}
}

// sitDown runs one command at d, or the portal's shell where there is none, and
// answers requests meanwhile. cancel ends what the command waits for.
func (v *visit) sitDown(ctx context.Context, cancel func(), d *desk, ch ssh.Channel, reqs <-chan *ssh.Request, args []string) {
	done := make(chan uint32, 1)
	gone := false
	v.group.Go("portal command", func() {
		status := uint32(exitFailed)
		defer func() { done <- status }()
		status = v.serveDesk(ctx, d, args)
	})
	for {
		select {
		case status := <-done:
			if !gone {
				exit(ch, status)
			}
			return
		case r, ok := <-reqs:
			if !ok {
				// The client has closed the channel: nobody answers any more.
				gone, reqs = true, nil
				cancel()
				d.in.Close()
				continue
			}
			v.intake.Asked()
			if r.Type == "window-change" {
				var m windowChange
				if ssh.Unmarshal(r.Payload, &m) == nil {
					d.size(m.Columns, m.Rows)
				}
			}
			reply(r, r.Type == "window-change")
		}
	}
}

// serveDesk is what a user at d gets: the command, the shell at a terminal, or
// the overview without one.
func (v *visit) serveDesk(ctx context.Context, d *desk, args []string) uint32 {
	for _, w := range v.login.Who().Warnings() {
		d.errs.printf("entry: %s", w)
	}
	switch {
	case len(args) > 0:
		return v.do(ctx, d, args)
	case d.pty:
		return v.shell(ctx, d)
	}
	d.out.printf("You are logged in to %s as %s. There is no shell here; it leads to your lab. Nothing here is recorded but what you change.", v.p.o.Name, v.login.Who().User())
	v.targets(d.out, nil)
	d.out.printf("More: ssh %s help", v.p.o.Name)
	return exitOK
}

func reply(r *ssh.Request, ok bool) {
	_ = r.Reply(ok, nil) // the client may have left; the channel's end says so
}

// exit ends a portal session in the order that clients expect: exit-status,
// EOF, and CLOSE by the caller.
func exit(ch ssh.Channel, status uint32) {
	if _, err := ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status})); err != nil {
		return
	}
	_ = ch.CloseWrite() // the client may have left; CLOSE follows at once
}

// lines writes whole lines with the line ending that the client's terminal
// needs, and broken at words where they are wider than it.
type lines struct {
	w     io.Writer
	eol   string
	width func() int // of the terminal; nil without one, 0 where it isn't known
}

func (l lines) printf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.width != nil {
		text = wrapped(text, l.width())
	}
	_, _ = io.WriteString(l.w, text+l.eol) // the client may have left
}

// leastWidth is the narrowest terminal for which lines are broken: below that
// nothing is gained.
const leastWidth = 20

// wrapped breaks text at words to lines of at most width columns. What goes on
// is indented as far as the line began, and two more, so that a list stays one.
func wrapped(text string, width int) string {
	if width < leastWidth || ansi.StringWidth(text) <= width {
		return text
	}
	indent := len(text) - len(strings.TrimLeft(text, " "))
	start, rest := strings.Repeat(" ", indent), strings.Repeat(" ", min(indent+2, width/2))
	// A word that is wider than a line (a key, a command) stays whole: it is there
	// to be copied.
	broken := strings.Split(ansi.Wordwrap(text[indent:], width-len(rest), " "), "\n")
	return start + strings.Join(broken, "\n"+rest)
}
