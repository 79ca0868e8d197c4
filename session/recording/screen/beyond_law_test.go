package screen

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// Whatever a program writes, in whatever order, each word that stands at last on a screen that
// is wider, higher or both than the client said is told: of 18,000 such walks each word of all
// but one, where a word's letters are in one row only on a screen that is no higher.
func TestSoakLargerScreensHideNothing(t *testing.T) {
	const cols, rows = 12, 6
	word := regexp.MustCompile(`w\d+[a-z]`)
	moves := []string{
		"\r", "\n", "\n\n\n\n\n\n\n", "\r\n", "\b", "\x1b[A", "\x1b[2A", "\x1b[B", "\x1b[9B", "\x1b[C", "\x1b[20C", "\x1b[D", "\x1b[H", "\x1b[3;5H", "\x1b[6;1H", "\x1b[6;12H", "\x1b[9;3H", "\x1b[9;20H",
		"\x1b[4d", "\x1b[10d", "\x1b[30G", "\x1b[E", "\x1b[9E", "\x1b[F", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[1J", "\x1b[3X", "\x1b[L", "\x1b[M",
		"\x1bM", "\x1bD", "\x1bE", "\x1b7", "\x1b8", "\x1b[?7l", "\x1b[?7h", "xxxxxxxxxxxx", "\x1b[2;4r", "\x1b[3;10r", "\x1b[r", "\x1b[?6h", "\x1b[?6l",
	}
	for seed := range uint64(testkit.Long(3000, 15000)) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		z := [][2]int{{cols, MaxRows}, {MaxCols, rows}, {MaxCols, MaxRows}}[seed%3]
		other, moves := New(z[0], z[1]), moves
		if z[0] > cols { // one line there may be rows here, of which lines come in between
			moves = slices.DeleteFunc(slices.Clone(moves), func(m string) bool { return m == "\x1b[L" || m == "\x1b[M" })
		}
		var all, log strings.Builder
		tr := NewTranscript(cols, rows, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
		at, split := time.Duration(0), []string(nil)
		for i := range 30 {
			var in string
			switch rnd.IntN(5) {
			case 0, 1:
				in = fmt.Sprintf("w%d%c", i, 'a'+rnd.IntN(26))
				if x := tr.term.x; z[0] > cols && !tr.term.pending && x+len(in) > cols {
					split = append(split, in) // its letters stand here in two rows
				}
			case 2:
				in = backwards(1+rnd.IntN(cols-4), fmt.Sprintf("w%d%c", i, 'a'+rnd.IntN(26)))
			default:
				in = moves[rnd.IntN(len(moves))]
			}
			fmt.Fprintf(&log, "%v: %q\n", at, in)
			tr.Write(at, []byte(in))
			other.Write([]byte(in))
			at += []time.Duration{0, 0, 0, 3, 30}[rnd.IntN(5)] * time.Millisecond
		}
		tr.Close(at)
		told := all.String()
		for _, w := range word.FindAllString(display(other), -1) {
			if strings.Contains(log.String(), w) && !strings.Contains(told, w) && !slices.Contains(split, w) {
				t.Fatalf("seed %d: %q stands on a screen of %dx%d and isn't told.\n%s\nthere:\n%s\nhere:\n%s\ntold:\n%s", seed, w, z[0], z[1], log.String(), display(other), display(tr.term), told)
			}
		}
	}
}
