package session

import (
	"bytes"
	"regexp"
	"sync"
)

// What stands in a recording for a line of input that isn't kept, of so many bytes: one
// behind a prompt that is known for one, or one that nothing showed. It has no digest: a
// short secret could be guessed from one, and who asks whether a guess fits a keyed one
// guesses too.
const (
	masked   = "a line of %d B after a password prompt isn't kept"
	unshown  = "a line of %d B isn't kept, which was asked for and not shown as it was typed"
	maxAsked = 8 // prompts behind which lines were shown, that are remembered
)

// What shows a prompt may be the script that is to be recorded. So there is an end to
// what can be hidden as answers.
const (
	maxAnswer = 256 // bytes with the line's end; what is longer is no password, and is kept
	maxMasked = 8   // lines of a channel; of a script's, and of those by unshown, no others are masked
)

// maxPrompt is how much of a line is looked at for a prompt, from its end.
const maxPrompt = 256 // bytes

// prompts ask for a secret: the line is still open, and ends as prompts do, with a hint
// in brackets or without.
var prompts = regexp.MustCompile(`(?i)(pass ?(word|phrase|code|wd)|kennwort|passwort|mot de passe|contrase\S{1,2}a|lösenord|passord|adgangskode|kodeord|salasana|has[lł]o|wachtwoord|senha|пароль|密码|密碼|パスワード|비밀번호` +
	`|\bpin\b|one-time|(verification|mfa|2fa|security|authenticat\w+|enter) code|\botp\b|secret|token|(encryption|api|access|private)[ _-]?key)[^\r\n]{0,80}([:?>…：]|\.\.\.)\s*([\[(][^\[\]()]{0,60}[\])])?$`)

// asks is what a line ends with that waits for something else than a shell's command,
// whose prompts end in $, #, % or >.
var asks = regexp.MustCompile(`([:?=…：]|\.\.\.)\s*([\[(][^\[\]()]{0,60}[\])])?$`)

// stars stand for letters of an answer.
const stars = "*•●∙·"

// question is a line without blanks and stars.
func question(line []byte) []byte { return bytes.Trim(line, stars+" \u00a0") }

// keeper keeps input, or what stands for a line of n bytes that isn't kept, in words for
// it; none does if n is 0. Of [mask]'s a pane is one, too.
type keeper interface {
	take(p []byte) error
	blank(n int, words string) error
}

// mask keeps answers to password prompts out of the recording of input. There are two
// kinds: the line that comes after output which ends in a known prompt; and, at a
// terminal, any that something waits for at the end of a line that is no shell's prompt,
// and of which nothing is shown until its end, be it by a star for each letter. What may
// be one of the latter is held until that is known. It is safe for concurrent use; a nil
// mask finds none.
type mask struct {
	script bool   // there is no terminal: input may be what shows the prompts
	in     keeper // of the input, which keeps what was held; nil holds nothing
	panes  *panes // of a tmux in control mode; nil where none is looked for

	mu    sync.Mutex // guards what follows, and in
	shows showing    // what output shows
	armed bool       // the next line of input is an answer
	early bool       // whatever is shown
	held  []byte     // the beginning of what may be an answer, at most maxAnswer
	lines int        // answers so far
	waits waiting
}

// shown takes output, and keeps what was held of input if that is known for none now.
func (m *mask) shown(p []byte) error {
	if m == nil || len(p) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panes != nil {
		if err := m.panes.shown(p); err != nil {
			return err
		}
	}
	m.shows.take(p)
	if m.shows.moved || m.shows.redrawn {
		m.armed = m.armed && m.early // whoever asked has gone on
		m.waits.mid = false
	}
	if (m.lines < maxMasked || !m.script) && prompts.Match(m.shows.asking()) {
		m.armed = true
	}
	if !m.waits.open {
		return nil
	}
	m.waits.see(&m.shows)
	return m.settle(false)
}

// arm makes the first line of input an answer, whatever is shown before it.
func (m *mask) arm() { m.armed, m.early = true, true }

// kept has the tap keep input, but for what is masked, and what may be.
func (m *mask) kept(t keeper, p []byte) error {
	if m == nil {
		return t.take(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panes != nil {
		if m.panes.on() {
			if err := m.rest(t); err != nil { // what was typed to whoever began it
				return err
			}
			return m.panes.kept(p)
		}
		if err := m.panes.left(); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		keep, answer, rest, err := m.next(p)
		if err != nil {
			return err
		}
		if err := t.take(keep); err != nil {
			return err
		}
		if err := t.blank(answer, masked); err != nil {
			return err
		}
		p = rest
	}
	return nil
}

// next takes input. It returns what is to be kept, or how many bytes an answer had
// that is over, and what of p comes after that. What it keeps to itself, it returns
// once more has come, or keeps when more is shown. m.mu is held, as for what follows.
func (m *mask) next(p []byte) (keep []byte, answer int, rest []byte, err error) {
	switch {
	case m.waits.open:
		rest, err = m.wait(p)
		return nil, 0, rest, err
	case !m.armed && len(m.held) > 0: // whoever asked has gone on before its end
		return nil, m.over(), p, nil
	case !m.armed && m.in != nil && !m.script && m.lines < maxMasked && m.waits.begins(&m.shows, p):
		rest, err = m.wait(p)
		return nil, 0, rest, err
	case !m.armed:
		m.waits.pass(p)
		return p, 0, nil, nil
	}
	n := bytes.IndexAny(p, "\r\n") + 1
	ends := n > 0
	if !ends {
		n = len(p)
	}
	if len(m.held)+n > maxAnswer {
		keep = m.held
		m.held, m.armed, m.early = nil, false, false
		m.shows.clear()
		if len(keep) == 0 {
			return p, 0, nil, nil
		}
		return keep, 0, p, nil
	}
	m.held = append(m.held, p[:n]...)
	if !ends {
		return nil, 0, nil, nil
	}
	return nil, m.over(), p[n:], nil
}

// over forgets an answer, and returns its length.
func (m *mask) over() int {
	n := len(m.held)
	clear(m.held)
	m.held, m.armed, m.early = m.held[:0], false, false
	m.shows.clear()
	m.lines++
	return n
}

// end takes what is held when no more input comes: an answer that no line's end came
// for counts as one.
func (m *mask) end(t keeper) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panes != nil {
		if err := m.panes.end(); err != nil {
			return err
		}
	}
	return m.rest(t)
}

// rest is end with m.mu held, of what isn't typed into panes.
func (m *mask) rest(t keeper) error {
	if m.waits.open {
		return m.settle(true)
	}
	if len(m.held) == 0 {
		return nil
	}
	return t.blank(m.over(), masked)
}
