package control

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keys finds what is typed into panes in what the user of control mode sends: commands of
// tmux, a line each, of which send-keys types. The zero Keys is at the start of a line. It
// isn't safe for concurrent use.
type Keys struct {
	line []byte
	long bool // it has more than is kept
}

// Command is one of a line, and what it types into a pane, if anything.
type Command struct {
	Raw  []byte // as it was sent, without what ends it
	Pane string // as tmux calls it, or "" where the command doesn't say a pane's own name
	Keys []byte
	// Bare says that the command types its keys and has room for nothing else: it is in one
	// of the forms that clients send.
	Bare bool
}

// A command that is bare has as many bytes at most: with the longest form of a key, which is
// 0x1f512 for four, and beside its keys.
const (
	perKey  = 8
	allKeys = 32
)

// Sent takes what was sent; typed gets what was typed into a pane.
func (k *Keys) Sent(b []byte, typed func(pane string, keys []byte)) {
	k.Lines(b, func(_ []byte, commands []Command) {
		for _, c := range commands {
			if len(c.Keys) > 0 {
				typed(c.Pane, c.Keys)
			}
		}
	})
}

// Lines takes what was sent; line gets each line with its end, and its commands where one
// of them may type something. What is longer than is looked at it gets in pieces.
func (k *Keys) Lines(b []byte, line func(raw []byte, commands []Command)) {
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n") + 1
		end := n > 0
		if !end {
			n = len(b)
		}
		if !k.long && len(k.line)+n > maxLine {
			if held := k.Spill(); len(held) > 0 {
				line(held, nil)
			}
			k.long = true
		}
		switch {
		case k.long:
			line(b[:n], nil)
		case end:
			k.line = append(k.line, b[:n]...)
			line(k.line, commandsOf(k.line[:len(k.line)-1]))
		default:
			k.line = append(k.line, b[:n]...)
		}
		if end {
			k.line, k.long = k.line[:0], false
		}
		b = b[n:]
	}
}

// Held is how many bytes there are of a line whose end is still to come.
func (k *Keys) Held() int { return len(k.line) }

// Spill returns them, and what follows up to the line's end comes as it is.
func (k *Keys) Spill() []byte {
	held := bytes.Clone(k.line)
	k.line, k.long = k.line[:0], k.long || len(held) > 0
	return held
}

// commandsOf are those of a line; nil where none of them types anything.
func commandsOf(line []byte) (all []Command) {
	if !bytes.Contains(line, []byte("send")) {
		return nil
	}
	var words []string
	for begun := line; len(line) > 0; {
		w, rest, end := word(line)
		line = rest
		if w != "" {
			words = append(words, w)
		}
		if !end && len(line) > 0 {
			continue
		}
		raw := begun[:len(begun)-len(line)]
		if end && rest != nil { // else the line ends it
			raw = raw[:len(raw)-1]
		}
		c := Command{Raw: bytes.Clone(raw)}
		sendKeys(words, func(pane string, keys []byte, bare bool) {
			c.Pane, c.Keys, c.Bare = pane, keys, bare && len(raw) <= allKeys+perKey*len(keys)
		})
		all = append(all, c)
		words, begun = words[:0], line
	}
	return all
}

// word cuts a word off a line, as tmux's parser does it; end says that its command ends
// there. Source: tmux(1), COMMAND PARSING AND EXECUTION.
func word(line []byte) (w string, rest []byte, end bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '\'', c == '"':
			quote = c
		case c == ' ', c == '\t', c == ';':
			return b.String(), line[i+1:], c == ';'
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil, true
}

// sendKeys has one command. bare says that each of its words is a flag of clients', the
// name of a pane or a key.
func sendKeys(words []string, typed func(pane string, keys []byte, bare bool)) {
	if len(words) == 0 || words[0] != "send-keys" && words[0] != "send" {
		return
	}
	pane, literal, hex, bare := "", false, false, true
	words = words[1:]
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		flags := words[0][1:]
		words = words[1:]
		if flags == "-" {
			break
		}
		for at, f := range flags {
			literal, hex = literal || f == 'l', hex || f == 'H'
			bare = bare && strings.ContainsRune("lHt", f)
			if f == 'X' {
				return // a command of copy mode
			}
			if f != 't' && f != 'N' && f != 'c' {
				continue
			}
			value := flags[at+1:] // an argument
			if value == "" && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if _, ok := id([]byte(value), '%'); f == 't' && ok {
				pane = value
			}
			break
		}
	}
	var keys []byte
	for _, w := range words {
		switch {
		case literal:
			keys = append(keys, w...)
		case hex:
			n, err := strconv.ParseUint(w, 16, 8)
			if bare = bare && err == nil; err == nil {
				keys = append(keys, byte(n))
			}
		default:
			keys = append(keys, key(w)...)
		}
	}
	if len(keys) > 0 {
		typed(pane, keys, bare)
	}
}

// named are tmux's names of keys that send text, or what ends or edits a line.
var named = map[string]string{
	"enter": "\r", "kpenter": "\r", "space": " ", "tab": "\t", "btab": "\x1b[Z", "escape": "\x1b", "bspace": "\x7f",
	"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
	"dc": "\x1b[3~", "delete": "\x1b[3~", "pageup": "\x1b[5~", "ppage": "\x1b[5~", "pagedown": "\x1b[6~", "npage": "\x1b[6~",
}

// key is what a word of send-keys types: a key by its name, or else its letters.
func key(w string) string {
	if n, ok := strings.CutPrefix(strings.ToLower(w), "0x"); ok {
		if n, err := strconv.ParseUint(n, 16, 21); err == nil && n < 0x100 {
			return string([]byte{byte(n)})
		} else if err == nil {
			return string(rune(n))
		}
	}
	if text, ok := named[strings.ToLower(w)]; ok {
		return text
	}
	if rest, ok := strings.CutPrefix(w, "C-"); ok && len(rest) == 1 {
		return string([]byte{rest[0] & 0x1f})
	}
	if rest, ok := strings.CutPrefix(w, "M-"); ok && utf8.RuneCountInString(rest) == 1 {
		return "\x1b" + rest
	}
	return w
}
