package logs

import (
	"iter"
	"slices"

	"entry/audit"
)

// Tail is the end of several logs, as they grow. It isn't safe for concurrent use.
type Tail struct {
	n     int
	logs  []Log
	open  map[string]*audit.Tailing // by directory; gone once a log isn't read on
	begun bool
}

// OpenTail begins before the last n events of all logs together. failed hears of those
// that can't be read.
func OpenTail(logs []Log, n int, failed func(Log, error)) *Tail {
	t := &Tail{n: n, open: map[string]*audit.Tailing{}}
	for _, l := range logs {
		tailing, err := audit.OpenTail(l.Dir, n)
		if err != nil {
			failed(l, err)
			continue
		}
		t.open[l.Dir] = tailing
		t.logs = append(t.logs, l)
	}
	return t
}

// Over tells that no log is left that could have more.
func (t *Tail) Over() bool { return len(t.logs) == 0 }

// Close ends it.
func (t *Tail) Close() {
	for _, tailing := range t.open {
		tailing.Close()
	}
}

// More yields the last events, and when it is called again what has come since. A log
// with an error that isn't about single records of it isn't read on.
func (t *Tail) More() iter.Seq[Item[audit.Event]] {
	return func(yield func(Item[audit.Event]) bool) {
		first, several := !t.begun, len(t.open) > 1
		t.begun = true
		var newest []Item[audit.Event] // of several logs n are shown, not n of each
		lost := map[string]bool{}
		defer func() {
			t.logs = slices.DeleteFunc(t.logs, func(l Log) bool { return lost[l.Dir] })
		}()
		for x := range Events(t.logs, func(l Log) iter.Seq2[audit.Event, error] { return t.open[l.Dir].Events() }) {
			if x.Err != nil && !audit.Told(x.Err) {
				lost[x.Log.Dir] = true
			}
			if first && several && x.Err == nil {
				if newest = append(newest, x); len(newest) > t.n {
					newest = slices.Delete(newest, 0, len(newest)-t.n)
				}
				continue
			}
			if !yield(x) {
				return
			}
		}
		for _, x := range newest {
			if !yield(x) {
				return
			}
		}
	}
}
