package takeover

import (
	"fmt"
	"path"
	"strings"
)

// parsePasswd reads a passwd file (passwd(5)): why nobody could log in to each of
// its accounts, "" where its owner could.
func parsePasswd(text string) (map[string]string, error) {
	all, n := map[string]string{}, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, ":")
		if len(f) != 7 {
			return nil, fmt.Errorf("line %d is none of a passwd file: want NAME:x:UID:GID:GECOS:HOME:SHELL", n)
		}
		why := ""
		switch shell := path.Base(f[6]); {
		case shell == "nologin" || shell == "false":
			why = "its shell is " + shell
		case strings.HasPrefix(f[1], "!") || strings.HasPrefix(f[1], "*"):
			why = "it is locked in the passwd file (" + f[1][:1] + ")"
		}
		if _, twice := all[f[0]]; twice {
			why = "it has more than one line in the passwd file"
		}
		all[f[0]] = why
	}
	return all, nil
}
