//go:build linux

package testkit

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CPU is the processor time, user and system, that pid, all below it and all that
// ended below it have used. It counts in hundredths of a second.
//
// A process that ends while this looks is in its own figures before and in its
// parent's after: this looks again until nothing came or went meanwhile.
func CPU(t testing.TB, pid int) time.Duration {
	t.Helper()
	var used time.Duration
	Eventually(t, fmt.Sprintf("process %d and those below it are seen at one time", pid), func() bool {
		all := append([]int{pid}, Descendants(t, pid)...)
		used = 0
		for _, p := range all {
			u, ok := ownCPU(t, p)
			if !ok {
				if p == pid {
					t.Fatalf("process %d has ended", pid)
				}
				return false
			}
			used += u
		}
		return slices.Equal(all[1:], Descendants(t, pid))
	})
	return used
}

// ownCPU is what p has used and what of its children it has waited for.
func ownCPU(t testing.TB, p int) (used time.Duration, there bool) {
	t.Helper()
	const tick = time.Second / 100 // USER_HZ, which Linux fixes for /proc
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0, false
	}
	// utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5), of which
	// two stand before the closing bracket.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, v := range f[11:15] {
		used += time.Duration(Must(strconv.Atoi(v))(t)) * tick
	}
	return used, true
}
