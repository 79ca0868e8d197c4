package portal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"entry/audit/plain"
)

const (
	// maxInputLine bounds one line that a portal session reads without a
	// terminal, in bytes: the longest public key fits. x/term has its own bound,
	// 4,096 characters.
	maxInputLine = 8 << 10
	// maxSide bounds a terminal's width and height, as the client names them.
	maxSide = 1 << 10
)

// errIdle ends a portal session that nobody answers in.
var errIdle = errors.New("no answer in time")

// errLeft is what somebody at a terminal answers by Ctrl-C or Ctrl-D. It isn't
// io.EOF, the end of a program's input, which may stand for an empty answer.
var errLeft = errors.New("left by Ctrl-C or Ctrl-D")

// desk is where a portal session reads and writes. With a terminal everything
// goes to it; without one answers are lines of the standard input, prompts go
// to the standard error and only results to the standard output.
type desk struct {
	out, errs lines
	pty       bool // there is a terminal
	shell     bool // commands come from the portal's own prompt
	idle      time.Duration

	in     net.Conn // the channel's input, with deadlines
	term   *term.Terminal
	now    atomic.Uint64 // size: columns above, rows below 1<<32; 0 if unknown
	held   []byte        // read from in, not yet used; without a terminal
	warned bool          // that what is typed may be seen
}

// newDesk reads from in, a conn made of ch, because a channel's Read can't be ended.
// Its writes go straight to ch, so that all are out before the exit status.
func newDesk(in net.Conn, ch ssh.Channel, pty *ptyRequest, idle time.Duration) *desk {
	d := &desk{in: in, idle: idle, out: lines{w: ch, eol: "\n"}, errs: lines{w: ch.Stderr(), eol: "\n"}}
	if pty != nil {
		d.pty = true
		d.term = term.NewTerminal(readWriter{d.in, ch}, "")
		d.term.History = forgetful{}
		d.size(pty.Columns, pty.Rows)
		// The terminal writes the line ending itself.
		d.out = lines{d.term, "\n", func() int { return int(d.now.Load() >> 32) }}
		d.errs = d.out
	}
	return d
}

type readWriter struct {
	io.Reader
	io.Writer
}

// forgetful keeps no line: codes and recovery codes are answers like others.
type forgetful struct{}

func (forgetful) Add(string)    {}
func (forgetful) Len() int      { return 0 }
func (forgetful) At(int) string { panic("bastion: a history without entries was read") }

// ptyRequest is the payload of pty-req (RFC 4254 §6.2) up to what matters here.
type ptyRequest struct {
	Term          string
	Columns, Rows uint32
	Width, Height uint32
	Modes         string
}

// windowChange is the payload of window-change (RFC 4254 §6.7).
type windowChange struct{ Columns, Rows, Width, Height uint32 }

// size notes how large the terminal is; zero means that the client doesn't
// know. It is applied ahead of the next question: in the middle of one the
// terminal would repaint the line, which a screen reader reads out again. It is
// safe for concurrent use.
func (d *desk) size(columns, rows uint32) {
	if columns > 0 && rows > 0 {
		d.now.Store(uint64(min(columns, maxSide))<<32 | uint64(min(rows, maxSide)))
	}
}

// resize applies what size noted.
func (d *desk) resize() {
	if n := d.now.Load(); d.term != nil && n != 0 {
		_ = d.term.SetSize(int(n>>32), int(n&(1<<32-1))) // only a failed repaint: the client may have left
	}
}

// Ask puts one prompt and returns the answer, without its line ending. It makes
// a desk what identity asks through. It returns an error when no answer will
// come: the end of the input, Ctrl-C, or nobody there for the idle time.
func (d *desk) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := d.in.SetReadDeadline(time.Now().Add(d.idle)); err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	d.resize()
	answer, err := d.ask(prompt, echo)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		d.errs.printf("")
		d.errs.printf("entry: no answer for %s, so this was ended.", d.idle)
		return "", errIdle
	}
	if err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	return answer, nil
}

func (d *desk) ask(prompt string, echo bool) (string, error) {
	if width := int(d.now.Load() >> 32); width >= leastWidth {
		prompt = plain.Prompt(prompt, width-1)
	}
	if d.term == nil {
		return d.askPlainly(prompt, echo)
	}
	answer, err := d.askTerminal(prompt, echo)
	if errors.Is(err, io.EOF) {
		err = errLeft
	}
	return answer, err
}

func (d *desk) askTerminal(prompt string, echo bool) (string, error) {
	// Only the last line is the terminal's prompt: it counts columns.
	last := prompt
	if i := strings.LastIndexByte(prompt, '\n'); i >= 0 {
		if _, err := io.WriteString(d.term, prompt[:i+1]); err != nil {
			return "", err
		}
		last = prompt[i+1:]
	}
	if !echo {
		return d.term.ReadPassword(last)
	}
	d.term.SetPrompt(last)
	answer, err := d.term.ReadLine()
	d.term.SetPrompt("")
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return answer, err
}

func (d *desk) askPlainly(prompt string, echo bool) (string, error) {
	if !echo && !d.warned {
		d.warned = true
		d.errs.printf("entry: without a terminal what you type may be shown; use ssh -t to hide it.")
	}
	if _, err := io.WriteString(d.errs.w, prompt); err != nil {
		return "", err
	}
	line, err := d.line()
	d.errs.printf("")
	return line, err
}

// line reads one line of the input. A last line without an end is one.
func (d *desk) line() (string, error) {
	var buf [1 << 10]byte
	for {
		if i := bytes.IndexByte(d.held, '\n'); i >= 0 {
			line := string(bytes.TrimSuffix(d.held[:i], []byte("\r")))
			d.held = d.held[i+1:]
			return line, nil
		}
		if len(d.held) >= maxInputLine {
			return "", errors.New("line too long")
		}
		n, err := d.in.Read(buf[:min(len(buf), maxInputLine-len(d.held))])
		d.held = append(d.held, buf[:n]...)
		if n > 0 {
			continue
		}
		if errors.Is(err, io.EOF) && len(d.held) > 0 {
			line := string(d.held)
			d.held = nil
			return line, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// file writes a file's text unchanged, but for a terminal's line endings.
func (d *desk) file(text string) {
	if d.pty {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	_, _ = io.WriteString(d.out.w, text) // the client may have left
}
