//go:build linux

package site

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"entry/e2e/testkit"
)

func TestAllowedMemory(t *testing.T) {
	top := t.TempDir()
	put := func(group, text string) {
		t.Helper()
		dir := filepath.Join(top, group)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "memory.max"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put("system.slice", "1073741824\n")
	put("system.slice/entry.service", "max\n")
	put("system.slice/small.service", "268435456\n")
	for own, want := range map[string]int64{
		"0::/system.slice/entry.service\n":             1 << 30,
		"0::/system.slice/small.service\n":             256 << 20,
		"0::/user.slice\n":                             math.MaxInt64,
		"12:memory:/system.slice\n0::/../system.slice": 1 << 30,
		"": math.MaxInt64,
	} {
		if got := allowedMemory(top, own); got != want {
			t.Errorf("%q: %d, want %d", own, got, want)
		}
	}
}

// A large heap grows by less garbage than a small one in proportion, and never by less than
// what Go itself takes.
func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 64 << 20: 400, 128 << 20: 200, 256 << 20: 100, 8 << 30: 100} {
		if got := percent(live); got != want {
			t.Errorf("%d bytes live: %d, want %d", live, got, want)
		}
	}
}

// GOGC follows the heap: each collection sets it for the next.
func TestGarbageFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(mostPercent))
	followHeap()
	ballast := make([]byte, 200<<20)
	now := func() int {
		p := debug.SetGCPercent(mostPercent)
		debug.SetGCPercent(p)
		return p
	}
	testkit.Eventually(t, "a large heap has less", func() bool { runtime.GC(); return now() < 200 })
	runtime.KeepAlive(ballast)
	ballast = nil
	testkit.Eventually(t, "a small one has all again", func() bool { runtime.GC(); return now() == mostPercent })
}
