package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible reports whether r is something that a reader sees and that changes
// nothing around it: a letter, mark, number, sign or space. Controls, format
// characters (bidi, joiners, soft hyphen, byte order mark), separators of lines
// and U+FFFD aren't.
func Visible(r rune) bool { return r != utf8.RuneError && unicode.IsGraphic(r) }

// ascii reports whether r is printable ASCII.
func ascii(r rune) bool { return r >= ' ' && r <= '~' }

// Word returns s as it is if it is one plain word of ASCII without quotes,
// backslash or equals sign, else as a Go string literal. What it returns can
// stand beside others, as in name=value.
func Word(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !ascii(r) || strings.ContainsRune("\"'\\=`", r) }) {
		return strconv.Quote(s)
	}
	return s
}

// Line returns s as it is if all of it is printable ASCII, else as Quote does.
func Line(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !ascii(r) }) {
		return Quote(s)
	}
	return s
}

// Quote returns s as a Go string literal of printable ASCII.
func Quote(s string) string { return strconv.QuoteToASCII(s) }

// Said returns what an operator wrote as a Go string literal in its own script: what
// is printable stays, all else is escaped.
func Said(s string) string { return strconv.Quote(s) }

// Name returns s as it is if all of it is printable ASCII, else as Said does: a name
// that an operator's own files have, which may hold anything.
func Name(s string) string {
	if Line(s) == s {
		return s
	}
	return Said(s)
}

// OneLine returns s as one line of at most most bytes, in whatever script it is: line
// ends and tabs become spaces, what else isn't Visible is escaped as a Go string
// literal has it. It is cut between characters; spaces at the end are cut off.
func OneLine(s string, most int) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := s[:n]
		switch {
		case r == '\n', r == '\r', r == '\t':
			text = " "
		case !Visible(r):
			text = strings.Trim(strconv.Quote(text), `"`)
		}
		if b.Len()+len(text) > most {
			break
		}
		b.WriteString(text)
		s = s[n:]
	}
	return strings.TrimRight(b.String(), " ")
}

// Text returns s with a question mark for every character that isn't Visible, and with
// bytes that are no UTF-8 as UTF8 has them: one line, in whatever script its owner chose.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if !Visible(r) {
			return '?'
		}
		return r
	}, UTF8(s))
}

// UTF8 returns s with each byte that is no UTF-8 as \xe5, and all else as it is: for
// readers, whom a backslash of its owner's may mislead.
func UTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// Escaped returns s as one line of printable ASCII of at most most bytes: all else in it
// as a Go string literal has it, and so each byte that is no UTF-8 as \xe5.
func Escaped(s string, most int) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := s[:n]
		if !ascii(r) || r == '\\' {
			text = strings.Trim(Quote(text), `"`)
		}
		if b.Len()+len(text) > most {
			break
		}
		b.WriteString(text)
		s = s[n:]
	}
	return b.String()
}

// ASCII returns one line of printable ASCII of at most most bytes: line ends
// and tabs become spaces, every other character outside of it a question mark.
// Spaces at the end are cut off. OpenSSH prints anything else in a refused
// channel's text as octal numbers.
func ASCII(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= most {
			break
		}
		switch {
		case ascii(r):
		case r == '\n', r == '\r', r == '\t':
			r = ' '
		default:
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	return strings.TrimRight(b.String(), " ")
}

// Lines returns a text of several lines without what a terminal would obey:
// tabs become spaces, invalid bytes question marks; what isn't Visible is left
// out, but for line feeds and the two joiners that scripts need. Escape
// sequences lose their ESC only: whoever doesn't want to see the rest of them
// strips them first.
func Lines(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', Visible(r), r == utf8.RuneError, r == '\u200c', r == '\u200d':
			return r
		case r == '\t':
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}

// Clip returns s if it has at most most bytes, else as much of its start as
// has, cut between characters, with "..." behind it.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && most-end < utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	if !utf8.RuneStart(s[end]) {
		end = most // not UTF-8
	}
	return s[:end] + "..."
}
