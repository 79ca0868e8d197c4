package audit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// where is the file system that a directory lies on; its zero value is one that can't
// be told.
type where struct {
	known              bool
	device             uint64
	kind, source, path string // type, device or host, mount point; "" where they can't be told
}

// whereIs tells where dir lies.
func whereIs(dir string) (w where) {
	var st syscall.Stat_t
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil || syscall.Stat(path, &st) != nil {
		return w
	}
	w.known, w.device = true, st.Dev
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return w
	}
	defer f.Close()
	w.mount(path, f)
	return w
}

// mount finds what path is mounted from, in the form of proc(5), mountinfo: the longest
// mount point above it, the last one where several are of that length.
func (w *where) mount(path string, mountinfo io.Reader) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for lines := bufio.NewScanner(mountinfo); lines.Scan(); {
		front, back, ok := strings.Cut(lines.Text(), " - ")
		a, b := strings.Fields(front), strings.Fields(back)
		if !ok || len(a) < 5 || len(b) < 2 {
			continue
		}
		at := unescape.Replace(a[4])
		if path != at && !strings.HasPrefix(path, strings.TrimSuffix(at, "/")+"/") || len(at) < len(w.path) {
			continue
		}
		w.path, w.kind, w.source = at, b[0], unescape.Replace(b[1])
	}
}

// same says whether both are one file system, as far as that can be told: parts of one
// (subvolumes) have devices of their own and a source in common.
func (w where) same(o where) bool {
	if !w.known || !o.known {
		return false
	}
	real := strings.HasPrefix(w.source, "/") || strings.Contains(w.source, ":")
	return w.device == o.device || real && w.source == o.source && w.kind == o.kind
}

// String says it for people; "" where it can't be told.
func (w where) String() string {
	if w.path == "" {
		return ""
	}
	return fmt.Sprintf("%s on %s, mounted at %s", w.kind, w.source, w.path)
}
