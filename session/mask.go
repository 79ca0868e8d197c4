package session

import (
	"bytes"
	"regexp"
	"sync"
)

// masked stands in a recording for a line of input that isn't kept, of so many
// bytes. It has no digest: a short secret could be guessed from one, and who asks
// whether a guess fits a keyed one guesses too.
const masked = "a line of %d B after a password prompt isn't kept"

// What shows a prompt may be the script that is to be recorded. So there is an end to
// what can be hidden as answers.
const (
	maxAnswer = 256 // bytes with the line's end; what is longer is no password, and is kept
	maxMasked = 8   // lines of a channel; of a script's, no others are masked
)

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
	script bool // there is no terminal: input may be what shows the prompts

	mu    sync.Mutex // guards what follows
	line  []byte     // the end of the open line of output, at most maxPrompt
	armed bool       // the next line of input is an answer
	early bool       // whatever is shown
	held  []byte     // the beginning of what may be an answer, at most maxAnswer
	lines int        // answers so far
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
	if prompts.Match(line) && (m.lines < maxMasked || !m.script) {
		m.armed = true
	}
}

// arm makes the first line of input an answer, whatever is shown before it.
func (m *mask) arm() { m.armed, m.early = true, true }

// next takes input. It returns what is to be kept, or how many bytes an answer had
// that is over, and what of p comes after that. What it keeps to itself, it returns
// once more has come.
func (m *mask) next(p []byte) (keep []byte, answer int, rest []byte) {
	if m == nil {
		return p, 0, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.armed && len(m.held) > 0: // whoever asked has gone on before its end
		return nil, m.over(), p
	case !m.armed:
		return p, 0, nil
	}
	n := bytes.IndexAny(p, "\r\n") + 1
	ends := n > 0
	if !ends {
		n = len(p)
	}
	if len(m.held)+n > maxAnswer {
		keep = m.held
		m.held, m.armed, m.early, m.line = nil, false, false, m.line[:0]
		if len(keep) == 0 {
			return p, 0, nil
		}
		return keep, 0, p
	}
	m.held = append(m.held, p[:n]...)
	if !ends {
		return nil, 0, nil
	}
	return nil, m.over(), p[n:]
}

// over forgets an answer, and returns its length. m.mu is held.
func (m *mask) over() int {
	n := len(m.held)
	clear(m.held)
	m.held, m.armed, m.early, m.line = m.held[:0], false, false, m.line[:0]
	m.lines++
	return n
}

// end returns the length of an answer that no line's end came for.
func (m *mask) end() int {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) == 0 {
		return 0
	}
	return m.over()
}
