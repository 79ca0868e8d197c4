package session

import (
	"encoding/binary"
	"strings"

	"entry/session/recording"
)

// Bounds on what a peer may put into a payload. x/crypto stops at packets of
// 256 KiB; these stop earlier where nothing honest is that long.
const (
	maxTerm      = 256       // bytes; terminfo names have at most 128
	maxModes     = 1 << 10   // bytes; RFC 4254 §8 defines 55 modes of 5 bytes
	maxEnvName   = 256       // bytes
	maxEnvValue  = 8 << 10   // bytes
	maxCommand   = 128 << 10 // bytes; Linux takes no longer argument (MAX_ARG_STRLEN)
	maxSubsystem = 256       // bytes
	maxHost      = 255       // bytes; what DNS ends at
	maxSocket    = 1 << 10   // bytes; sun_path ends at 108
	maxSignal    = 64        // bytes
	maxCookie    = 4 << 10   // bytes
	maxMessage   = 1 << 10   // bytes of an exit-signal's text
	maxPort      = 1<<16 - 1 //
	maxCells     = 1<<16 - 1 // columns or rows; a terminal's own fields are 16 bits wide
)

// fields reads the payload of a request or channel (RFC 4251 §5). After a
// field that isn't there, or is too long, bad is set and every further field
// is empty. A payload is read only if it ended exactly (done).
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) uint32() uint32 {
	if f.bad || len(f.rest) < 4 {
		f.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(f.rest)
	f.rest = f.rest[4:]
	return v
}

func (f *fields) bool() bool {
	if f.bad || len(f.rest) < 1 {
		f.bad = true
		return false
	}
	v := f.rest[0] != 0
	f.rest = f.rest[1:]
	return v
}

// text is a string of at most limit bytes.
func (f *fields) text(limit int) string {
	n := f.uint32()
	if f.bad || uint64(n) > uint64(len(f.rest)) || uint64(n) > uint64(limit) {
		f.bad = true
		return ""
	}
	v := string(f.rest[:n])
	f.rest = f.rest[n:]
	return v
}

func (f *fields) done() bool { return !f.bad && len(f.rest) == 0 }

// parsePty is RFC 4254 §6.2.
func parsePty(payload []byte) (r recording.ChannelRequest, ok bool) {
	f := fields{rest: payload}
	r.Term = recording.Text(f.text(maxTerm))
	r.Cols, r.Rows = f.uint32(), f.uint32()
	r.Width, r.Height = f.uint32(), f.uint32()
	r.Modes = []byte(f.text(maxModes))
	return r, f.done() && r.Cols <= maxCells && r.Rows <= maxCells
}

// parseWindowChange is RFC 4254 §6.7.
func parseWindowChange(payload []byte) (s recording.Size, ok bool) {
	f := fields{rest: payload}
	s.Cols, s.Rows = f.uint32(), f.uint32()
	s.Width, s.Height = f.uint32(), f.uint32()
	return s, f.done() && s.Cols <= maxCells && s.Rows <= maxCells
}

// parseText is a payload of one string: exec, subsystem, signal,
// streamlocal-forward.
func parseText(payload []byte, limit int) (s string, ok bool) {
	f := fields{rest: payload}
	s = f.text(limit)
	return s, f.done()
}

// parseEnv is RFC 4254 §6.4.
func parseEnv(payload []byte) (name, value string, ok bool) {
	f := fields{rest: payload}
	name, value = f.text(maxEnvName), f.text(maxEnvValue)
	return name, value, f.done() && name != "" && !strings.ContainsFunc(name, notInName) && !strings.Contains(value, "\x00")
}

// notInName reports whether r can't be in a variable's name: names are a word of
// printable ASCII, so that none means one thing to policy and another to a target.
func notInName(r rune) bool { return r <= ' ' || r >= 0x7f || r == '=' }

// parseX11 is RFC 4254 §6.3.1.
func parseX11(payload []byte) (x recording.X11, ok bool) {
	f := fields{rest: payload}
	x.Single = f.bool() // the target keeps to it
	x.Protocol = recording.Text(f.text(maxTerm))
	x.Cookie = recording.Text(f.text(maxCookie))
	x.Screen = f.uint32()
	return x, f.done()
}

// parseUint32 is a payload of one number: break, exit-status.
func parseUint32(payload []byte) (v uint32, ok bool) {
	f := fields{rest: payload}
	v = f.uint32()
	return v, f.done()
}

// parseExitSignal is RFC 4254 §6.10.
func parseExitSignal(payload []byte) (e recording.ExitStatus, ok bool) {
	f := fields{rest: payload}
	e.Signal = recording.Text(f.text(maxSignal))
	e.Core = f.bool()
	e.Message = recording.Text(f.text(maxMessage))
	e.Language = recording.Text(f.text(maxTerm))
	return e, f.done()
}

// parseTCPChannel is the payload of direct-tcpip and forwarded-tcpip, RFC 4254 §7.2.
func parseTCPChannel(payload []byte) (o recording.Opening, ok bool) {
	f := fields{rest: payload}
	o.Host, o.Port = recording.Text(f.text(maxHost)), f.uint32()
	o.Origin, o.OriginPort = recording.Text(f.text(maxHost)), f.uint32()
	return o, f.done() && o.Port <= maxPort
}

// parseListen is the payload of tcpip-forward and its cancelling, RFC 4254 §7.1.
func parseListen(payload []byte) (host string, port int, ok bool) {
	f := fields{rest: payload}
	host = f.text(maxHost)
	n := f.uint32()
	return host, int(n & maxPort), f.done() && n <= maxPort
}

// parseStreamLocal is direct-streamlocal@openssh.com, OpenSSH's PROTOCOL §2.4.
func parseStreamLocal(payload []byte) (o recording.Opening, ok bool) {
	f := fields{rest: payload}
	o.Path = recording.Text(f.text(maxSocket))
	o.Reserved, o.Spare = recording.Text(f.text(maxHost)), f.uint32()
	return o, f.done()
}

// parseForwardedStreamLocal is forwarded-streamlocal@openssh.com.
func parseForwardedStreamLocal(payload []byte) (o recording.Opening, ok bool) {
	f := fields{rest: payload}
	o.Path = recording.Text(f.text(maxSocket))
	o.Reserved = recording.Text(f.text(maxHost))
	return o, f.done()
}

// parseX11Channel is RFC 4254 §6.3.2.
func parseX11Channel(payload []byte) (o recording.Opening, ok bool) {
	f := fields{rest: payload}
	o.Origin, o.OriginPort = recording.Text(f.text(maxHost)), f.uint32()
	return o, f.done()
}

// asciiLine makes one printable ASCII line of at most limit bytes from a text
// that a peer had a part in.
func asciiLine(s string, limit int) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < limit; i++ {
		switch c := s[i]; {
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		case c == '\n' || c == '\t' || c == '\r':
			b.WriteByte(' ')
		default:
			b.WriteByte('?')
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// programName is a command's first word without its folders. A word that isn't
// plainly a program's name (an assignment, a quotation) could hold a secret
// and isn't told.
func programName(command string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(command, " \t\n"), " ")
	word, _, _ = strings.Cut(word, "\n")
	word, _, _ = strings.Cut(word, "\t")
	word = strings.TrimRight(word, ";")
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("/._+-[", c) >= 0:
		default:
			return "(compound)"
		}
	}
	word = word[strings.LastIndexByte(word, '/')+1:]
	if word == "" || len(word) > 64 {
		return "(compound)"
	}
	return word
}
