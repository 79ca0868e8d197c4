package screen

// How large a terminal is is what its client says, and of output without a terminal nobody
// says it. Where a position is asked for that this screen hasn't, another one may have it:
// what is written there stands in a place of its own, and here over something else, or
// under it. So it is told as it was written, too, unless it stands.

// beyond notes whether a position that was asked for is to the right of the screen (x), or
// below it (y).
func (t *Terminal) beyond(x, y bool) {
	t.offX, t.offY = x, y
	if (x || y) && t.log != nil {
		t.log.written.doubt, t.log.written.apart = true, true
	}
}

// toColumn moves the cursor in its row, relative to where it is or not.
func (t *Terminal) toColumn(x int, relative bool) {
	t.beyond(x >= t.cols || relative && t.offX, t.offY)
	t.moveTo(x, t.y)
}

// covers notes that a letter is about to come over another one in the last column, since
// lines aren't wrapped: on a wider screen it comes beside it.
func (t *Terminal) covers() {
	if t.log == nil || t.autowrap || t.x < t.cols-1 {
		return
	}
	if r := t.page.rows[t.y]; len(r.cells) >= t.cols && !r.cells[t.cols-1].blank() {
		t.log.written.doubt = true
	}
}
