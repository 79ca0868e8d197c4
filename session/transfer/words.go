package transfer

import (
	"regexp"
	"strings"
)

// word is one word of a command line, as a POSIX shell takes it apart, before it
// expands anything.
type word struct {
	text   string
	quoted []bool // by byte of text: it stood in quotes, or behind a backslash
	live   []bool // by byte: the shell gives it a meaning (* ? [ ] and a leading ~name)
}

// tilde is what a shell takes for somebody's home directory.
var tilde = regexp.MustCompile(`^~([a-z_][a-z0-9_-]*)?(/|$)`)

// split takes a command line apart: POSIX.1-2017, 2.2 (quoting) and 2.3 (tokens),
// and nothing of what comes after. bad says what in it has more of a meaning than
// words have, "" if nothing; words are those before that then, the last of them
// as far as it was read.
func split(line string) (words []word, bad string) {
	s := splitter{rest: line}
	for s.rest != "" && s.bad == "" {
		s.next()
	}
	s.finish()
	return s.words, s.bad
}

// splitter is what split has read.
type splitter struct {
	rest  string
	words []word
	word  word
	open  bool // a word has begun, if only by quotes around nothing
	bad   string
}

// next reads one character that isn't in quotes, or quotes to their end.
func (s *splitter) next() {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch {
	case c == ' ' || c == '\t':
		s.finish()
	case c == '\'':
		s.open = true
		inside, rest, ended := strings.Cut(s.rest, "'")
		if s.rest = rest; !ended {
			s.bad = "a quote that doesn't end"
		}
		for i := range len(inside) {
			s.put(inside[i], true)
		}
	case c == '"':
		s.open = true
		s.double()
	case c == '\\':
		if s.rest == "" {
			s.bad = "a backslash at the end"
			return
		}
		s.put(s.rest[0], true)
		s.rest = s.rest[1:]
	case strings.IndexByte(";&|<>()$`{}", c) >= 0, c == '#' && !s.open:
		s.bad = string(rune(c)) + " outside quotes"
	case (c == '!' || c == '^') && strings.HasSuffix(s.word.text, "[") && s.word.live[len(s.word.live)-1]:
		s.bad = string(rune(c)) + " behind a bracket"
	default:
		s.put(c, false)
	}
}

// double reads what double quotes hold.
func (s *splitter) double() {
	for s.rest != "" && s.bad == "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return
		case c == '$' || c == '`':
			s.bad = string(rune(c)) + " in double quotes"
		case c == '\\' && s.rest != "" && strings.IndexByte("$`\"\\\n", s.rest[0]) >= 0:
			s.put(s.rest[0], true)
			s.rest = s.rest[1:]
		default:
			s.put(c, true)
		}
	}
	if s.bad == "" {
		s.bad = "a quote that doesn't end"
	}
}

func (s *splitter) put(c byte, quoted bool) {
	if c < ' ' && c != '\t' || c == 0x7f {
		s.bad = "a control character"
		return
	}
	s.open = true
	s.word.text += string([]byte{c})
	s.word.quoted = append(s.word.quoted, quoted)
	s.word.live = append(s.word.live, !quoted && strings.IndexByte("*?[]", c) >= 0)
}

// finish ends a word.
func (s *splitter) finish() {
	if !s.open {
		return
	}
	w := s.word
	s.word, s.open = word{}, false
	// The slash may be quoted, what is before it must not.
	if home := strings.TrimSuffix(tilde.FindString(w.text), "/"); home != "" && !anyOf(w.quoted[:len(home)]) {
		for i := range home {
			w.live[i] = true
		}
	}
	s.words = append(s.words, w)
}

func anyOf(set []bool) bool {
	for _, b := range set {
		if b {
			return true
		}
	}
	return false
}

// globs says that the shell may put other names in the place of w.
func (w word) globs() bool {
	for i, live := range w.live {
		if live && strings.IndexByte("*?[]", w.text[i]) >= 0 {
			return true
		}
	}
	return false
}

// dead is w with no meaning but its text.
func dead(text string) word {
	return word{text: text, quoted: make([]bool, len(text)), live: make([]bool, len(text))}
}

// path is w as the operand of a program that must not take it, or what a shell
// makes of it, for an option.
func (w word) path() word {
	if w.text != "" && (w.text[0] == '-' || w.live[0] && w.text[0] != '~') {
		here := dead("./")
		return word{here.text + w.text, append(here.quoted, w.quoted...), append(here.live, w.live...)}
	}
	return w
}

// String writes w for a shell. Not only POSIX's read it alike: fish takes a
// backslash in single quotes, csh an exclamation mark anywhere, for more than
// themselves, so both stand outside with a backslash.
func (w word) String() string {
	if w.text == "" {
		return "''"
	}
	// Within brackets a quoted - or ] is no range or end: quotes stay with their
	// bytes there. Elsewhere all of a run has them if one byte needs them.
	ranges := false
	for i, live := range w.live {
		ranges = ranges || live && w.text[i] == '['
	}
	var b strings.Builder
	for i := 0; i < len(w.text); {
		end := i + 1
		switch c := w.text[i]; {
		case w.live[i]:
			b.WriteByte(c)
		case c == '\'' || c == '\\' || c == '!':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			plain := w.plain(i)
			for ; end < len(w.text) && !w.live[end] && strings.IndexByte(`'\!`, w.text[end]) < 0; end++ {
				if ranges && w.plain(end) != plain {
					break
				}
				plain = plain && w.plain(end)
			}
			quote := "'"
			if plain {
				quote = ""
			}
			b.WriteString(quote + w.text[i:end] + quote)
		}
		i = end
	}
	return b.String()
}

// plain says that a byte means itself in any shell, where it stands.
func (w word) plain(i int) bool {
	switch c := w.text[i]; {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '/', c == '.':
		return true
	case c == '=':
		return i > 0 && !w.quoted[i]
	default:
		return !w.quoted[i] && strings.IndexByte("-,:+@", c) >= 0
	}
}

// asLine writes words as one line.
func asLine(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.String())
	}
	return b.String()
}
