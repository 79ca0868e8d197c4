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

// Sent takes what was sent; typed gets what was typed into a pane, as tmux calls it, or ""
// where the command doesn't say a pane's own name.
func (k *Keys) Sent(b []byte, typed func(pane string, keys []byte)) {
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n")
		end := n >= 0
		if !end {
			n = len(b)
		}
		if len(k.line)+n > maxLine {
			k.line, k.long = k.line[:0], true
		}
		if !k.long {
			k.line = append(k.line, b[:n]...)
		}
		if !end {
			return
		}
		if b = b[n+1:]; !k.long {
			typedBy(k.line, typed)
		}
		k.line, k.long = k.line[:0], false
	}
}

// typedBy has the commands of a line.
func typedBy(line []byte, typed func(pane string, keys []byte)) {
	if !bytes.Contains(line, []byte("send")) {
		return
	}
	var words []string
	for len(line) > 0 {
		var w string
		var end bool
		if w, line, end = word(line); w != "" {
			words = append(words, w)
		}
		if end || len(line) == 0 {
			sendKeys(words, typed)
			words = words[:0]
		}
	}
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

// sendKeys has one command.
func sendKeys(words []string, typed func(pane string, keys []byte)) {
	if len(words) == 0 || words[0] != "send-keys" && words[0] != "send" {
		return
	}
	pane, literal, hex := "", false, false
	words = words[1:]
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		flags := words[0][1:]
		words = words[1:]
		if flags == "-" {
			break
		}
		for at, f := range flags {
			literal, hex = literal || f == 'l', hex || f == 'H'
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
			if n, err := strconv.ParseUint(w, 16, 8); err == nil {
				keys = append(keys, byte(n))
			}
		default:
			keys = append(keys, key(w)...)
		}
	}
	if len(keys) > 0 {
		typed(pane, keys)
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
