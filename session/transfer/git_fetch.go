package transfer

import (
	"slices"
	"strings"
)

// fetches takes a pkt-line of the client of a fetch, or of an archive. It is the
// same in all versions: wants, in protocol 2 behind a command, and much that
// tells what the client has.
func (d *git) fetches(kind pktKind, text string) (wrong string) {
	if kind == pktFlush && d.command != "" {
		if len(d.commands) == maxGitCommands {
			return "it doesn't wait for answers"
		}
		d.commands = append(d.commands, d.command)
		d.command = ""
		return ""
	}
	if command, ok := strings.CutPrefix(text, "command="); ok {
		d.command = clipped(command)
	} else if m := gitWant.FindStringSubmatch(text); m != nil {
		object := strings.ToLower(m[1])
		d.add(object, gitRef{name: d.names[object], new: object})
	} else if m := gitWantRef.FindStringSubmatch(text); m != nil {
		d.add("ref "+m[1], gitRef{name: m[1]})
	} else if argument, ok := strings.CutPrefix(text, "argument "); ok && d.verb == "git-upload-archive" {
		d.asked = clipped(strings.TrimSpace(d.asked + " " + argument))
	}
	return ""
}

// fetchAnswer takes a pkt-line of the target of a fetch.
func (d *git) fetchAnswer(s *gitStream, kind pktKind, text string) (wrong string) {
	switch s.stage {
	case gitFirst:
		if s.stage = gitList; text == "version 2" {
			s.stage = gitLetters
		} else {
			return d.fetchAnswer(s, kind, text)
		}
	case gitList: // protocol 0, and 1 behind its first line
		if kind == pktFlush {
			s.stage = gitOpaque
		}
		d.learn(text)
	case gitLetters:
		if kind == pktFlush {
			s.stage = gitSecond
		}
	default:
		return d.fetchSection(s, kind, text)
	}
	return ""
}

// fetchSection takes a pkt-line of an answer of protocol 2.
func (d *git) fetchSection(s *gitStream, kind pktKind, text string) (wrong string) {
	switch {
	case len(d.commands) == 0:
		return "an answer to no command"
	case kind == pktFlush:
		d.commands = slices.Delete(d.commands, 0, 1)
		s.skim = false
	case d.commands[0] == "ls-refs":
		d.learn(text)
	case text == "packfile":
		s.skim = true
	case d.commands[0] == "fetch": // a wanted ref with what it was
		if m := gitShown.FindStringSubmatch(text); m != nil {
			if i, ok := d.refAt["ref "+m[2]]; ok {
				d.refs[i].new = strings.ToLower(m[1])
			}
		}
	}
	return ""
}
