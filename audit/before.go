package audit

import (
	"errors"
	"fmt"
	"math"
	"os"

	"entry/audit/segment"
)

// HearBefore gives take the events of some types of the logs before the one in dir, the first
// first, and in their place what is absent. signed is of the log in dir, and proves the last
// one, by the tree head that the log's first record has of it; that one proves the one before
// it, and so on. Where the newest records of one are lost, what is left is proven by its own
// key, which has to be the one that signed that tree head. Of a log that isn't what was
// signed, or can't be proven, take gets that any of it may be absent, up to record
// math.MaxInt64, then what its files say, and proven is false.
//
// begin is called first, and again where that is found out late: what take got until then
// counts no more.
func HearBefore(dir string, signed Position, begin func(), take func(e Event, gone *segment.Absent, proven bool), types ...Type) error {
	logs := append(Before(dir), dir)
	ends, proven := make([]Position, len(logs)), make([]bool, len(logs))
	ends[len(logs)-1], proven[len(logs)-1] = signed, true
	for i := len(logs) - 2; i >= 0 && proven[i+1]; i-- {
		at, err := endOf(logs[i], logs[i+1], ends[i+1])
		ends[i], proven[i] = at, err == nil
	}
	for again := true; again; {
		again = false
		begin()
		for i, before := range logs[:len(logs)-1] {
			var err error
			if proven[i] {
				err = new(Heard).On(before, ends[i], func(e Event, gone *segment.Absent) { take(e, gone, true) }, types...)
				if again = err != nil; again {
					proven[i] = false
					break
				}
				continue
			}
			take(Event{}, &segment.Absent{From: 1, To: math.MaxInt64}, false)
			for e, err := range ScanWhole(before, types...) {
				var gone *segment.Absent
				if err != nil && !errors.As(err, &gone) {
					return fmt.Errorf("of the log before, in %s, %w", before, err)
				}
				take(e, gone, false)
			}
		}
	}
	return nil
}

// endOf is the tree head to which the log in before is proven by the one after it, in dir, of
// which at is signed.
func endOf(before, dir string, at Position) (p Position, err error) {
	all, err := Include(dir, at, []uint64{1})
	if err != nil {
		return p, err
	}
	e, err := ParseEvent(all[0].Line)
	if err != nil {
		return p, err
	}
	if e.Type != LogGap || e.Gap == nil {
		return p, errors.New("it doesn't say after what it began")
	}
	key, err := KeyBefore(before)
	if err != nil {
		return p, err
	}
	k, err := keysIn(before, key)
	if err != nil {
		return p, err
	}
	end, err := openCheckpoint([]byte(e.Gap.Checkpoint), k)
	if err != nil {
		return p, err
	}
	root, err := os.OpenRoot(before)
	if err != nil {
		return p, err
	}
	defer root.Close()
	if own, err := readCheckpoint(root, k); err == nil && own.size < end.size { // the others are lost
		end = own
	}
	return Position{end.size, end.root}, nil
}
