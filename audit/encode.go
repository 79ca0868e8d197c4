package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"entry/audit/segment"
)

// maxLine bounds a line of events.jsonl, newline excluded, in bytes. The
// largest event that the bounds on strings allow is below 127 KiB (38 strings
// of MaxDetail bytes, and 74 and MaxSessions of maxCode; a byte of the former takes six at worst; the Rekeys of a LogDropped, which has few others,
// are 20 KiB, and the Holds of a LogSegment or LogHolds 100 KiB), so a
// longer line was not written by this package; the bound stops whoever feeds one to a
// reader.
const maxLine = segment.MaxLine

// A Rekey's public keys have at most so many bytes, which bounds the origin in them, and its
// signatures, in base64 with the hash of their key, so many.
const (
	maxKeyText = 300
	maxNoteSig = 92
)

// maxProof is the length of an Ed25519 signature in base64, in bytes.
const maxProof = 88

// lineHead is what every line starts with.
const lineHead = `{"schema":"` + Schema + `","seq":`

// AppendJSON appends e to b in the one form that the log accepts: the fields in
// the order of Event, absent ones left out, ASCII only, no newline. For an
// event that Read returned it is the exact line of the log.
func (e Event) AppendJSON(b []byte) []byte {
	b = appendHead(b, e.Seq, e.Time)
	return e.appendBody(b)
}

// appendHead appends a line up to its type. The writer knows sequence number
// and time last, the caller of Append encodes the rest.
func appendHead(b []byte, seq uint64, t time.Time) []byte {
	b = append(b, lineHead...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"time":`...)
	return appendTime(b, t)
}

// appendBody appends everything that follows the time, from the comma to the
// closing brace.
func (e *Event) appendBody(b []byte) []byte {
	w := body{b}
	w.b = append(w.b, `,"type":`...)
	w.b = appendString(w.b, string(e.Type))
	w.str("ref", e.Ref)
	w.str("conn", e.Conn)
	w.str("session", e.Session)
	w.str("user", e.User)
	w.str("user_hash", e.UserHash)
	w.str("source", e.Source)
	w.str("lab", e.Lab)
	w.str("target", e.Target)
	w.str("login", e.Login)
	w.str("asked_login", e.AskedLogin)
	w.str("approver", e.Approver)
	w.str("method", e.Method)
	w.str("key", e.Key)
	w.str("policy", e.Policy)
	w.str("rule", e.Rule)
	w.str("capability", e.Capability)
	if e.Channel != nil {
		w.key("channel")
		w.b = strconv.AppendUint(w.b, uint64(*e.Channel), 10)
	}
	w.str("channel_type", e.ChannelType)
	w.str("program", e.Program)
	w.str("digest", e.Digest)
	w.str("destination", e.Destination)
	w.str("reason", e.Reason)
	w.str("detail", e.Detail)
	if a := e.Actor; a != nil {
		w.key("actor")
		w.actor(a)
	}
	if c := e.Change; c != nil {
		w.key("change")
		w.b = append(w.b, `{"account":`...)
		w.b = appendString(w.b, c.Account)
		w.b = append(w.b, `,"generation":`...)
		w.b = strconv.AppendInt(w.b, c.Generation, 10)
		w.str("taken", c.Taken)
		w.b = append(w.b, '}')
	}
	if g := e.Gap; g != nil {
		w.key("gap")
		w.b = append(w.b, `{"checkpoint":`...)
		w.b = appendString(w.b, g.Checkpoint)
		if g.Known != 0 {
			w.key("known")
			w.b = strconv.AppendUint(w.b, g.Known, 10)
		}
		w.str("earlier", g.Earlier)
		w.b = append(w.b, `,"auditor":`...)
		w.b = appendString(w.b, g.Auditor)
		w.b = append(w.b, `,"accepted":`...)
		w.b = appendString(w.b, g.Accepted)
		w.str("reason", g.Reason)
		if g.At != nil {
			w.key("at")
			w.b = appendTime(w.b, *g.At)
		}
		w.b = append(w.b, '}')
	}
	if r := e.Rekey; r != nil {
		w.key("rekey")
		w.rekey(r)
	}
	for i := range e.Rekeys[:min(len(e.Rekeys), maxRekeys)] {
		if i == 0 {
			w.key("rekeys")
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.rekey(&e.Rekeys[i])
	}
	if len(e.Rekeys) > 0 {
		w.b = append(w.b, ']')
	}
	if e.Standing != nil {
		w.key("standing")
		w.b = strconv.AppendInt(w.b, int64(*e.Standing), 10)
	}
	for i := range e.Holds[:min(len(e.Holds), maxHolds)] {
		if i == 0 {
			w.key("holds")
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.standing(&e.Holds[i])
	}
	if len(e.Holds) > 0 {
		w.b = append(w.b, ']')
	}
	if r := e.Recording; r != nil {
		w.key("recording")
		w.b = append(w.b, `{"id":`...)
		w.b = appendString(w.b, r.ID)
		w.str("header", r.Header)
		w.str("key", r.Key)
		w.str("head", r.Head)
		w.num("segments", int64(r.Segments))
		w.b = append(w.b, '}')
	}
	if r := e.Rewrap; r != nil {
		w.key("rewrap")
		w.b = append(w.b, `{"from":`...)
		w.b = appendString(w.b, word(r.From, 2*sha256.Size))
		w.b = append(w.b, `,"set":`...)
		w.b = appendString(w.b, code(r.Set))
		w.b = append(w.b, `,"count":`...)
		w.b = strconv.AppendInt(w.b, int64(r.Count), 10)
		w.codes("in", r.In, maxNamed)
		w.codes("out", r.Out, maxNamed)
		w.str("proof", word(r.Proof, maxProof))
		w.b = append(w.b, '}')
	}
	if t := e.Tick; t != nil {
		w.key("tick")
		w.b = append(w.b, `{"root":`...)
		w.b = appendString(w.b, t.Root)
		w.b = append(w.b, `,"changed":`...)
		w.b = strconv.AppendInt(w.b, int64(t.Changed), 10)
		w.b = append(w.b, `,"list":`...)
		w.b = appendString(w.b, t.List)
		w.b = append(w.b, '}')
	}
	w.codes("sessions", e.Sessions, MaxSessions)
	w.str("coverage", e.Coverage)
	for i, m := range e.Missing[:min(len(e.Missing), maxMissing)] {
		if i == 0 {
			w.key("missing")
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, `{"why":`...)
		w.b = appendString(w.b, code(m.Why))
		w.str("stream", code(m.Stream))
		w.num("bytes", m.Bytes)
		w.num("lines", m.Lines)
		w.b = append(w.b, '}')
	}
	if len(e.Missing) > 0 {
		w.b = append(w.b, ']')
	}
	w.num("bytes_down", e.BytesDown)
	w.num("bytes_beside", e.BytesBeside)
	w.num("bytes_up", e.BytesUp)
	if e.Exit != nil {
		w.key("exit")
		w.b = strconv.AppendInt(w.b, int64(*e.Exit), 10)
	}
	if e.Until != nil {
		w.key("until")
		w.b = appendTime(w.b, *e.Until)
	}
	w.num("uses", e.Uses)
	w.num("step", e.Step)
	w.str("hash", e.Hash)
	w.num("count", int64(e.Count))
	return append(w.b, '}')
}

type body struct{ b []byte }

func (w *body) key(name string) {
	w.b = append(w.b, ',', '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *body) str(name, s string) {
	if s != "" {
		w.key(name)
		w.b = appendString(w.b, s)
	}
}

func (w *body) actor(a *Actor) {
	w.b = append(w.b, `{"uid":`...)
	w.b = strconv.AppendUint(w.b, uint64(a.UID), 10)
	w.b = append(w.b, `,"login_uid":`...)
	w.b = strconv.AppendUint(w.b, uint64(a.LoginUID), 10)
	w.str("name", a.Name)
	w.str("login_name", a.LoginName)
	w.b = append(w.b, '}')
}

func (w *body) rekey(r *Rekey) {
	w.b = append(w.b, `{"from":`...)
	w.b = appendString(w.b, word(r.From, maxKeyText))
	w.b = append(w.b, `,"to":`...)
	w.b = appendString(w.b, word(r.To, maxKeyText))
	w.b = append(w.b, `,"root":`...)
	w.b = appendString(w.b, word(r.Root, maxProof))
	w.b = append(w.b, `,"old":`...)
	w.b = appendString(w.b, word(r.Old, maxNoteSig))
	w.b = append(w.b, `,"new":`...)
	w.b = appendString(w.b, word(r.New, maxNoteSig))
	w.num("size", int64(r.Size))
	w.b = append(w.b, '}')
}

// codes appends a list of at most most of entry's own words, if there are any.
func (w *body) codes(name string, list []string, most int) {
	for i, s := range list[:min(len(list), most)] {
		if i == 0 {
			w.key(name)
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, code(s))
	}
	if len(list) > 0 {
		w.b = append(w.b, ']')
	}
}

func (w *body) num(name string, n int64) {
	if n != 0 {
		w.key(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

// plausible says whether RFC 3339 can state t.
func plausible(t time.Time) bool { y := t.UTC().Year(); return y >= 0 && y <= 9999 }

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendString appends s as a JSON string of printable ASCII: everything else,
// and the two characters JSON reserves, as \uXXXX (RFC 8259 §7, surrogate pairs
// above U+FFFF; quote and backslash by their two-character forms). One form for
// each string, so that a line can be compared with its own re-encoding.
func appendString(b []byte, s string) []byte {
	s, cut := clip(s)
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c >= 0x20 && c < 0x7f:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			i += n
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				b = appendEscape(b, hi)
				b = appendEscape(b, lo)
			} else {
				b = appendEscape(b, r)
			}
		}
	}
	if cut {
		b = appendEscape(b, '…')
	}
	return append(b, '"')
}

func appendEscape(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// code returns the part of one of entry's own words to keep: printable ASCII that needs
// no escape, at most maxCode bytes.
func code(s string) string { return word(s, maxCode) }

// word is code for another length.
func word(s string, most int) string {
	s = s[:min(len(s), most)]
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }); i >= 0 {
		s = s[:i]
	}
	return s
}

// clip returns the part of s to keep and whether the rest was cut off. What is
// kept, with a mark of three bytes after a cut, has at most MaxDetail bytes of
// UTF-8, each invalid byte counted as the three of U+FFFD.
func clip(s string) (string, bool) {
	const mark = len("…")
	if len(s) <= MaxDetail/3 {
		return s, false
	}
	size, keep := 0, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		size += utf8.RuneLen(r)
		if size > MaxDetail {
			return s[:keep], true
		}
		i += n
		if size <= MaxDetail-mark {
			keep = i
		}
	}
	return s, false
}

// ParseEvent parses one line of a log, without its newline. It accepts exactly what
// AppendJSON writes. The error is the predicate of a sentence.
func ParseEvent(line []byte) (Event, error) {
	e, _, err := decode(line, nil)
	return e, err
}

// decode parses one line. It accepts exactly what AppendJSON writes: a line
// that means the same in other words (other order, spacing, escapes, repeated
// or unknown keys) is refused, because two readers could read it differently.
// buf is scratch space that it may use and returns grown.
func decode(line, buf []byte) (Event, []byte, error) {
	var e Event
	if len(line) > maxLine {
		return e, buf, fmt.Errorf("is longer than %d bytes", maxLine)
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, buf, errors.New("is not a JSON object of this schema")
	}
	if e.Schema != Schema {
		return e, buf, fmt.Errorf("has schema %.40q instead of %q", e.Schema, Schema)
	}
	if !known[e.Type] {
		return e, buf, fmt.Errorf("has the unknown type %.40q", e.Type)
	}
	buf = e.AppendJSON(buf[:0])
	if !bytes.Equal(buf, line) {
		return e, buf, errors.New("is not in the form that the log writes")
	}
	return e, buf, nil
}
