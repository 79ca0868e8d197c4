package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"sync/atomic"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/recording"
	"entry/session/transfer"
)

// maxFileEvents is how many files and changes of one session have an event of
// their own; the rest is summed up in one.
const maxFileEvents = 1000

// moving follows one transfer: its decoder, and who gets to know what it finds.
type moving struct {
	f       *flow
	grant   policy.Grant
	about   audit.Event // the channel
	now     *rights
	dec     transfer.Decoder
	ended   [2]bool
	over    bool
	desyncs atomic.Bool
	beside  func(line string) // to the client, beside what moves; nil where nobody could read it
	told    [2]bool           // of what may not be moved, by direction

	listsFiles bool // each file by its own, with its hash
}

// data implements decoder.
func (m *moving) data(to direction, p []byte, r *ruling) error {
	if m.over {
		return nil
	}
	return m.result(m.dec.Data(to == towardsTarget, p, manifest{m, r}), r)
}

// end implements decoder.
func (m *moving) end(to direction, r *ruling) error {
	if m.over {
		return nil
	}
	m.ended[to] = true
	return m.result(m.dec.End(to == towardsTarget, manifest{m, r}), r)
}

// holds implements holder.
func (m *moving) holds() int {
	if h, ok := m.dec.(transfer.Holder); ok {
		return h.Holds()
	}
	return 0
}

// spare implements holder.
func (m *moving) spare() {
	if h, ok := m.dec.(transfer.Holder); ok {
		h.Spare()
	}
}

// result is what a decoder's error means for the channel.
func (m *moving) result(err error, r *ruling) error {
	var desync *transfer.Desync
	var stopped *transfer.Stopped
	var bad *transfer.BadCommand
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad):
		return &refusal.Error{Code: "transfer-command", Text: strings.TrimPrefix(bad.Text, "entry: "), Cause: err}
	case errors.As(err, &stopped):
		return &refusal.Error{Code: refusal.CapabilityLost, Text: strings.TrimPrefix(stopped.Reason, "entry: "), Cause: err}
	case errors.As(err, &desync):
		m.desyncs.Store(true)
		r.Note(audit.Event{Type: audit.TransferDesync, Program: desync.Protocol, Detail: asciiLine(desync.Error(), audit.MaxDetail)})
		return &refusal.Error{Code: "desync", Text: "what came isn't " + desync.Protocol + " as its protocol has it, so entry can't tell what it moves; use another client, or ask your lab's administrator", Cause: err}
	}
	return err
}

// finish tells the decoder that its program has ended, with status or without one.
// Nothing moves any more.
func (m *moving) finish(status *int) {
	if m.over {
		return
	}
	m.over = true
	for to, ended := range m.ended {
		if !ended {
			_ = m.dec.End(direction(to) == towardsTarget, manifest{m, nil}) // what it says of the rest concerns nobody
		}
	}
	if f, ok := m.dec.(transfer.Finisher); ok {
		n := -1
		if status != nil {
			n = *status
		}
		f.Finish(n, manifest{m, nil})
	}
}

// manifest takes what a decoder finds, in a ruling or, with nil, at once.
type manifest struct {
	m *moving
	r *ruling
}

// Pass implements transfer.Ruling.
func (x manifest) Pass(p []byte, more bool) {
	if x.r != nil {
		x.r.Pass(p, more)
	}
}

// Answer implements transfer.Ruling.
func (x manifest) Answer(p []byte) {
	if x.r != nil {
		x.r.Answer(p)
	}
}

// Words implements transfer.Ruling.
func (x manifest) Words(n int) int {
	n, _ = x.m.now.said.take(n)
	return n
}

// Unlisted implements transfer.Ruling.
func (x manifest) Unlisted(n int64) bool {
	if !x.m.now.said.unlisted(n) {
		return false
	}
	x.back(n)
	return true
}

// back counts n bytes that came back to who may not download.
func (x manifest) back(n int64) {
	if user := x.m.now.said.user; user != nil && n > 0 && x.m.now.may(transfer.Download) != "" {
		user.Back(n)
	}
}

// Begin implements transfer.Ruling: who reads the recording of a session that was cut off
// finds what was under way.
func (x manifest) Begin(e transfer.Entry) {
	b, err := json.Marshal(recording.Begun{Protocol: e.Protocol, Operation: e.Operation, Direction: e.Direction.String(), Path: recording.Text(e.Path)})
	if err != nil || x.r == nil { // what ends now has its line next
		return
	}
	x.r.fact(func() { x.m.f.frame(x.m.grant, recording.Transfer, *x.m.about.Channel, b) })
}

// Enter implements transfer.Ruling: the line, with its paths and its hash, goes into
// the recording, which is sealed, and what can be told of it into the log.
func (x manifest) Enter(e transfer.Entry) {
	line := recording.File{
		Protocol: e.Protocol, Operation: e.Operation, Direction: e.Direction.String(), Path: recording.Text(e.Path), To: recording.Text(e.To),
		Size: e.Size, Back: e.Back, Ref: recording.Text(e.Ref), Old: e.Old, New: e.New, SHA256: hex.EncodeToString(e.SHA256), Unknown: e.Unknown,
		Began: e.Began.UTC(), Ended: e.Ended.UTC(), Outcome: e.Outcome.String(), Detail: recording.Text(e.Detail),
	}
	b, err := json.Marshal(line)
	if err != nil {
		b = fmt.Appendf(nil, `{"protocol":%q,"operation":%q,"outcome":"failed","detail":"it can't be told"}`, e.Protocol, e.Operation)
	}
	m := x.m
	x.back(e.Returned())
	ref := x.tell(e)
	home := ""
	if h, ok := m.dec.(transfer.Homer); ok {
		home = h.Home()
	}
	enter := func() {
		m.f.frame(m.grant, recording.Transfer, *m.about.Channel, b)
		if event, ok := m.f.files.event(m.f, e, b); ok {
			event.Channel, event.ChannelType = m.about.Channel, m.about.ChannelType
			if e.Outcome == transfer.Refused {
				m.now.refused(&event, e.Direction)
			}
			event.Ref = ref
			m.f.event(event)
		}
		if what := m.f.files.starts(e, home); what != "" {
			m.f.event(audit.Event{Type: audit.AlarmStartFile, Channel: m.about.Channel, ChannelType: m.about.ChannelType, Program: e.Protocol, Reason: e.Outcome.String(),
				Detail: e.Operation + " " + what, Digest: m.f.o.Keyed("path", []byte(e.Path))})
		}
	}
	if x.r == nil {
		enter()
	} else {
		x.r.fact(enter)
	}
}

// tell says why e was refused, once a direction, and returns the reference that stands
// there: sftp and scp print the number of an answer's status, and nothing of its text.
func (x manifest) tell(e transfer.Entry) (ref string) {
	m := x.m
	if x.r == nil || m.beside == nil || e.Outcome != transfer.Refused {
		return ""
	}
	for i, d := range []transfer.Direction{transfer.Upload, transfer.Download} {
		if why := m.now.may(d); why != "" && why == e.Detail && !m.told[i] {
			m.told[i], ref = true, m.f.o.Ref()
			x.r.Aside(func() { m.beside(why + " (ref " + ref + ")") })
			return ref
		}
	}
	return ""
}

// files are the files and changes of a session that the log has. It is safe for
// concurrent use.
type files struct {
	mu     sync.Mutex // guards what follows
	noted  int
	more   int       // beyond maxFileEvents
	digest hash.Hash // of their lines
	start  transfer.Starts
	begun  map[string]bool // what was written of what programs start from
}

// starts is what of that e writes which the session hadn't written before; "" is nothing.
func (s *files) starts(e transfer.Entry, home string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := s.start.Of(e, home)
	if what == "" || s.begun[what] {
		return ""
	}
	if s.begun == nil {
		s.begun = map[string]bool{}
	}
	s.begun[what] = true
	return what
}

// event is what the log has of e, whose line in the manifest is line; ok is false
// where it is only counted. Paths name people, and a small file's hash can be
// guessed: the log has keyed digests of both.
func (s *files) event(f *flow, e transfer.Entry, line []byte) (out audit.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted == maxFileEvents {
		if s.digest == nil {
			s.digest = sha256.New()
		}
		s.more++
		s.digest.Write(append(line, '\n'))
		return out, false
	}
	s.noted++
	out = audit.Event{Type: audit.TransferFile, Program: e.Protocol, Capability: e.Direction.String(), Reason: e.Outcome.String(), Detail: e.Operation, Digest: f.o.Keyed("path", []byte(e.Path))}
	switch e.Direction {
	case transfer.Upload:
		out.BytesUp, out.BytesDown = e.Size, e.Back
	case transfer.Download:
		out.BytesDown, out.BytesUp = e.Size, e.Back
	default:
		out.Type = audit.TransferChange
	}
	if len(e.SHA256) > 0 {
		out.Hash = f.o.Keyed("content", e.SHA256)
	}
	return out, true
}

// sum is the event of those that were only counted.
func (s *files) sum() (out audit.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == 0 {
		return out, false
	}
	return audit.Event{Type: audit.TransferMore, Count: s.more, Hash: "sha256:" + hex.EncodeToString(s.digest.Sum(nil)),
		Detail: "files and changes beyond the first; the recording has them"}, true
}

// toMove is the capability that moving content in a direction needs. What changes
// files without moving any needs to upload.
func toMove(d transfer.Direction) policy.Capability {
	if d == transfer.Download {
		return policy.Download
	}
	return policy.Upload
}

// mayMove is nil where g lets files go in a direction by a command, which is "" where
// there is none: by the capability, or by a rule that lists exactly that command,
// unless the capability is denied.
func mayMove(g policy.Grant, command string, d transfer.Direction) *policy.Denied {
	c := toMove(d)
	if g.Allows(c) {
		return nil
	}
	if no := g.Refusal(c); no.ByDeny || command == "" || !g.ListsExec(command) {
		return no
	}
	return nil
}

// rights are what a transfer that runs may move by now: a session can lose them.
type rights struct {
	command string
	contact refusal.Contact
	grant   atomic.Pointer[policy.Grant]
	said    spoken // standard error with the rest
}

// refused says in e, of something that was refused, for want of which right and by
// which rule.
func (r *rights) refused(e *audit.Event, d transfer.Direction) {
	g := *r.grant.Load()
	if no := mayMove(g, r.command, d); no != nil {
		e.Capability, e.Rule, e.Policy = no.Capability.String(), no.Rule.String(), g.PolicyHash()
	}
}

func (r *rights) may(d transfer.Direction) string {
	if no := mayMove(*r.grant.Load(), r.command, d); no != nil {
		return "entry: " + r.contact.In(no.Told())
	}
	return ""
}
