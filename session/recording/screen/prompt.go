package screen

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"
)

// prompts are the characters in which a prompt ends, before a space.
const prompts = "$#%>❯➜»λ›▶"

// prompted reports whether a row looks like a prompt up to a column.
func (c *Commands) prompted(r *row, x int) bool {
	if x < 2 || glyphAt(r, x-1) != 0 || x-2 >= len(r.cells) {
		return false
	}
	switch g := glyphAt(r, x-2); {
	case g == '.':
		return x == 4 && string(c.rowText(r, 0, 3)) == "..." // an interpreter's
	case g == 0 || g >= cluster:
		return false
	case g == '%' && x > 2 && unicode.IsDigit(rune(glyphAt(r, x-3))):
		return false // of something that is done
	default:
		return bytes.ContainsRune([]byte(prompts), rune(g))
	}
}

// split finds the prompt in a line that has more already, and reports whether there is
// one.
func (c *Commands) split(r *row) bool {
	if c.kcol > 0 && c.shows(r, c.known, c.kcol) {
		c.prompt, c.col, c.right, c.beyond = c.known, c.kcol, "", ""
		return true
	}
	for x := 2; x < len(r.cells); x++ {
		if c.prompted(r, x) {
			c.col, c.prompt, c.right, c.beyond = x, string(c.rowText(r, 0, x)), "", ""
			return true
		}
	}
	return false
}

// shows reports whether a row starts with a prompt, whatever numbers are in that: a clock
// goes on.
func (c *Commands) shows(r *row, prompt string, col int) bool {
	text := c.rowText(r, 0, col)
	if len(text) != len(prompt) {
		return false
	}
	for i, b := range text {
		if b != prompt[i] && !(b-'0' < 10 && prompt[i]-'0' < 10) {
			return false
		}
	}
	return true
}

// continues reports whether a prompt asks for the rest of what was entered: that of
// bash and dash, of zsh, of interpreters.
func continues(prompt []byte) bool {
	p := bytes.TrimSpace(prompt)
	if string(p) == "..." || string(p) == ">" || string(p) == "->" {
		return true
	}
	p, ok := bytes.CutSuffix(p, []byte(">"))
	for _, word := range bytes.Fields(p) {
		ok = ok && bytes.Contains([]byte(" quote dquote bquote heredoc cmdsubst subsh pipe if elif then else for while until do case function cmdand cmdor array cursh select repeat braceparam math cond heredocd "), slices.Concat([]byte(" "), word, []byte(" ")))
	}
	return ok
}

// osc hears of a piece of an OSC, and whether it ends there.
func (c *Commands) osc(b []byte, end bool) {
	if len(c.mark) < maxMark {
		c.mark = append(c.mark, b[:min(len(b), maxMark-len(c.mark))]...)
	}
	if !end {
		return
	}
	mark := c.mark
	c.mark = c.mark[:0]
	if last := b[len(b)-1]; last == 0x18 || last == 0x1a { // CAN and SUB undo it
		return
	}
	if i := bytes.IndexFunc(mark, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == 0x9c }); i >= 0 {
		mark = mark[:i]
	}
	if mark, ok := bytes.CutPrefix(mark, []byte("133;")); ok && len(mark) > 0 && (len(mark) == 1 || mark[1] == ';') {
		c.marked(mark[0], mark[1:])
	}
}

// marked hears of a shell's mark.
func (c *Commands) marked(what byte, rest []byte) {
	t := c.t
	switch what {
	case 'A':
		c.flush()
	case 'B':
		c.arm(sure)
	case 'C':
		if c.armed == sure {
			c.edits, c.fresh = false, false
			c.enter(t.page.rows[t.y])
		}
	case 'D':
		if status, ok := bytes.CutPrefix(rest, []byte(";")); ok && c.held != nil {
			n, digits := 0, 0
			for _, d := range status {
				if d < '0' || d > '9' || digits == 3 {
					break
				}
				n, digits = 10*n+int(d-'0'), digits+1
			}
			if digits > 0 {
				c.held.Status = &n
			}
		}
		c.flush()
	}
}
