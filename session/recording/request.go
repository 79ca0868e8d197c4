package recording

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ChannelRequest is the payload of a Request frame: what a client asked for, whole, so
// that Payload gives the bytes that were sent on for it; or that a channel was opened or
// closed.
type ChannelRequest struct {
	Type      string          `json:"type"`                 // "pty-req", "shell", "exec", "subsystem", "env", …
	WantReply bool            `json:"want_reply,omitempty"` //
	Command   Text            `json:"command,omitzero"`     // exec
	Name      Text            `json:"name,omitzero"`        // subsystem, signal
	Term      Text            `json:"term,omitzero"`        // pty-req
	Cols      uint32          `json:"cols,omitempty"`       // pty-req
	Rows      uint32          `json:"rows,omitempty"`       // pty-req
	Width     uint32          `json:"width,omitempty"`      // pty-req, in pixels
	Height    uint32          `json:"height,omitempty"`     // pty-req, in pixels
	Modes     []byte          `json:"modes,omitempty"`      // pty-req: RFC 4254 §8
	Env       map[string]Text `json:"env,omitempty"`        // env: one variable
	Length    uint32          `json:"length,omitempty"`     // break, in ms
	X11       *X11            `json:"x11,omitempty"`        // x11-req

	// Of "channel-open" and "channel-close", whose Name is the channel's type: "session",
	// "direct-tcpip", …
	Destination Text      `json:"destination,omitzero"` // of a forward, for people
	Opening     *Opening  `json:"opening,omitempty"`    // of what isn't a session, on channel-open
	BytesDown   int64     `json:"bytes_down,omitempty"`
	BytesUp     int64     `json:"bytes_up,omitempty"`
	BytesBeside int64     `json:"bytes_beside,omitempty"` // of those down: see Channel.Beside
	Coverage    Coverage  `json:"coverage,omitempty"`     // of one that is closed
	Missing     []Missing `json:"missing,omitempty"`
}

// Said is something that a peer said beside what is to be run.
type Said struct {
	As   string // "environment", "terminal type", "signal", …
	Text string // any bytes
}

// Said is what r holds of it, in the order of its names.
func (r ChannelRequest) Said() (all []Said) {
	add := func(as string, text Text) {
		if text != "" {
			all = append(all, Said{as, string(text)})
		}
	}
	add("terminal type", r.Term)
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		add("environment", Text(name+"=")+r.Env[name])
	}
	if r.Type == "signal" {
		add("signal", r.Name)
	}
	if r.X11 != nil {
		add("X11 protocol", r.X11.Protocol)
		add("X11 cookie", r.X11.Cookie)
	}
	if r.Opening != nil {
		add("forward to", r.Opening.Host+r.Opening.Path)
		add("forward from", r.Opening.Origin)
		add("forward with", r.Opening.Reserved)
	}
	return all
}

// X11 is what x11-req asks for. Clients make the cookie up for one connection, and give
// the real one to nobody.
type X11 struct {
	Single   bool   `json:"single,omitempty"` // connection
	Protocol Text   `json:"protocol,omitzero"`
	Cookie   Text   `json:"cookie,omitzero"`
	Screen   uint32 `json:"screen,omitempty"`
}

// Payload is the request's as SSH has it (RFC 4254 §6, RFC 4335), of the types that are
// recorded.
func (r ChannelRequest) Payload() []byte {
	var w payload
	switch r.Type {
	case "pty-req":
		w.text(string(r.Term))
		w.numbers(r.Cols, r.Rows, r.Width, r.Height)
		w.text(string(r.Modes))
	case "env":
		for name, value := range r.Env { // there is one
			w.text(name)
			w.text(string(value))
		}
	case "exec":
		w.text(string(r.Command))
	case "subsystem", "signal":
		w.text(string(r.Name))
	case "break":
		w.numbers(r.Length)
	case "x11-req":
		if r.X11 == nil {
			return nil
		}
		w.flag(r.X11.Single)
		w.text(string(r.X11.Protocol))
		w.text(string(r.X11.Cookie))
		w.numbers(r.X11.Screen)
	}
	return w
}

// Size is the payload of a Resize frame: "COLSxROWS", and where the client told them
// behind a space the same in pixels, "800x480".
type Size struct{ Cols, Rows, Width, Height uint32 }

// Append appends the frame's payload to b.
func (s Size) Append(b []byte) []byte {
	b = fmt.Appendf(b, "%dx%d", s.Cols, s.Rows)
	if s.Width|s.Height != 0 {
		b = fmt.Appendf(b, " %dx%d", s.Width, s.Height)
	}
	return b
}

// Known reports whether it is a terminal's: clients without one say 0x0.
func (s Size) Known() bool { return s.Cols > 0 && s.Rows > 0 }

// String is "80x24", or that nobody knows.
func (s Size) String() string {
	if !s.Known() {
		return "of unknown size"
	}
	return fmt.Sprintf("%dx%d", s.Cols, s.Rows)
}

// Payload is that of the window-change (RFC 4254 §6.7).
func (s Size) Payload() []byte {
	var w payload
	w.numbers(s.Cols, s.Rows, s.Width, s.Height)
	return w
}

// maxSize is how long the payload of a Resize frame is at most: bytes.
const maxSize = len("4294967295x4294967295 4294967295x4294967295")

// Size is what a Resize frame holds; ok is false for any other frame, and for one that
// holds none.
func (f Frame) Size() (s Size, ok bool) {
	if f.Kind != Resize {
		return s, false
	}
	text := string(f.Data[:min(len(f.Data), maxSize)])
	n, _ := fmt.Sscanf(text, "%dx%d %dx%d", &s.Cols, &s.Rows, &s.Width, &s.Height) // how many there are says it
	if n < 4 {
		s.Width, s.Height = 0, 0
	}
	return s, n >= 2
}

// ExitStatus is the payload of an Exit frame: how a program ended. Status is set, or what
// is of a signal.
type ExitStatus struct {
	Status   *uint32 `json:"status,omitempty"`  // exit-status
	Signal   Text    `json:"signal,omitzero"`   // exit-signal, without "SIG"
	Core     bool    `json:"core,omitempty"`    // likewise; it was dumped
	Message  Text    `json:"message,omitzero"`  // likewise
	Language Text    `json:"language,omitzero"` // of the message
}

// Payload is that of the exit-status or exit-signal (RFC 4254 §6.10).
func (e ExitStatus) Payload() []byte {
	var w payload
	if e.Status != nil {
		w.numbers(*e.Status)
		return w
	}
	w.text(string(e.Signal))
	w.flag(e.Core)
	w.text(string(e.Message))
	w.text(string(e.Language))
	return w
}

// Opening is what comes with the opening of a channel other than a session.
type Opening struct {
	Host       Text   `json:"host,omitzero"` // where to; of forwarded-tcpip what was listened on
	Port       uint32 `json:"port,omitempty"`
	Path       Text   `json:"path,omitzero"`   // instead, of a socket
	Origin     Text   `json:"origin,omitzero"` // address, as the peer who opens it says
	OriginPort uint32 `json:"origin_port,omitempty"`
	Reserved   Text   `json:"reserved,omitzero"` // of sockets
	Spare      uint32 `json:"spare,omitempty"`   // of direct-streamlocal@openssh.com, reserved too
}

// Payload is what came with the opening of a channel of that type (RFC 4254 §6.3.2 and
// §7.2, OpenSSH's PROTOCOL §2.4).
func (o Opening) Payload(channel string) []byte {
	var w payload
	switch channel {
	case "direct-tcpip", "forwarded-tcpip":
		w.text(string(o.Host))
		w.numbers(o.Port)
		w.text(string(o.Origin))
		w.numbers(o.OriginPort)
	case "direct-streamlocal@openssh.com":
		w.text(string(o.Path))
		w.text(string(o.Reserved))
		w.numbers(o.Spare)
	case "forwarded-streamlocal@openssh.com":
		w.text(string(o.Path))
		w.text(string(o.Reserved))
	case "x11":
		w.text(string(o.Origin))
		w.numbers(o.OriginPort)
	}
	return w
}

// payload makes one (RFC 4251 §5).
type payload []byte

func (w *payload) text(s string) {
	*w = append(binary.BigEndian.AppendUint32(*w, uint32(len(s))), s...)
}

func (w *payload) numbers(all ...uint32) {
	for _, n := range all {
		*w = binary.BigEndian.AppendUint32(*w, n)
	}
}

func (w *payload) flag(on bool) {
	b := byte(0)
	if on {
		b = 1
	}
	*w = append(*w, b)
}

// Request is what a Request frame holds; the zero one for any other frame, and for one
// that holds none.
func (f Frame) Request() (r ChannelRequest) {
	if f.Kind != Request || json.Unmarshal(f.Data, &r) != nil {
		return ChannelRequest{}
	}
	return r
}

// Exit is what an Exit frame holds: nil if it can't be read, or in a frame of
// another kind.
func (f Frame) Exit() *ExitStatus {
	var e ExitStatus
	if f.Kind != Exit || json.Unmarshal(f.Data, &e) != nil {
		return nil
	}
	return &e
}

// String says how the channel's program ended.
func (e *ExitStatus) String() string {
	switch {
	case e == nil:
		return "no exit status"
	case e.Status != nil:
		return fmt.Sprintf("exit status %d", *e.Status)
	}
	text := fmt.Sprintf("ended by signal %+q", string(e.Signal))
	if e.Message != "" {
		text += fmt.Sprintf(": %+q", string(e.Message))
	}
	return text
}
