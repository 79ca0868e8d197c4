//go:build linux

package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"entry/audit/names"
	"entry/session/recording"
)

// ErrGone ends a recording whose file or key isn't where it was: renamed,
// removed, replaced, cut or mounted over. Where that is so of the spool itself, or
// of the day's lists, it ends all of them. The error wraps a *names.Gone.
var ErrGone = errors.New("a file of the spool was changed from outside; it must not be moved, removed or edited while the server runs")

// place is where a recording's files are.
type place struct {
	data, key names.File
	keySize   int64
	keyHash   [32]byte // SHA-256
}

// gone is ErrGone because of err.
func gone(err error) error { return fmt.Errorf("%w: %w", ErrGone, err) }

// check returns nil where w's files are where they were, no shorter, and the data
// what was written, but for its middle. It says nothing of what somebody added:
// that is for the hashes.
func (w *Writer) check() error {
	w.mu.Lock()
	content := w.content
	w.mu.Unlock()
	size, err := w.place.data.Size()
	if err == nil && size < content.Size() {
		err = w.place.data.Check(content.Size())
	}
	if err == nil {
		err = w.place.key.Check(w.place.keySize)
	}
	if err == nil {
		if err = content.Check(w.file, w.place.data.Path()); errors.Is(err, fs.ErrClosed) {
			return nil // meanwhile, and looked at before
		}
	}
	if err != nil {
		return gone(err)
	}
	return nil
}

// checkKey returns nil where the recording's key is the one that was written.
func (w *Writer) checkKey() error {
	b, err := w.spool.disk.read(w.id+recording.KeyExt, w.place.keySize+1)
	switch {
	case err != nil:
		err = fmt.Errorf("read back: %w", err)
	case sha256.Sum256(b) != w.place.keyHash:
		err = &names.Gone{Path: w.place.key.Path(), How: "was overwritten"}
	default:
		return nil
	}
	return gone(err)
}

// guard finds out which names in the spool may not lead any more where they led.
// It is used by one goroutine at a time.
type guard struct {
	dir     names.File
	inotify int      // -1 without: then all names are looked at every time
	mounts  *os.File // nil without
	buf     [64 << 10]byte
}

// newGuard watches the folder dir, which f has open. Where the system has no
// watches left, every look is at everything.
func newGuard(dir string, f *os.File) (*guard, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	g := &guard{inotify: -1}
	if g.dir, err = names.Of(path, f); err != nil {
		return nil, err
	}
	if err := g.dir.Check(-1); err != nil { // a symbolic link, say: look at what it leads to
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
		if g.dir, err = names.Of(path, f); err != nil {
			return nil, err
		}
	}
	if fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC); err == nil {
		const mask = unix.IN_MODIFY | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
		if _, err := unix.InotifyAddWatch(fd, path, mask); err == nil {
			g.inotify = fd
		} else {
			_ = unix.Close(fd) // nothing is watched by it
		}
	}
	if g.mounts, err = os.Open("/proc/self/mountinfo"); err != nil {
		g.mounts = nil
	}
	return g, nil
}

func (g *guard) close() error {
	if g == nil {
		return nil
	}
	var errs []error
	if g.inotify >= 0 {
		errs = append(errs, unix.Close(g.inotify))
	}
	if g.mounts != nil {
		errs = append(errs, g.mounts.Close())
	}
	return errors.Join(errs...)
}

// suspicion is what may have happened to a name.
type suspicion uint8

const (
	touched  suspicion = 1 << iota // written to, by us or by others
	uprooted                       // removed, or another file put in its place
	rekeyed                        // its key was written to: by others, but at its beginning
)

// suspects are the recordings, by ID, to whose files something has happened since
// the last call. all is set where that can't be told.
func (g *guard) suspects() (of map[string]suspicion, all bool) {
	if g.inotify < 0 || g.mounts == nil || g.remounted() {
		all = true
	}
	of = map[string]suspicion{}
	for g.inotify >= 0 {
		n, err := unix.Read(g.inotify, g.buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return of, all
		case err != nil || n < unix.SizeofInotifyEvent:
			return of, true
		}
		for b := g.buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0])) // aligned: the buffer is, and the kernel pads
			end := unix.SizeofInotifyEvent + int(e.Len)
			if end > len(b) {
				return of, true
			}
			if e.Mask&(unix.IN_Q_OVERFLOW|unix.IN_IGNORED) != 0 {
				all = true
			}
			name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:end]), "\x00")
			id, ext := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
			b = b[end:]
			switch {
			case ext != recording.Ext && ext != recording.KeyExt:
			case e.Mask&unix.IN_MODIFY != 0 && ext == recording.KeyExt:
				of[id] |= rekeyed
			case e.Mask&unix.IN_MODIFY != 0:
				of[id] |= touched
			default:
				of[id] |= uprooted
			}
		}
	}
	return of, all
}

// remounted tells whether a file system was mounted or taken away since the last
// call: nothing else tells of a mount over a single file. See proc(5), mountinfo.
func (g *guard) remounted() bool {
	fds := []unix.PollFd{{Fd: int32(g.mounts.Fd()), Events: unix.POLLPRI}}
	n, err := unix.Poll(fds, 0)
	return err != nil && !errors.Is(err, unix.EINTR) || n > 0
}

// lookAfter ends the recordings whose files aren't where they were, and the spool
// where it isn't itself. It is called every second; those that a tick commits are
// looked at then, too.
func (s *Spool) lookAfter() {
	if s.guard == nil || s.Err() != nil {
		return
	}
	s.ticking.Lock()
	err := s.guard.dir.Check(-1)
	if err == nil {
		err = s.day.check()
	}
	s.ticking.Unlock()
	if err != nil {
		s.fail(gone(err))
		return
	}
	of, all := s.guard.suspects()
	if len(of) == 0 && !all {
		return
	}
	s.mu.Lock()
	var look []*Writer
	for w := range s.open {
		if all || of[w.id] != 0 {
			look = append(look, w)
		}
	}
	s.mu.Unlock()
	for _, w := range look {
		err := w.check()
		if err == nil && (all || of[w.id]&rekeyed != 0) {
			err = w.checkKey()
		}
		if err == nil && of[w.id]&uprooted != 0 { // and put back: what it led to meanwhile can't be told
			err = gone(&names.Gone{Path: w.id + recording.Ext, How: "or its key was moved, and moved back"})
		}
		if err != nil {
			w.abandon(err)
			w.noteChanged()
		}
	}
}
