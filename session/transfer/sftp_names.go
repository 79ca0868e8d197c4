package transfer

import (
	"iter"
	"path"
	"slices"
	"strings"
)

// key is what paths are compared by. Links aren't followed.
func (d *SFTP) key(p string) string {
	if d.home != "" && !strings.HasPrefix(p, "/") {
		p = d.home + "/" + p
	}
	return path.Clean(p)
}

// settles says where relative paths begin.
func (d *SFTP) settles(home string) {
	if d.home != "" || !strings.HasPrefix(home, "/") {
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
		d.lost(f)
		return
	}
	d.texts += len(to) + len(key)
	f.to, f.key = to, key
}

// lost says that it isn't known any more what f is called.
func (d *SFTP) lost(f *file) {
	d.texts -= len(f.key)
	f.key = ""
	f.up.lose("it may have been renamed while it was open")
}

// same says that two keys may be of one file. As long as it isn't known where
// relative paths begin, those that end alike may. A key that was lost may be any.
func same(a, b string) bool {
	return a == b || a == "" || b == "" || mixed(a, b) && path.Base(a) == path.Base(b)
}

func mixed(a, b string) bool { return strings.HasPrefix(a, "/") != strings.HasPrefix(b, "/") }

// under is what follows dir in key, "" if they are the same, and whether key is
// there.
func under(key, dir string) (rest string, in bool) {
	rest, in = strings.CutPrefix(key, dir)
	return rest, in && (rest == "" || rest[0] == '/' || dir == "/")
}

// mayBeUnder says that it isn't known whether key is in dir.
func mayBeUnder(key, dir string) bool {
	last := path.Base(dir)
	return mixed(key, dir) && (last == "." || last == ".." || slices.Contains(strings.Split(key, "/"), last))
}

// named are the open files that can be changed and may be called p.
func (d *SFTP) named(p string) iter.Seq[*file] {
	return func(yield func(*file) bool) {
		key := d.key(p)
		for f := range d.files {
			if f.puts && same(f.key, key) && !yield(f) {
				return
			}
		}
	}
}

// renamed follows what became of the names of open files once q is done.
func (d *SFTP) renamed(q *request) {
	if !q.renames {
		return
	}
	from, to := d.key(q.path), d.key(q.to)
	if rest, in := under(d.home, from); in && (q.operation == rename || q.operation == posix) {
		d.home = to + rest
	}
	for f := range d.files {
		if f.key == "" {
			continue
		}
		switch q.operation {
		case rename, posix:
			if rest, in := under(f.key, from); in {
				moved := q.to
				if rest != "" {
					moved = path.Join(q.to, rest)
				}
				d.rename(f, moved, d.key(moved))
			} else if mayBeUnder(f.key, from) {
				d.lost(f)
			} else if same(f.key, to) {
				f.up.lose("another file took its name while it was open")
			}
		case operations[fxpRemove]:
			if same(f.key, from) {
				f.up.lose("it was removed while it was open")
			}
		case hardlink:
			if same(f.key, from) {
				f.up.lose("it got another name while it was open")
			}
		case symlink:
			target := q.to
			if !strings.HasPrefix(target, "/") {
				target = path.Join(path.Dir(q.path), target)
			}
			if same(f.key, d.key(target)) {
				f.up.lose("it got another name while it was open")
			}
		}
	}
}
