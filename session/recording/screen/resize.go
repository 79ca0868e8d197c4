package screen

import "slices"

// Resize changes the size, as New takes it. Rows that don't fit any more leave
// the main screen at its top, and come back there when it grows; its wrapped
// lines are wrapped anew. The alternate screen is cut, for its program draws it
// anew.
func (t *Terminal) Resize(cols, rows int) {
	cols, rows = Fit(cols, rows)
	if cols == t.cols && rows == t.rows {
		return
	}
	saved := &t.main.saved // the cursor of the main screen
	if t.page == t.main {
		saved = &t.cursor
	}
	was := t.cols
	t.cols = cols
	t.main.height(t, rows, saved)
	t.rows = rows
	if cols != was {
		t.rewrap(saved)
		t.defaultTabs(0)
	}
	if t.page == t.alt {
		saved = &t.cursor
	} else {
		saved = &t.alt.saved
	}
	t.alt.height(t, rows, saved)
	for _, r := range t.alt.rows {
		if len(r.cells) > cols {
			r.touch(t.now)
		}
		r.cut(cols)
	}
	for _, p := range []*page{t.main, t.alt} {
		p.region = region{bottom: rows - 1}
	}
	for _, c := range []*cursor{&t.cursor, &t.main.saved, &t.alt.saved} {
		c.x, c.y = min(c.x, cols-1), min(c.y, rows-1)
	}
	t.pending = false
}

// height changes a page's number of rows: fewer go from below the cursor, then
// from the top; more come from the scrollback, then below.
func (p *page) height(t *Terminal, rows int, c *cursor) {
	had := len(p.rows)
	if rows < had {
		below := min(had-1-c.y, had-rows)
		for _, r := range p.rows[had-below:] {
			t.drop(r)
		}
		p.rows = p.rows[:had-below]
		above := len(p.rows) - rows
		for _, r := range p.rows[:above] {
			if p == t.main && t.maxBack > 0 {
				t.toScrollback(r)
			} else {
				t.drop(r)
			}
		}
		p.rows = slices.Clone(p.rows[above:])
		c.y = max(0, c.y-above)
	}
	if rows > had && p == t.main {
		n := min(rows-had, t.hscrolled, len(t.back))
		back := t.scrollback()
		t.back, t.oldest = back[:len(back)-n], 0
		t.hscrolled -= n
		for _, r := range back[len(back)-n:] {
			r.at = t.now
		}
		p.rows = slices.Concat(back[len(back)-n:], p.rows)
		c.y += n
	}
	for len(p.rows) < rows {
		p.rows = append(p.rows, &row{})
	}
}

// drop tells the transcript of a row that is cut off.
func (t *Terminal) drop(r *row) {
	if t.log != nil {
		t.log.lost(r)
	}
}

// rewrap wraps the main screen's lines and the scrollback's for the new width.
// c is where the cursor is there.
func (t *Terminal) rewrap(c *cursor) {
	all := append(t.scrollback(), t.main.rows...)
	at := len(all) - len(t.main.rows) + c.y
	var out []*row
	x, y := 0, -1
	for i := 0; i < len(all); {
		end := i
		for end < len(all)-1 && all[end].wrapped {
			end++
		}
		group := all[i : end+1]
		in := -1 // where the cursor is in the line; -1 is behind its text
		if at >= i && at <= end && c.x < all[at].used {
			in = c.x
			for _, r := range all[i:at] {
				in += r.used
			}
		}
		parts := rewrapped(group, t.cols)
		if t.log != nil && parts[0] != group[0] {
			t.log.rewrapped(group, parts)
		}
		if at >= i && at <= end {
			x, y = parts[len(parts)-1].used, len(out)+len(parts)-1
			for k, r := range parts {
				if in >= 0 && in < r.used {
					x, y = in, len(out)+k
					break
				}
				in -= r.used
			}
		}
		out = append(out, parts...)
		i = end + 1
	}
	for len(out) < t.rows {
		out = append(out, &row{})
	}
	above := len(out) - t.rows
	t.back, t.oldest = out[:above], 0
	if over := above - t.maxBack; over > 0 {
		t.back = slices.Clone(t.back[over:])
	}
	t.hscrolled = min(t.hscrolled, len(t.back))
	t.main.rows = slices.Clone(out[above:])
	for _, r := range out[:above] {
		t.leaves(r)
	}
	if y -= above; y < 0 {
		x, y = 0, 0
	}
	c.x, c.y = min(x, t.cols-1), y
}

// rewrapped returns the rows of one line for another width.
func rewrapped(group []*row, cols int) []*row {
	if len(group) == 1 && group[0].used <= cols {
		group[0].cut(cols)
		return group
	}
	var cells []Cell
	told, left, drawn, at := true, true, false, group[0].at
	for _, r := range group {
		cells, at = append(cells, r.written()...), max(at, r.at)
		told, left, drawn = told && r.told, left && r.left, drawn || r.drawn
	}
	if cols == 1 {
		for i, c := range cells {
			if c.attr&(wide|tail) != 0 {
				cells[i] = Cell{bg: c.bg} // there is no room for it
			}
		}
	}
	var out []*row
	for len(cells) > cols {
		n := cols
		if cells[n].attr&tail != 0 {
			n--
		}
		out = append(out, &row{cells: slices.Clone(cells[:n]), used: n, wrapped: true, told: told, left: left, at: at, to: n, drawn: drawn})
		cells = cells[n:]
	}
	return append(out, &row{cells: cells, used: len(cells), wrapped: group[len(group)-1].wrapped, told: told, left: left, at: at, to: len(cells), drawn: drawn})
}

// written returns the row's cells as far as something was ever written, so that
// lines are wrapped anew as tmux does it.
func (r *row) written() []Cell {
	if r.used <= len(r.cells) {
		return r.cells[:r.used]
	}
	return append(slices.Clone(r.cells), make([]Cell, r.used-len(r.cells))...)
}

// cut shortens the row to n cells.
func (r *row) cut(n int) {
	if len(r.cells) > n {
		r.split(n)
		r.cells = r.cells[:n]
	}
	r.cleared = false // it may not fill a wider screen
	r.used = min(r.used, n)
}
