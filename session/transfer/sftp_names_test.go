package transfer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// hasPart is what taking the key apart gives, and takes no memory for each part: a client
// with a thousand long names open asked for 4 MB of it by a request of 28 bytes.
func TestHasPart(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(most int) string {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = "/ab"[random.IntN(3)]
		}
		return string(b)
	}
	found := 0
	for range 100_000 {
		key, part := word(8), strings.ReplaceAll(word(3), "/", "b")
		want := slices.Contains(strings.Split(key, "/"), part)
		if part == "" {
			continue // path.Base has none
		}
		if want {
			found++
		}
		if got := hasPart(key, part); got != want {
			t.Fatalf("%q in %q: %v", part, key, got)
		}
	}
	if found < 1000 {
		t.Errorf("only %d were there", found)
	}
	long := strings.Repeat("ab/", 300)
	if n := testing.AllocsPerRun(10, func() { mayBeUnder(long, "/x/b") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
