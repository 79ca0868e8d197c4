package demohome

import (
	"bytes"
	"os"
	"strconv"
)

// members returns the living processes of the session (setsid(2)) sid, by
// /proc; proc(5) has the fields. An interactive shell gives each job its own
// process group, so that the group alone would miss those in the background.
func members(sid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		if state, session, ok := parseStat(stat); ok && session == sid && state != 'Z' && state != 'X' {
			out = append(out, pid)
		}
	}
	return out
}

// parseStat reads the state and the session from a /proc/PID/stat line. The
// second field is the program's name in parentheses and may hold anything, so
// fields are counted from its last one.
func parseStat(line []byte) (state byte, session int, ok bool) {
	_, rest, found := cutLast(line, ')')
	fields := bytes.Fields(rest)
	if !found || len(fields) < 4 || len(fields[0]) != 1 {
		return 0, 0, false
	}
	session, err := strconv.Atoi(string(fields[3]))
	return fields[0][0], session, err == nil
}

func cutLast(b []byte, c byte) (before, after []byte, found bool) {
	i := bytes.LastIndexByte(b, c)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}
