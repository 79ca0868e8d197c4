package transfer

import (
	"slices"
	"strings"
	"testing"
)

// What is asked beside the writing of a file and may change it, or what its name
// leads to: its hash isn't known then. Nobody knows what a request that failed did.
func TestWhatMayChangeAFileBesideItsHandle(t *testing.T) {
	const failed = fxFailure
	open := func(id int, path string, flags int) []byte { return pkt(fxpOpen, id, path, flags, noAttrs) }
	fails := func(id int) []byte { return pkt(fxpStatus, id, failed, "no", "") }
	attrs := pkt(fxpAttrs, 2, attrSize|attrPermissions, uint64(5), 0o100644)
	for name, test := range map[string]struct {
		steps []any // requests, and answers as functions
		want  string
	}{
		"its size is set, which fails": {[]any{open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), pkt(fxpFsetstat, 2, "h", attrSize, uint64(100)), answer(fails(2))},
			"a request to set its size failed, which may be half done"},
		"its size is set by its path, behind OPEN": {[]any{open(1, "a", fxfWrite|fxfTrunc), pkt(fxpSetstat, 2, "a", attrSize, uint64(100)), answer(pkt(fxpHandle, 1, "h")), answer(okay(2))},
			"its size was set by its path while it was open"},
		"its size is set by its path, before OPEN": {[]any{pkt(fxpSetstat, 2, "a", attrSize, uint64(100)), open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), answer(okay(2))},
			"its name or size may have been changed while it was opened"},
		"another file is asked for, behind a link and ..": {[]any{open(1, "d/../a", fxfWrite), answer(pkt(fxpHandle, 1, "h")), pkt(fxpStat, 2, "a"), answer(attrs)},
			"it wasn't emptied first, and how long it was isn't known"},
		"a link above it is replaced": {[]any{open(1, "d/a", fxfWrite), answer(pkt(fxpHandle, 1, "h")), pkt(fxpRemove, 3, "d"), answer(okay(3)), pkt(fxpSymlink, 4, "b", "d"), answer(okay(4)), pkt(fxpStat, 2, "d/a"), answer(attrs)},
			"a name above its own was removed while it was open"},
		"a file is moved over a link above it": {[]any{open(1, "d/a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), pkt(fxpExtended, 3, "posix-rename@openssh.com", "l", "d"), answer(okay(3))},
			"another file took its name while it was open"},
		"renaming it fails": {[]any{open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), pkt(fxpRename, 3, "a", "b"), answer(fails(3))},
			"a request to rename it failed, which may be half done"},
		"it has a symbolic link, which is written to": {[]any{pkt(fxpSymlink, 3, "a", "l"), answer(okay(3)), open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), open(2, "l", fxfWrite), answer(pkt(fxpHandle, 2, "i"))},
			"it was open for writing twice at once"},
		"it has a second name, which is written to": {[]any{pkt(fxpExtended, 3, "hardlink@openssh.com", "a", "l"), answer(okay(3)), open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), open(2, "l", fxfWrite), answer(pkt(fxpHandle, 2, "i"))},
			"it was open for writing twice at once"},
		"it has a second name by a rename that failed": {[]any{pkt(fxpRename, 3, "a", "l"), answer(fails(3)), open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), open(2, "l", fxfWrite), answer(pkt(fxpHandle, 2, "i"))},
			"it was open for writing twice at once"},
		"it is emptied by another OPEN, which fails": {[]any{open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), open(2, "a", fxfWrite|fxfTrunc), answer(fails(2))},
			"it was open for writing twice at once"},
		"it is renamed and its size set, at once": {[]any{open(1, "a", fxfWrite|fxfTrunc), answer(pkt(fxpHandle, 1, "h")), pkt(fxpRename, 3, "a", "b"), pkt(fxpSetstat, 2, "b", attrSize, uint64(100)), answer(okay(3)), answer(okay(2))},
			"its size was set by its path while it was open"},
		// What doesn't concern it.
		"other files are removed, renamed and cut": {[]any{open(1, "a", fxfWrite|fxfTrunc), pkt(fxpRemove, 2, "ab"), pkt(fxpRename, 3, "c", "d"), pkt(fxpSetstat, 4, "e", attrSize, uint64(1)), answer(pkt(fxpHandle, 1, "h")), answer(okay(2)), answer(fails(3)), answer(okay(4))}, ""},
		"it is asked for by its name":              {[]any{open(1, "a", fxfWrite), pkt(fxpStat, 2, "a"), answer(pkt(fxpHandle, 1, "h")), answer(attrs)}, ""},
	} {
		b := greeted(t, anything)
		for _, step := range test.steps {
			switch step := step.(type) {
			case answer:
				b.reply(step)
			case []byte:
				b.send(step)
			}
		}
		b.send(pkt(fxpWrite, 20, "h", uint64(0), "01234"), pkt(fxpClose, 21, "h"))
		b.reply(okay(20), okay(21))
		i := slices.IndexFunc(b.entries, func(e Entry) bool { return e.Operation == "put" && e.Outcome == OK })
		if i < 0 || b.entries[i].Unknown != test.want || (b.entries[i].SHA256 != nil) != (test.want == "") {
			t.Errorf("%s: %s", name, strings.Join(b.lines(), "\n"))
		}
	}
}

// answer is a packet of the target.
type answer []byte

// What was read up to a size that it had isn't the whole file if it grew meanwhile
// by another handle.
func TestReadToASizeThatGrows(t *testing.T) {
	for _, end := range []int{0, 5} {
		b := greeted(t, anything)
		b.send(pkt(fxpOpen, 1, "a", fxfRead, noAttrs))
		b.reply(pkt(fxpHandle, 1, "h"))
		b.send(pkt(fxpFstat, 2, "h"), pkt(fxpOpen, 3, "./a", fxfWrite, noAttrs))
		b.reply(pkt(fxpAttrs, 2, attrSize, uint64(5)), pkt(fxpHandle, 3, "i"))
		b.send(pkt(fxpWrite, 4, "i", uint64(end), "56789"), pkt(fxpClose, 5, "i"))
		b.reply(okay(4), okay(5))
		b.send(pkt(fxpRead, 6, "h", uint64(0), 5))
		b.reply(pkt(fxpData, 6, "01234"))
		b.send(pkt(fxpClose, 7, "h"))
		b.reply(okay(7))
		got, want := b.lines()[1], "get download a ok size=5 sha256="+hashOf("01234")
		if end == 5 {
			want = "get download a ok size=5 unknown=it was written to while it was read"
		}
		if got != want {
			t.Errorf("written from %d: %s, want %s", end, got, want)
		}
	}
}
