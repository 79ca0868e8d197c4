package index

import "entry/audit"

// Learn is audit.Index's.
func (x *Index) Learn(line []byte, e audit.Event) {
	if x.next == nil || x.db == nil {
		return
	}
	if x.next.end != e.Seq {
		x.next = nil // not the one that follows
		return
	}
	if !x.next.add(line, &e) {
		x.keep()
	}
}

// Leave is audit.Index's. Of the last file no beginning of a chunk is kept: more may come.
func (x *Index) Leave(whole bool) {
	if whole && x.next != nil && x.db != nil && !x.part.Last() {
		if x.next.end > x.next.first {
			x.keep()
		}
		if x.next != nil && x.next.first == x.part.Next {
			if err := x.same(x.part, x.chain); err != nil {
				x.fail(err)
			}
		}
	}
	x.next = nil
}

// keep stores the chunk that was learnt, and begins the next one. Somebody else may have
// stored the same one meanwhile.
func (x *Index) keep() {
	c := x.next
	x.next = nil
	if !roomy(x.folder) {
		x.full = true
		return
	}
	c.done(x.hasher)
	if err := x.db.keep(c); err != nil {
		x.fail(err)
		return
	}
	x.spans[c.first] = c.span
	x.chain = append(x.chain, c.span)
	x.next = x.chunk(c.segment, c.end, c.to)
}

// leastFree is what has to be free on the disk of an index that grows: it may be the log's
// or the recordings', which end what runs where they have little.
const leastFree = 2 << 30 // bytes; that of 10 million records has some hundred MiB
