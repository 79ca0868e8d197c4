package transfer

import (
	"math"
	"path"
	"strings"
)

// key is what paths are compared by, "" for one that may lead to any file: where
// ".." leads to depends on the links before it. Links aren't followed.
func (d *SFTP) key(p string) string {
	if strings.Contains("/"+p+"/", "/../") {
		return ""
	}
	if d.home != "" && !strings.HasPrefix(p, "/") {
		p = d.home + "/" + p
	}
	return path.Clean(p)
}

// settles says where relative paths begin.
func (d *SFTP) settles(home string) {
	if d.home != "" || !strings.HasPrefix(home, "/") || path.Clean(home) != home {
		return
	}
	d.home = home
	for f := range d.files {
		if f.key != "" {
			d.rename(f, f.to, d.key(f.key))
		}
	}
}

// rename follows f as long as there is room for names, and it's known.
func (d *SFTP) rename(f *file, to, key string) {
	d.texts -= len(f.to) + len(f.key)
	if d.texts+len(to)+len(key) > maxTexts || len(to) > maxPath {
		d.texts += len(f.to) + len(f.key)
		d.lost(f, mayBeRenamed)
		return
	}
	d.texts += len(to) + len(key)
	f.to, f.key = to, key
}

const mayBeRenamed = "it may have been renamed while it was open"

// lost says that it isn't known any more what f is called, and why.
func (d *SFTP) lost(f *file, why string) {
	d.texts -= len(f.key)
	f.key = ""
	f.up.lose(why)
}

// same says that f may be called key. As long as it isn't known where relative
// paths begin, those that end alike may be the same. A file whose name isn't known,
// or is being changed, may be called anything; so may all once there are links.
func (d *SFTP) same(f *file, key string) bool {
	return d.linked || f.mover != nil || f.key == "" || key == "" || f.key == key || mixed(f.key, key) && path.Base(f.key) == path.Base(key)
}

func mixed(a, b string) bool { return strings.HasPrefix(a, "/") != strings.HasPrefix(b, "/") }

// under is what follows dir in key, "" if they are the same, and whether key is
// there.
func under(key, dir string) (rest string, in bool) {
	if dir == "." && !strings.HasPrefix(key, "/") {
		return key, true
	}
	rest, in = strings.CutPrefix(key, dir)
	return rest, in && (rest == "" || rest[0] == '/' || dir == "/")
}

// mayBeUnder says that it isn't known whether key is in dir.
func mayBeUnder(key, dir string) bool {
	if !mixed(key, dir) {
		return false
	}
	last := path.Base(dir)
	return last == "." || hasPart(key, last)
}

// hasPart says that part is one of those between the slashes of key. It is asked of each
// open file at each request that changes a name, so key isn't taken apart for it.
func hasPart(key, part string) bool {
	if len(key) <= len(part) {
		return key == part
	}
	n := len(part)
	return key[:n] == part && key[n] == '/' || key[len(key)-n:] == part && key[len(key)-n-1] == '/' || strings.Contains(key, "/"+part+"/")
}

// reaches says that key may be f's name, or one above it.
func (d *SFTP) reaches(f *file, key string) bool {
	_, in := under(f.key, key)
	return in || d.same(f, key) || mayBeUnder(f.key, key)
}

// changes says that q changes by a path what open files are called, or how long
// they are.
func (q *request) changes() bool {
	return q.renames || q.file == nil && q.answer != fxpHandle && q.attrs.flags&attrSize != 0
}

// changing notes that q went out, which changes something. What it does, and how
// much of it if it fails, is known to nobody before it's answered, and to nobody
// then if it fails.
func (d *SFTP) changing(q *request) {
	d.changes[q] = true
	from, to := d.key(q.path), d.key(q.to)
	for f := range d.files {
		if !f.closing { // else q comes after it
			d.affects(q, from, to, f)
		}
	}
	if !q.renames {
		return
	}
	d.renames++
	for _, key := range []string{from, to} {
		if _, in := under(d.home, key); in && d.home != "" || key == "" {
			d.home = "" // what there is to compare, says so by being mixed
		}
	}
	d.linked = d.linked || q.operation == symlink || q.operation == hardlink
}

// affects says what q may do to f, which was opened before it. from and to are
// its keys.
func (d *SFTP) affects(q *request, from, to string, f *file) {
	switch q.operation {
	case rename, posix:
		_, in := under(f.key, from)
		switch {
		case in && f.key != "" && from != "" && f.mover == nil && !f.opening && !d.linked:
			f.mover = q
		case d.reaches(f, from):
			d.lost(f, mayBeRenamed)
		case d.reaches(f, to):
			f.up.lose("another file took its name while it was open")
		}
	case operations[fxpRemove], operations[fxpRmdir]:
		if d.same(f, from) {
			f.up.lose("it was removed while it was open")
		} else if d.reaches(f, from) {
			d.lost(f, "a name above its own was removed while it was open")
		}
	case hardlink, symlink:
		if q.operation == symlink {
			if from = q.to; !strings.HasPrefix(from, "/") {
				from = q.path[:strings.LastIndexByte(q.path, '/')+1] + from
			}
			from = d.key(from)
		}
		if f.opening || d.same(f, from) {
			f.up.lose("it got another name while it was open")
		}
	default:
		if d.same(f, from) {
			f.up.lose("its size was set by its path while it was open")
			f.reach = max(f.reach, int64(min(q.attrs.size, math.MaxInt64)))
		}
	}
}

// amid says that what changes something is under way as f is opened.
func (d *SFTP) amid(f *file) {
	const why = "its name or size may have been changed while it was opened"
	if len(d.changes) > maxChanges {
		d.lost(f, why)
		return
	}
	for q := range d.changes {
		if d.reaches(f, d.key(q.path)) || q.renames && d.reaches(f, d.key(q.to)) {
			d.lost(f, why)
		}
	}
}

// changed follows what became of the names of open files once q is answered.
func (d *SFTP) changed(q *request, ok bool) {
	if q.operation != rename && q.operation != posix {
		return
	}
	// OpenSSH's server makes a link and then removes the old name.
	d.linked = d.linked || !ok
	for f := range d.files {
		if f.mover != q {
			continue
		}
		f.mover = nil
		rest, in := under(f.key, d.key(q.path))
		switch {
		case !ok:
			d.lost(f, "a request to rename it failed, which may be half done")
		case !in: // since it became known where relative paths begin, or isn't any more
			d.lost(f, mayBeRenamed)
		default:
			moved := q.to
			if rest != "" {
				moved = strings.TrimRight(q.to, "/") + "/" + strings.TrimLeft(rest, "/")
			}
			d.rename(f, moved, d.key(moved))
		}
	}
}
