package transfer

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"
)

// file is one that is open, or a directory.
type file struct {
	handle string
	path   string   // when it was opened
	to     string   // as which it was renamed since
	key    string   // what it is called now, to compare; "" if it may be anything
	mover  *request // under way, which renames it
	dir    bool
	began  time.Time
	order  int  // of the request that opened it
	moves  int  // that one's
	puts   bool // opened for what changes it
	gets   bool // opened for reading

	up, down content

	// base is how long the file may be but for what was written here; -1 isn't
	// known.
	base   int64
	ends   int64  // where reading it ends, as the target said; -1 isn't known
	read   bool   // the end was met by reading
	reach  int64  // to where it may have been written
	broke  int64  // the first place from which the target didn't give bytes; -1 is none
	broken string // what it said
	passes int    // times that all of it was read
	first  []byte // hash of the first

	pending int    // requests under way that name it
	writing int    // of those, WRITE
	sizing  int    // of those, FSETSTAT with a size
	sized   uint64 // the size in the last of those
	cuts    int    // of the latter, how many began or ended ever

	opening bool      // OPEN isn't answered
	closing bool      // CLOSE went out
	closed  bool      // and is answered
	denied  [3]string // by direction: why entry let no more pass
	failed  [3]string // likewise: what the target said first
}

// opens notes the file that q is to open: from when it goes out other requests may
// concern it.
func (d *SFTP) opens(q *request) {
	f := &file{path: q.path, key: d.key(q.path), dir: q.dir, began: q.began, order: q.order, moves: q.moves, opening: true, base: -1, ends: -1, broke: -1}
	f.up.pool, f.down.pool = &d.pool, &d.pool
	if d.texts+len(f.path)+len(f.key) > maxTexts {
		f.key = ""
	}
	d.texts += len(f.path) + len(f.key)
	if !f.dir {
		f.puts, f.gets = q.puts(), q.gets()
	}
	if q.anew {
		f.base = 0
	}
	switch {
	case q.flags&fxfAppend != 0:
		f.up.lose("it was opened for appending")
		f.reach = math.MaxInt64
	case q.attrs.flags&attrSize != 0:
		f.up.lose("it was opened with a size")
	}
	if f.puts {
		// Also if it fails: it may be emptied by then.
		for other := range d.named(f) {
			const twice = "it was open for writing twice at once"
			other.up.lose(twice)
			f.up.lose(twice)
		}
	}
	d.amid(f)
	d.files[f] = true
	q.file = f
	f.pending++
}

// opened notes the handle that answers q.
func (d *SFTP) opened(q *request, handle string, r Ruling) {
	f := q.file
	f.handle, f.opening = handle, false
	d.handles[handle] = f
	switch {
	case f.puts:
		r.Begin(Entry{Protocol: sftpName, Operation: "put", Direction: Upload, Path: f.path})
	case f.gets:
		r.Begin(Entry{Protocol: sftpName, Operation: "get", Direction: Download, Path: f.path})
	}
}

// named are the open files that can be changed and may be f by another handle. One
// that is being closed will be before anything else is done.
func (d *SFTP) named(f *file) iter.Seq[*file] {
	return func(yield func(*file) bool) {
		for other := range d.files {
			if other != f && other.puts && !other.closing && (f.mover != nil || d.same(other, f.key)) && !yield(other) {
				return
			}
		}
	}
}

// arrives takes the head of n bytes that were read from offset.
func (f *file) arrives(offset int64, n int) {
	c := &f.down
	if f.ends >= 0 && offset+int64(n) > f.ends {
		f.ends = -1 // it has grown
	}
	if n > 0 && offset == 0 && c.next > 0 && f.whole() && !c.compares(0, n) {
		f.again()
	}
	c.begin(offset, n)
}

// whole says that all of the file was read, once, and its end was seen.
func (f *file) whole() bool {
	return f.down.lost == "" && len(f.down.held) == 0 && f.down.next == f.ends
}

// again begins with reading all of the file once more.
func (f *file) again() {
	sum := f.down.digested()
	switch {
	case f.passes == 0:
		f.first = sum
	case !bytes.Equal(f.first, sum):
		f.down.lose("it was read more than once, and not alike")
		return
	}
	f.passes++
	moved := f.down.moved
	f.down.restart()
	f.down.moved = moved
}

// readFailed takes the status that a READ ended with.
func (f *file) readFailed(q *request, code uint32, text string) {
	switch {
	case code != fxEOF:
		if f.broke < 0 || q.offset < f.broke {
			f.broke, f.broken = q.offset, text
		}
	case q.length == 0: // which ends anywhere
	case f.ends < 0 || q.offset < f.ends:
		f.ends, f.read = q.offset, true
	}
}

// cut notes that the file was made n bytes long, or longer or shorter.
func (f *file) cut(n uint64) {
	switch {
	case n == 0:
		if f.up.moved > 0 && f.up.lost == "" {
			f.up.restart()
		}
		f.base = 0
	case n > math.MaxInt64:
		f.up.lose("its size was set beyond any")
	case int64(n) >= f.up.top:
		f.base = int64(n)
	default:
		f.up.lose(fmt.Sprintf("it was cut to %d bytes after more was written", n))
	}
}

// sized takes what the target says of a file's size.
func (d *SFTP) sized(q *request, a attributes) {
	if a.flags&attrSize == 0 || a.size > math.MaxInt64 {
		return
	}
	if q.file != nil {
		if q.cuts == q.file.cuts {
			q.file.size(int64(a.size))
		}
		return
	}
	// What a path leads to is the open file if it was opened before by the same
	// path, to its last byte, and no name was changed since it was asked for.
	if !a.regular() {
		return
	}
	for f := range d.files {
		if f.path == q.path && f.moves == d.renames && f.order < q.order && f.cuts == 0 {
			f.size(int64(a.size))
		}
	}
}

func (f *file) size(n int64) {
	if f.base < 0 || n < f.base {
		f.base = n
	}
	// Of what is empty by its size the kernel's own files have content.
	if n > 0 && f.up.moved == 0 {
		f.ends = n
	}
}

// deny notes that a READ or WRITE was refused.
func (f *file) deny(direction Direction, why string) {
	c := &f.down
	if direction == Upload {
		c = &f.up
	}
	c.lose("entry refused the rest")
	f.denied[direction] = cmp.Or(f.denied[direction], why)
}

func (f *file) fails(direction Direction, text string) {
	f.failed[direction] = cmp.Or(f.failed[direction], text)
}

// settle enters f once it is closed and all is answered.
func (d *SFTP) settle(f *file, r Ruling) {
	if !f.closed || f.pending > 0 || !d.files[f] {
		return
	}
	if f.mover != nil {
		f.up.lose(mayBeRenamed)
	}
	d.forget(f)
	d.enter(f, OK, "", r)
}

// forget takes f out. How far it was written concerns who reads it meanwhile.
func (d *SFTP) forget(f *file) {
	if d.handles[f.handle] == f {
		delete(d.handles, f.handle)
	}
	delete(d.files, f)
	d.texts -= len(f.path) + len(f.to) + len(f.key)
	for other := range d.files {
		if (f.puts && other.gets || f.gets && other.puts) && (f.mover != nil || d.same(other, f.key)) {
			if f.puts {
				other.reach = max(other.reach, f.reach)
			}
			if other.puts {
				f.reach = max(f.reach, other.reach)
			}
		}
	}
}

// enter adds what there is to say of f; why is for a file that wasn't closed. The
// client has all of a file that it read to the end, whether it closes it or not.
func (d *SFTP) enter(f *file, end Outcome, why string, r Ruling) {
	now := time.Now()
	beside := f.breaks()
	one := func(direction Direction, operation string, c *content, unknown string) {
		e := Entry{Protocol: sftpName, Operation: operation, Direction: direction, Path: f.path, To: f.to,
			Size: c.moved, Unknown: unknown, Began: f.began, Ended: now, Outcome: end}
		switch {
		case f.denied[direction] != "":
			e.Outcome, e.Detail = Refused, f.denied[direction]
		case f.failed[direction] != "":
			e.Outcome, e.Detail = Failed, f.failed[direction]
		}
		if e.Outcome == Failed && e.Unknown == "" {
			e.Unknown = "it failed"
		}
		if e.Unknown == "" {
			e.SHA256, e.Size = c.digested(), c.next
			if n := c.moved - c.next; n > 0 {
				e.Detail = cmp.Or(e.Detail, fmt.Sprintf("%d bytes of it passed again, alike", n))
			}
		}
		if direction == Download {
			e.Detail = cmp.Or(e.Detail, beside)
		}
		r.Enter(e)
	}
	if f.gets && !f.puts || f.down.moved > 0 || f.read || f.denied[Download]+f.failed[Download] != "" {
		one(Download, "get", &f.down, f.unread())
	}
	if f.puts || f.up.moved > 0 || f.denied[Upload]+f.failed[Upload] != "" {
		one(Upload, "put", &f.up, cmp.Or(why, f.unwritten()))
	}
	f.up.free()
	f.down.free()
}

// breaks takes a READ that failed for the failure of the whole, unless all was read
// all the same, or it asked for what stands beyond all that came: any client may ask
// for bytes that no file has. It returns what there is to say of such a one.
func (f *file) breaks() (beside string) {
	switch {
	case f.broke < 0:
	case f.unread() == "", f.broke > f.down.top:
		return fmt.Sprintf("the target didn't give bytes from %d on: %s", f.broke, f.broken)
	default:
		f.fails(Download, f.broken)
		f.down.lose(fmt.Sprintf("the target didn't give the bytes from %d on", f.broke))
	}
	return ""
}

// unread says why what was read has no hash of the whole file.
func (f *file) unread() string {
	c := &f.down
	switch {
	case c.lost != "":
		return c.lost
	case f.whole() && !f.read && f.reach > c.next:
		return "it was written to while it was read"
	case f.whole() && f.passes == 0:
		return ""
	case f.whole() && !bytes.Equal(f.first, c.digested()):
		return "it was read more than once, and not alike"
	case f.whole():
		return ""
	case f.passes > 0:
		return fmt.Sprintf("it was read more than once, the last time to byte %d", c.next)
	case len(c.held) > 0:
		return fmt.Sprintf("bytes from %d on weren't read", c.next)
	}
	return fmt.Sprintf("it was read to byte %d, and no end seen there", c.next)
}

// unwritten is the same for what was written.
func (f *file) unwritten() string {
	c := &f.up
	switch {
	case c.lost != "":
		return c.lost
	case len(c.held) > 0:
		return fmt.Sprintf("bytes from %d on weren't written", c.next)
	case f.base < 0:
		return "it wasn't emptied first, and how long it was isn't known"
	case f.base > c.next:
		return fmt.Sprintf("bytes from %d on weren't written here", c.next)
	}
	return ""
}

// largest is the content that holds most.
func (d *SFTP) largest() (most *content) {
	n := 0
	for f := range d.files {
		for _, c := range []*content{&f.up, &f.down} {
			if held := c.holds(); held > n {
				most, n = c, held
			}
		}
	}
	return most
}

// cut enters all that is under way.
func (d *SFTP) cut(why string, r Ruling) {
	for _, q := range slices.SortedFunc(maps.Values(d.requests), func(a, b *request) int { return cmp.Compare(a.order, b.order) }) {
		if q.listed || q.operation == operations[fxpOpen] {
			e := q.entry()
			e.Ended, e.Outcome = time.Now(), Cut
			r.Enter(e)
		}
	}
	for _, f := range slices.SortedFunc(maps.Keys(d.files), func(a, b *file) int { return cmp.Compare(a.order, b.order) }) {
		if d.forget(f); !f.opening {
			d.enter(f, Cut, why, r)
		}
	}
	d.listing.enter(sftpName, r)
	clear(d.requests)
	clear(d.changes)
	d.texts = 0
}
