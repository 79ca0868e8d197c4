//go:build linux

package site

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// mostPercent is GOGC of a small heap: it grows to five times what is live before it is
	// collected, which saves a tenth of the CPU of bulk transfers. leastPercent is Go's own.
	mostPercent, leastPercent = 400, 100
	// mostGarbage is what a larger one grows by, as long as GOGC isn't below leastPercent.
	mostGarbage = 256 << 20 // bytes
)

// percent is GOGC where so many bytes are live.
func percent(live uint64) int {
	return int(min(mostPercent, max(leastPercent, mostGarbage*100/max(live, 1))))
}

// followHeap sets GOGC to what fits the heap after each collection: percent of it.
func followHeap() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := mostPercent
	var after func(*[16]byte)
	after = func(collected *[16]byte) {
		metrics.Read(live)
		if p := percent(live[0].Value.Uint64()); p != now {
			now = p
			debug.SetGCPercent(p)
		}
		runtime.SetFinalizer(collected, after) // it is garbage again, and found by the next collection
	}
	runtime.SetFinalizer(new([16]byte), after)
}

// tuneMemory lets the heap grow by percent of what is live before it is
// collected, and bounds that by half of the machine's memory, or by four fifths of what the service may have
// (systemd's MemoryMax=): the rest is the margin for what Go doesn't count and for
// what comes before it is collected. GOGC and GOMEMLIMIT, where they are set, have
// the last word.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(mostPercent)
		followHeap()
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
