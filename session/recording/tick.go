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

// ListDir is the folder, below the spool's directory, of the lists of changes.
const ListDir = "ticks"

// Tick is what one second changed in the whole spool.
type Tick struct {
	Root    [32]byte // RFC 6962 tree hash over the lines of the list
	Changed int      // recordings changed, at least 1
	List    string   // where ReadTick finds the list: "DAY:OFFSET:LENGTH"
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
	if len(f) != 3 || !ValidID(f[0]) {
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

// MaxChange is the longest line of a list, in bytes.
const MaxChange = 26 + 1 + 10 + 1 + 64 + 1

// EncodeList returns the list of a tick and its root. It sorts all.
func EncodeList(all []Change) (list []byte, root [32]byte) {
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.ID, b.ID) })
	lines := make([][]byte, len(all))
	for i, c := range all {
		lines[i] = c.line()
	}
	return bytes.Join(lines, nil), merkleRoot(lines)
}

// ListDay is the day under which the lists made at t are kept.
func ListDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// ListFile is the file below the spool's directory that holds a day's lists.
func ListFile(day string) string { return ListDir + "/" + day }

// ListPlace is a Tick's List: the list is in the file of day and has length
// bytes from offset on.
func ListPlace(day string, offset int64, length int) string {
	return fmt.Sprintf("%s:%d:%d", day, offset, length)
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
	if t.Changed < 1 || length > int64(t.Changed)*MaxChange {
		return nil, errors.New("its length doesn't fit its count")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.Open(ListFile(day))
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
