package session

import (
	"bytes"
	"slices"
)

// waiting is a line of input that may be a secret: something asked for it, and nothing
// of it was shown so far.
type waiting struct {
	open  bool   // there is one
	ended bool   // it has its end
	held  []byte // it, and what came behind its end; at most maxAnswer
	asked string // the prompt
	text  []byte // what was shown since, on the prompt's line
	next  bool   // and then another line
	full  bool   // it is asked for on the screen of editors and pagers, where most keys show nothing: only stars tell a secret

	mid     bool     // a line was begun that isn't one
	prompts []string // behind which lines were shown; at most maxAsked
}

// begins reports whether p begins a line that may be a secret, and takes note of it.
func (w *waiting) begins(s *showing, p []byte) bool {
	if w.mid {
		return false
	}
	line := s.asking()
	if len(line) == 0 { // whoever asked may have ended the line
		if line = question(s.last); !prompts.Match(line) {
			return false
		}
	} else if !asks.Match(line) || slices.Contains(w.prompts, string(line)) {
		return false
	}
	*w = waiting{open: true, full: s.full, asked: string(line), held: w.held[:0], text: w.text[:0], prompts: w.prompts}
	return true
}

// pass notes that p was kept.
func (w *waiting) pass(p []byte) {
	if len(p) > 0 {
		w.mid = bytes.IndexByte([]byte(lineEnds), p[len(p)-1]) < 0
	}
}

// lineEnds are what ends a line that is typed: Enter, and interrupting or ending it.
const lineEnds = "\r\n\x03\x04"

// see takes what was shown since.
func (w *waiting) see(s *showing) {
	if w.next {
		return
	}
	if s.redrawn {
		w.text = w.text[:0]
	}
	w.text = append(w.text, s.added[:min(len(s.added), 2*maxAnswer-len(w.text))]...)
	w.next = s.moved
}

// typed is what of the first line is letters.
func (w *waiting) typed() []byte {
	var s showing
	line := w.held
	if i := bytes.IndexAny(line, lineEnds); i >= 0 {
		line = line[:i]
	}
	s.take(line)
	return bytes.TrimSpace(s.line)
}

// since is what was shown behind the prompt, but for stars.
func (w *waiting) since() []byte {
	text := w.text
	if w.asked != "" { // it may have been drawn anew
		text = bytes.ReplaceAll(text, []byte(w.asked), nil)
	}
	return question(text)
}

// wait holds p of the line that is open, as far as it may be the secret's.
func (m *mask) wait(p []byte) (rest []byte, err error) {
	w := &m.waits
	if w.ended && len(w.text) > 0 { // something else than the line was shown behind it
		return p, m.settle(true)
	}
	n := min(len(p), maxAnswer-len(w.held))
	w.held = append(w.held, p[:n]...)
	w.ended = w.ended || bytes.ContainsAny(p[:n], lineEnds)
	if n < len(p) {
		return p[n:], m.release()
	}
	return nil, nil
}

// settle keeps or masks the line once it is known which; over says that it has to be.
func (m *mask) settle(over bool) error {
	w := &m.waits
	typed, since := w.typed(), w.since()
	switch {
	case len(typed) > 0 && bytes.Contains(since, typed[:min(len(typed), 3)]):
		w.prompts = append(w.prompts[max(0, len(w.prompts)-maxAsked+1):], w.asked)
		return m.release()
	case len(typed) == 0 && (w.ended || over), w.full && (w.ended || over) && !bytes.ContainsAny(w.text, stars), !w.ended && (w.next || !bytes.HasPrefix(typed, since)): // whoever asked has gone on, as at a key
		return m.release()
	case !over && !(w.ended && w.next):
		return nil
	}
	n := bytes.IndexAny(w.held, lineEnds) + 1
	if n == 0 {
		n = len(w.held)
	}
	rest := bytes.Clone(w.held[n:])
	clear(w.held)
	w.open = false
	w.pass(rest)
	m.lines++
	if err := m.in.blank(n, unshown); err != nil {
		return err
	}
	return m.in.take(rest)
}

// release keeps what was held, and what comes up to the line's end.
func (m *mask) release() error {
	w := &m.waits
	w.open = false
	w.pass(w.held)
	return m.in.take(w.held)
}
