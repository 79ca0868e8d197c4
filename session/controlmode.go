package session

import (
	"path"
	"strings"
)

// controlMode reports whether command runs tmux in control mode (tmux(1), -C),
// where a program reads the terminal line by line: entry's own lines go to standard
// error there. Only what stands in the command itself is seen.
func controlMode(command string) bool {
	words := strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()'\"`", r) })
	for i, w := range words {
		if path.Base(w) == "tmux" && hasControl(words[i+1:]) {
			return true
		}
	}
	return false
}

// hasControl looks for -C among tmux's own options, which end where its command
// begins.
func hasControl(args []string) bool {
	for i := 0; i < len(args); i++ {
		flags, ok := strings.CutPrefix(args[i], "-")
		if !ok || flags == "" || flags == "-" {
			return false
		}
		for at, f := range flags {
			if f == 'C' {
				return true
			}
			if strings.ContainsRune("cfLST", f) { // has an argument
				if at == len(flags)-1 {
					i++
				}
				break
			}
		}
	}
	return false
}
