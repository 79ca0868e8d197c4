package session

import (
	"path"
	"strings"

	"entry/session/recording"
)

// readsScript reports whether a program without a terminal reads what it is to do
// from its input.
func readsScript(c content) bool {
	return c.subsystem == "" && recording.ReadsScript(c.command)
}

// answersFirst reports whether the first line of input is a password by the command
// line: sudo -S reads it before its prompt can be seen.
func answersFirst(command string) bool {
	words := strings.Fields(command)
	for i, word := range words {
		if path.Base(word) != "sudo" {
			continue
		}
		for _, option := range words[i+1:] {
			if option == "--stdin" || strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "--") && strings.Contains(option, "S") {
				return true
			}
		}
	}
	return false
}
