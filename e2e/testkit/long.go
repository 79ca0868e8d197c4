package testkit

import (
	"fmt"
	"os"
	"strconv"
)

// soakVar is set by `make soak`: 1 for tests of their full size, 0.01 for a
// hundredth of it.
const soakVar = "ENTRY_SOAK"

// Long is how large a test is, as a count or a time.Duration: short in `make
// test`, where it may take 30 seconds, long in `make soak`. Tests that call it
// have Soak in their name, which is what `make soak` runs.
func Long[T ~int | ~int64](short, long T) T {
	text := os.Getenv(soakVar)
	if text == "" {
		return short
	}
	part, err := strconv.ParseFloat(text, 64)
	if err != nil || part <= 0 || part > 1 {
		panic(fmt.Sprintf("%s is %q, not a number above 0 and up to 1", soakVar, text))
	}
	return max(short, T(float64(long)*part))
}
