package recording

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tickEverySecond is the spool's clock. It ends at Close or when the spool
// fails.
func (s *Spool) tickEverySecond() {
	defer s.wg.Done()
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = s.tick() // a failed tick has ended the spool, which says so itself
		case <-s.failed:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// tick makes everything that was recorded so far durable and commits to it.
// It returns nil if there was nothing. An error ends the spool.
func (s *Spool) tick() error {
	s.ticking.Lock()
	defer s.ticking.Unlock()
	if err := s.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	dirty, changed := s.dirty, slices.Clone(s.changed)
	s.dirty = nil
	s.mu.Unlock()
	if len(dirty) == 0 && len(changed) == 0 {
		return nil
	}
	watch := s.watch(dirty, changed)
	defer watch()
	if err := s.checkReserve(dirty); err != nil {
		s.fail(err)
		return err
	}
	cuts := make([]uint64, len(dirty))
	for i, w := range dirty {
		cuts[i] = w.cutForTick()
	}
	for i, w := range dirty {
		_ = w.waitFor(cuts[i], 0) // a broken recording is in the tick with what it has
	}
	if err := s.commit(); err != nil {
		s.fail(err)
		return err
	}
	return nil
}

// cutForTick cuts the open segment, if it has frames, and returns how many
// segments must be written for the tick to cover it.
func (w *Writer) cutForTick() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = false
	if len(w.buf) > 0 && !w.broken {
		w.cut(false)
	}
	return w.cuts
}

// watch ends the recordings that wait for a tick which takes longer than
// Stall: those in it, and those that got data meanwhile. The returned function
// stops it.
func (s *Spool) watch(lists ...[]*Writer) (stop func()) {
	done, over := make(chan struct{}), false // over is guarded by mu
	s.wg.Go(func() {
		t := time.NewTimer(s.o.Stall)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
			}
			s.mu.Lock()
			if over {
				s.mu.Unlock()
				return
			}
			s.stalled = true
			late := slices.Clone(s.dirty)
			s.mu.Unlock()
			for _, list := range append(lists, late) {
				for _, w := range list {
					w.end(ErrStalled)
				}
			}
			lists = nil
			t.Reset(tickEvery)
		}
	})
	return func() {
		close(done)
		s.mu.Lock()
		over, s.stalled = true, false
		s.mu.Unlock()
	}
}

// checkReserve ends the recordings that have data to write when less than half
// of the reserve is left: the rest is for their last segments.
func (s *Spool) checkReserve(dirty []*Writer) error {
	if s.o.Reserve == 0 {
		return nil
	}
	free, err := s.disk.free()
	if err != nil {
		return fmt.Errorf("check spool: %w", err)
	}
	if free < s.o.Reserve/2 {
		for _, w := range dirty {
			w.end(ErrFull)
		}
	}
	return nil
}

// commit writes the list of what changed, syncs everything and commits.
func (s *Spool) commit() error {
	s.mu.Lock()
	changed := s.changed
	s.changed = nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	list := make([]Change, len(changed))
	files := make([]file, len(changed))
	for i, w := range changed {
		w.mu.Lock()
		w.changed = false
		list[i] = Change{ID: w.id, Segments: w.segments, Head: w.head}
		w.mu.Unlock()
		files[i] = w.file
	}
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.ID, b.ID) })
	lines := make([][]byte, len(list))
	for i, c := range list {
		lines[i] = c.line()
	}
	where, f, err := s.day.append(s.disk, s.o.Now(), bytes.Join(lines, nil))
	if err != nil {
		return fmt.Errorf("list changes of recordings: %w", err)
	}
	if err := s.disk.syncAll(append(files, f)); err != nil {
		return fmt.Errorf("sync recordings: %w", err)
	}
	if err := s.o.Commit(s.ctx, Tick{Root: merkleRoot(lines), Changed: len(list), List: where}); err != nil {
		return fmt.Errorf("commit recordings: %w", err)
	}
	return nil
}

// Change is the state of one recording at a tick.
type Change struct {
	ID       string
	Segments uint32   // durable at the tick
	Head     [32]byte // the hash of the chain up to there
}

// line is the change as it stands in a list, and as a leaf of the tick's tree.
func (c Change) line() []byte {
	return fmt.Appendf(nil, "%s %d %x\n", c.ID, c.Segments, c.Head)
}

func parseChange(line string) (c Change, err error) {
	f := strings.Split(line, " ")
	if len(f) != 3 || !validID(f[0]) {
		return c, errors.New("not a change")
	}
	n, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return c, err
	}
	head, err := hex.DecodeString(f[2])
	if err != nil || len(head) != 32 {
		return c, errors.New("not a hash")
	}
	return Change{ID: f[0], Segments: uint32(n), Head: [32]byte(head)}, nil
}

// maxChange is the longest line of a list in bytes.
const maxChange = 26 + 1 + 10 + 1 + 64 + 1

// tickFile is the day's file of lists. The zero tickFile has none open yet.
type tickFile struct {
	day  string
	f    file
	size int64
}

// append adds a list and says where it is.
func (t *tickFile) append(d disk, now time.Time, list []byte) (where string, f file, err error) {
	if day := now.UTC().Format(time.DateOnly); day != t.day {
		if err := t.close(); err != nil {
			return "", nil, err
		}
		if t.f, t.size, err = d.list(tickDir + "/" + day); err != nil {
			t.f = nil
			return "", nil, err
		}
		t.day = day
	}
	if err := writeAll(t.f, list); err != nil {
		return "", nil, err
	}
	where = fmt.Sprintf("%s:%d:%d", t.day, t.size, len(list))
	t.size += int64(len(list))
	return where, t.f, nil
}

func (t *tickFile) close() error {
	if t.f == nil {
		return nil
	}
	f := t.f
	t.f, t.day = nil, ""
	return f.Close()
}

// ReadTick returns the list of a tick, checked against its root and count.
func ReadTick(dir string, t Tick) ([]Change, error) {
	list, err := readTick(dir, t)
	if err != nil {
		return nil, fmt.Errorf("read tick %q: %w", t.List, err)
	}
	return list, nil
}

func readTick(dir string, t Tick) (_ []Change, err error) {
	day, offset, length, err := parseWhere(t.List)
	if err != nil {
		return nil, err
	}
	if t.Changed < 1 || length > int64(t.Changed)*maxChange {
		return nil, errors.New("its length doesn't fit its count")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.Open(tickDir + "/" + day)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var list []Change
	var lines [][]byte
	sc := bufio.NewScanner(io.NewSectionReader(f, offset, length))
	for sc.Scan() {
		c, err := parseChange(sc.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(list)+1, err)
		}
		list = append(list, c)
		lines = append(lines, c.line())
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(list) != t.Changed || merkleRoot(lines) != t.Root {
		return nil, errors.New("the list isn't the one whose root was committed")
	}
	return list, nil
}

// parseWhere takes a Tick's List apart. It comes from a file and is checked
// like any other input.
func parseWhere(s string) (day string, offset, length int64, err error) {
	f := strings.Split(s, ":")
	if len(f) == 3 {
		_, e1 := time.Parse(time.DateOnly, f[0])
		o, e2 := strconv.ParseInt(f[1], 10, 64)
		l, e3 := strconv.ParseInt(f[2], 10, 64)
		if e1 == nil && e2 == nil && e3 == nil && o >= 0 && l > 0 {
			return f[0], o, l, nil
		}
	}
	return "", 0, 0, errors.New("not of the form DAY:OFFSET:LENGTH")
}
