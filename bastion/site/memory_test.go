//go:build linux

package site

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
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
