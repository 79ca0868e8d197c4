package screen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// However a program has a word come and go, with whatever beside it, it is told once it
// stood for long enough in all.
func TestSoakTranscriptTellsWhatFlashes(t *testing.T) {
	const word = "patient7"
	for seed := range uint64(testkit.Long(400, 40000)) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		letters := func(n int) string {
			var b strings.Builder
			for range n {
				b.WriteByte(byte('a' + rnd.IntN(26)))
			}
			return b.String()
		}
		before, behind := rnd.IntN(3), rnd.IntN(3)
		moves, wrapped, other := rnd.IntN(3) == 0, rnd.IntN(8) == 0, rnd.IntN(4) == 0
		shows, hides := 5+rnd.IntN(90), 5+rnd.IntN(90)
		if moves { // it is known again where the screen is looked at
			shows, other = max(shows, 25), false
		}
		wipe := []string{"\x1b[%d;1H\x1b[2K", "\x1b[%d;1H\x1b[40X", "\x1b[%d;1H\x1b[40P", "\x1b[%d;1H" + strings.Repeat(" ", 40), "\x1b[%d;1H" + strings.Repeat("#", 40), "\x1b[%d;1H\x1b[J", "\x1b[%d;1H\x1b[41m\x1b[2K\x1b[m"}[rnd.IntN(7)]
		var log strings.Builder
		told := false
		tr := NewTranscript(30, 8, func(l Line) { told = told || strings.Contains(string(l.Text), word) })
		at := time.Second
		write := func(text string) {
			fmt.Fprintf(&log, "%v: %q\n", at, text)
			tr.Write(at, []byte(text))
		}
		pass := func(ms int) { // in which something else is drawn
			end := at + time.Duration(ms)*time.Millisecond
			for other && rnd.IntN(3) > 0 {
				if at += time.Duration(1+rnd.IntN(20)) * time.Millisecond; at >= end {
					break
				}
				write(fmt.Sprintf("\x1b[8;%dH%s", 1+rnd.IntN(20), letters(rnd.IntN(8))))
			}
			at = end
		}
		x, y := 1+rnd.IntN(12), 1+rnd.IntN(6)
		if wrapped {
			x = 20 + rnd.IntN(8)
		}
		for range max(12, 400/shows) {
			write(fmt.Sprintf("\x1b[%d;%dH%s%s%s", y, x, letters(before), word, letters(behind)))
			pass(shows)
			write(fmt.Sprintf(wipe, y))
			if wrapped {
				write(fmt.Sprintf(wipe, y+1))
			}
			pass(hides)
			if moves {
				x, y = max(1, x-1+rnd.IntN(3)), 1+rnd.IntN(6)
			}
		}
		tr.Close(at + 5*time.Second)
		if !told {
			t.Fatalf("seed %d: not told, though it showed for %d ms each %d\n%s", seed, shows, shows+hides, log.String())
		}
	}
}
