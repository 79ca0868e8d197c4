package play

import (
	"bytes"
	"fmt"
	"io"

	"entry/session/recording/screen"
)

// View is the reader's terminal.
type View struct {
	Size func() (cols, rows int) // now
	Keys func() []Key            // typed since the last call; it doesn't wait
}

// picture is what the reader's terminal shows: a part of the screen, and a line
// below it.
type picture struct {
	w          io.Writer
	view       *View
	cols, rows int      // of the reader's terminal
	shown      [][]spot // what it shows of the screen
	status     string
	cursor     string
	x, y       int  // of the screen, where the picture begins
	moved      bool // by the reader; it doesn't follow the cursor then
	out        bytes.Buffer
}

// spot is one place of the picture.
type spot struct {
	text  string
	style screen.Style
}

func newPicture(w io.Writer, v *View) *picture { return &picture{w: w, view: v} }

// tooSmall says in words that the reader's terminal can't show all of a screen.
func (p *picture) tooSmall(cols, rows int) string {
	if c, r := p.view.Size(); c < cols || r-1 < rows {
		return fmt.Sprintf("recorded in %dx%d, here is room for %dx%d: h j k l move, f follows", cols, rows, c, r-1)
	}
	return ""
}

// close gives the terminal back as it was.
func (p *picture) close() {
	if p.shown != nil {
		_, _ = io.WriteString(p.w, "\x1b[0m\x1b[?25h\x1b[?1049l") // the terminal may be gone
	}
}

// move moves the view.
func (p *picture) move(k Key) {
	p.moved = k != Follow
	switch k {
	case ViewLeft:
		p.x -= p.cols / 2
	case ViewRight:
		p.x += p.cols / 2
	case ViewUp:
		p.y -= p.rows / 2
	case ViewDown:
		p.y += p.rows / 2
	}
}

// place chooses what part of the screen is shown: where the cursor is, or where
// the reader moved to.
func (p *picture) place(t *screen.Terminal, rows int) {
	cols, all := t.Size()
	if !p.moved {
		x, y, _ := t.Cursor()
		p.x = within(p.x, x, p.cols)
		p.y = within(p.y, y, rows)
	}
	p.x = max(0, min(p.x, cols-p.cols))
	p.y = max(0, min(p.y, all-rows))
}

// within returns the start of n places that hold at, near from.
func within(from, at, n int) int {
	if at < from {
		return at
	}
	return max(from, at-n+1)
}

// paint makes the terminal show the screen.
func (p *picture) paint(t *screen.Terminal, status string) error {
	cols, rows := p.view.Size()
	cols, rows = max(cols, 1), max(rows, 2)
	p.out.Reset()
	if p.shown == nil {
		p.out.WriteString("\x1b[?1049h")
	}
	if p.shown == nil || cols != p.cols || rows != p.rows {
		p.cols, p.rows, p.status = cols, rows, ""
		p.shown = make([][]spot, rows-1)
		for y := range p.shown {
			p.shown[y] = make([]spot, cols)
			for x := range p.shown[y] {
				p.shown[y][x].text = " "
			}
		}
		p.out.WriteString("\x1b[0m\x1b[2J")
	}
	p.place(t, rows-1)
	for y := range p.shown {
		p.paintRow(t, y)
	}
	if status = narrow(status, cols-1); status != p.status {
		p.status = status
		fmt.Fprintf(&p.out, "\x1b[%d;1H\x1b[0;7m%-*s\x1b[0m", rows, cols-1, status)
	}
	cursor := "\x1b[?25l"
	x, y, visible := t.Cursor()
	if x, y = x-p.x, y-p.y; visible && x >= 0 && x < cols && y >= 0 && y < rows-1 {
		cursor = fmt.Sprintf("\x1b[%d;%dH\x1b[?25h", y+1, x+1)
	}
	if p.out.Len() == 0 && cursor == p.cursor {
		return nil
	}
	p.cursor = cursor
	p.out.WriteString(cursor)
	_, err := p.w.Write(p.out.Bytes())
	return err
}

// seen is the style in which something is shown to who reviews: what the session's terminal
// hid, by SGR 8 or in the colour of its background, is faint and struck through instead.
func seen(s screen.Style, text string) screen.Style {
	if text == " " || text == "" {
		return s
	}
	if s.Hides() {
		if s.FG == s.BG {
			s.FG, s.BG = 0, 0
		}
		s.Attr = s.Attr&^screen.Hidden | screen.Faint | screen.Strike
	}
	return s
}

// narrow cuts s to n columns, and makes sure that it has no more.
func narrow(s string, n int) string {
	b := []byte(s)[:min(len(s), n)]
	for i := range b {
		if b[i] < 0x20 || b[i] > 0x7e {
			b[i] = '?'
		}
	}
	return string(b)
}

// paintRow brings one row up to date.
func (p *picture) paintRow(t *screen.Terminal, y int) {
	var cells []screen.Cell
	if _, rows := t.Size(); p.y+y < rows {
		cells = t.Cells(p.y + y)
	}
	at := -1 // the column that the terminal's cursor is known to be in
	var style screen.Style
	put := func(x int, s spot) {
		if at != x {
			fmt.Fprintf(&p.out, "\x1b[%d;%dH", y+1, x+1)
		}
		if at != x || s.style != style {
			p.out.Write(s.style.AppendSGR(nil))
		}
		p.out.WriteString(s.text)
		style, at = s.style, x+1
		if len(s.text) > 1 {
			at = -1 // terminals disagree about how wide some characters are
		}
	}
	for x := range p.shown[y] {
		s := spot{text: " "}
		if p.x+x < len(cells) {
			c := cells[p.x+x]
			s = spot{t.Text(c), seen(c.Style(), t.Text(c))}
			if c.Width() == 2 && x == p.cols-1 || c.Width() == 0 && x == 0 {
				s.text = " " // half of it is outside
			}
		}
		if p.shown[y][x] == s {
			continue
		}
		p.shown[y][x] = s
		if s.text == "" {
			at = -1
			continue // the right half of what was painted before it
		}
		for at >= 0 && at < x && x-at <= shortWay && len(p.shown[y][at].text) == 1 {
			put(at, p.shown[y][at])
		}
		put(x, s)
	}
}

// shortWay is how many characters are written again rather than stepped over:
// a step takes about as many bytes.
const shortWay = 6

// plainWriter writes rows where no terminal shows a screen.
type plainWriter struct {
	w      io.Writer
	end    string // of a line
	styled bool   // with colours, as on a terminal
	pane   string // whose they are
	err    error  // the first one
	line   []byte
	style  screen.Style
}

// row writes a row that scrolled off; wrapped says that the next one goes on with
// its line.
func (p *plainWriter) row(t *screen.Terminal, cells []screen.Cell, wrapped bool) {
	if p.pane != "" && len(p.line) == 0 {
		p.line = append(append(p.line, p.pane...), "  "...)
	}
	for _, c := range cells {
		if s := seen(c.Style(), t.Text(c)); p.styled && s != p.style {
			p.style = s
			p.line = s.AppendSGR(p.line)
		}
		p.line = append(p.line, t.Text(c)...)
	}
	if wrapped && len(p.line) < maxPlain {
		cols, _ := t.Size()
		p.line = append(p.line, bytes.Repeat([]byte(" "), cols-len(cells))...)
		return
	}
	p.line = bytes.TrimRight(p.line, " ")
	if p.style != (screen.Style{}) {
		p.style = screen.Style{}
		p.line = p.style.AppendSGR(p.line)
	}
	p.line = append(p.line, p.end...)
	if _, err := p.w.Write(p.line); p.err == nil {
		p.err = err
	}
	p.line = p.line[:0]
}

const maxPlain = 64 << 10 // bytes of a line until it is broken

// screen writes what stands on the screen.
func (p *plainWriter) screen(t *screen.Terminal) {
	_, rows := t.Size()
	for rows > 0 && len(t.Cells(rows-1)) == 0 {
		rows--
	}
	for y := range rows {
		p.row(t, t.Cells(y), t.Wrapped(y))
	}
	if len(p.line) > 0 {
		p.row(t, nil, false)
	}
}
