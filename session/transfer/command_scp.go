package transfer

import (
	"strings"

	"entry/audit/plain"
)

// scpCommand reads the far end of scp's old protocol: `scp -t place` takes files
// there, `scp -f name…` sends some. Options are -r, -p, -d (the place is a
// folder), -v and -q, in any grouping: that is all that OpenSSH's scp -O, pscp
// and the libraries send. Without -t and -f scp is somebody's client, run on the
// target: no transfer.
func scpCommand(name word, args []word) (*Program, string) {
	role, flags, paths, bad := scpWords(args)
	switch {
	case role == "" && bad == "":
		return nil, ""
	case bad != "":
		return nil, bad
	case len(role) > 1:
		return nil, "-t and -f are two transfers: ask for one"
	case len(paths) == 0:
		return nil, "no name is given: say what to copy"
	}
	p := &Program{Name: "scp", Needs: []Direction{Upload}}
	words := append([]word{name}, flags...)
	for _, w := range paths {
		if w.text == "" {
			return nil, "a name is empty: say what to copy"
		}
		p.paths = append(p.paths, w.text)
		words = append(words, w.path())
	}
	run := scpRun{paths: p.paths, recursive: scpHas(flags, 'r'), folder: scpHas(flags, 'd')}
	if role == "f" {
		p.Needs, run.source = []Direction{Download}, true
	} else if len(paths) > 1 {
		return nil, "files go to one place: put a name with blanks into quotes"
	} else if paths[0].globs() {
		return nil, "the place to copy to is a pattern: write its name, in quotes if these are its characters"
	}
	p.line = asLine(words)
	p.decoder = func(may May) Decoder { return newSCP(run, may) }
	return p, ""
}

// scpWords sorts what follows scp. role has each -t and -f.
func scpWords(args []word) (role string, flags, paths []word, bad string) {
	operands := false
	for _, w := range args {
		switch {
		case operands || len(w.text) < 2 || w.text[0] != '-':
			paths = append(paths, w)
			continue
		case w.text == "--":
			operands = true
			continue
		}
		letters := w.text[1:]
		if strings.Trim(letters, "rpdvqtf") != "" && bad == "" {
			bad = plain.Quote(plain.Clip(w.text, 40)) + " isn't let through: of scp's options only -r, -p, -d, -v and -q are"
		} else if len(paths) > 0 && bad == "" { // some getopts take them there
			bad = "an option stands behind a name: put -- in front of names that begin with -"
		}
		for _, c := range letters {
			if c == 't' || c == 'f' {
				role += string(c)
			}
		}
		flags = append(flags, dead(w.text))
	}
	if role == "" {
		return "", nil, nil, "" // somebody's client, with whatever options
	}
	return role, flags, paths, bad
}

func scpHas(flags []word, letter rune) bool {
	for _, w := range flags {
		if strings.ContainsRune(w.text, letter) {
			return true
		}
	}
	return false
}
