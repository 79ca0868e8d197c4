package takeover

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"entry/audit/plain"
)

// Programs that stand in place of a shell: those that let nobody in, and those
// that let their user do anything ("." is for none, which stands for sh).
var (
	noShells = []string{"nologin", "false", "true", "null", "sync", "halt", "shutdown", "poweroff", "reboot"}
	shells   = []string{".", "sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "ksh93", "mksh", "csh", "tcsh", "fish"}
)

// passwdLine is what a passwd file says of one account.
type passwdLine struct {
	barred string // why nobody could log in to it, "" where its owner could
	note   string // what may have restricted its owner there
}

// parsePasswd reads a passwd file (passwd(5)). Of NIS's lines, "+…" adds nobody
// who could be named, and "-NAME" bars that user, wherever it stands.
func parsePasswd(text string) (map[string]passwdLine, error) {
	all := map[string]passwdLine{}
	barred, err := eachLine(text, func(n int, line string) error {
		f := strings.Split(line, ":")
		if len(f) != 7 {
			return fmt.Errorf("line %d is none of a passwd file: want NAME:x:UID:GID:GECOS:HOME:SHELL", n)
		}
		var p passwdLine
		switch shell := path.Base(f[6]); {
		case slices.Contains(noShells, shell):
			p.barred = "its shell is " + shell
		case strings.HasPrefix(f[1], "!") || strings.HasPrefix(f[1], "*"):
			p.barred = "it is locked in the passwd file (" + f[1][:1] + ")"
		case !slices.Contains(shells, shell):
			p.note = "its shell was " + plain.Line(plain.Clip(shell, 40)) + ", which may have let it do less than a shell; here the policy alone says what it may"
		}
		if _, twice := all[f[0]]; twice {
			p.barred = "it has more than one line in the passwd file"
		}
		all[f[0]] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range barred {
		if p, ok := all[name]; ok {
			p.barred = "the passwd file bars it (-" + name + ")"
			all[name] = p
		}
	}
	return all, nil
}

// eachLine calls read with each line of a passwd or shadow file that is a user's,
// numbered from 1, until it fails; barred are whom NIS's lines bar.
func eachLine(text string, read func(n int, line string) error) (barred []string, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		out, is, err := nisLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d %w", n, err)
		case is:
			barred = append(barred, out)
			continue
		}
		if err := read(n, line); err != nil {
			return nil, err
		}
	}
	return barred, nil
}

// nisLine tells whether a line of passwd or shadow is one for NIS (nsswitch.conf(5),
// compat), and whom it bars; "" for nobody. Who is in a group that it bars isn't
// known here, which is an error.
func nisLine(line string) (barred string, is bool, err error) {
	name, _, _ := strings.Cut(line, ":")
	switch {
	case strings.HasPrefix(name, "+"):
		return "", true, nil
	case strings.HasPrefix(name, "-@"):
		return "", true, fmt.Errorf("bars a netgroup, and who is in it isn't known here: write a line -NAME for each of them instead")
	case strings.HasPrefix(name, "-"):
		return name[1:], true, nil
	}
	return "", false, nil
}
