package logs

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMerged(t *testing.T) {
	second := func(n int) time.Time { return time.Unix(int64(n), 0) }
	broken := errors.New("broken")
	type one struct {
		at  int // 0 for no time, -1 for an error
		say string
	}
	of3 := map[string][]one{
		"a": {{1, "a1"}, {4, "a4"}, {4, "a4 too"}, {0, "a open"}},
		"b": {{-1, "b broke"}, {2, "b2"}, {3, "b3"}, {-1, "b broke again"}, {4, "b4"}, {0, "b open"}},
		"c": {{-1, "c broke"}},
		"d": {},
	}
	read := func(l Log) iter.Seq2[one, error] {
		return func(yield func(one, error) bool) {
			for _, o := range of3[l.Name] {
				var err error
				if o.at < 0 {
					err = fmt.Errorf("%s: %w", o.say, broken)
				}
				if !yield(o, err) {
					return
				}
			}
		}
	}
	when := func(o one) time.Time {
		if o.at == 0 {
			return time.Time{}
		}
		return second(o.at)
	}
	logs := []Log{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	var all []string
	for x := range Merged(logs, read, when) {
		if (x.Err != nil) != (x.What.at < 0) || !strings.HasPrefix(x.What.say, x.Log.Name) {
			t.Errorf("%+v", x)
		}
		all = append(all, x.What.say)
	}
	want := []string{"b broke", "c broke", "a1", "b2", "b3", "b broke again", "a4", "a4 too", "b4", "a open", "b open"}
	if !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
	for stop := range want {
		n := 0
		for range Merged(logs, read, when) {
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("stopped after %d, not %d", n, stop+1)
		}
	}
}
