package session

import (
	"bytes"
	"regexp"
	"sync"
)

// masked stands in a recording for a line of input that isn't kept.
const masked = "a line that answers a password prompt isn't kept"

// maxPrompt is how much of a line is looked at for a prompt, from its end.
const maxPrompt = 256 // bytes

// prompts ask for a secret: the line is still open, and ends as prompts do.
var prompts = regexp.MustCompile(`(?i)(pass ?(word|phrase|code|wd)|kennwort|passwort|mot de passe|contrase\S{1,2}a|lösenord|passord|\bpin\b|one-time|verification code|\botp\b|secret|token)[^\r\n]{0,80}[:?>] ?$`)

// colours are not looked at.
var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// mask keeps answers to password prompts out of the recording of input: the line
// that comes after output which ends in a prompt. It is safe for concurrent use; a
// nil mask finds none.
type mask struct {
	mu     sync.Mutex // guards what follows
	line   []byte     // the end of the open line of output, at most maxPrompt
	armed  bool       // the next line of input is an answer
	early  bool       // whatever is shown
	marked bool       // and the recording says so already
}

// shown takes output.
func (m *mask) shown(p []byte) {
	if m == nil || len(p) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := bytes.LastIndexAny(p, "\r\n"); i >= 0 {
		m.line, p = m.line[:0], p[i+1:]
		m.armed = m.armed && m.early // whoever asked has gone on
	}
	m.line = latest(m.line, p, maxPrompt)
	line := m.line
	if bytes.IndexByte(line, esc) >= 0 {
		line = colours.ReplaceAll(line, nil)
	}
	if prompts.Match(line) && !m.armed {
		m.armed, m.marked = true, false
	}
}

// arm makes the first line of input an answer, whatever is shown before it.
func (m *mask) arm() { m.armed, m.early = true, true }

// next says of how many bytes of input, from the first on, it is the same whether
// they are an answer.
func (m *mask) next(p []byte) (n int, answer bool) {
	if m == nil {
		return len(p), false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.armed {
		return len(p), false
	}
	if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
		m.armed, m.early, m.line = false, false, m.line[:0]
		return i + 1, true
	}
	return len(p), true
}

// told reports whether it was called before for the answer that next found.
func (m *mask) told() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.marked
	m.marked = true
	return before
}
