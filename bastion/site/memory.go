//go:build linux

package site

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tuneMemory lets the heap grow to five times what is live before it is
// collected, which saves a tenth of the CPU of bulk transfers, and bounds that
// by half of the machine's memory, or by four fifths of what the service may have
// (systemd's MemoryMax=): the rest is the margin for what Go doesn't count and for
// what comes before it is collected. GOGC and GOMEMLIMIT, where they are set, have
// the last word.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	var info unix.Sysinfo_t
	if os.Getenv("GOMEMLIMIT") == "" && unix.Sysinfo(&info) == nil {
		most := int64(info.Totalram) * int64(info.Unit) / 2
		if own, err := os.ReadFile("/proc/self/cgroup"); err == nil {
			most = min(most, allowedMemory("/sys/fs/cgroup", string(own))/5*4)
		}
		debug.SetMemoryLimit(most)
	}
}

// allowedMemory is the least memory.max of a group of cgroup v2 and those above it,
// in bytes: own is what /proc/self/cgroup says, top where the groups are mounted.
func allowedMemory(top, own string) int64 {
	least := int64(math.MaxInt64)
	for line := range strings.Lines(own) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			if text, err := os.ReadFile(filepath.Join(top, group, "memory.max")); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // "max" is no number
					least = min(least, n)
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
