package transfer

import "strings"

// pushed takes a pkt-line of the client of a push: what is to be changed, then
// options if that was agreed, then a pack.
func (d *git) pushed(s *gitStream, kind pktKind, text string) (wrong string) {
	switch {
	case s.stage == gitSecond && kind == pktFlush:
		s.stage = gitOpaque
	case s.stage == gitSecond: // an option for the repository's hooks
	case kind == pktFlush && d.cert != nil:
		return "a signed push that doesn't end"
	case kind == pktFlush:
		if s.stage = gitOpaque; hasCapability(d.asked, "push-options") {
			s.stage = gitSecond
		}
	case kind != pktData:
		return "a mark that no push has"
	default:
		return d.pushedLine(s, text)
	}
	return ""
}

func (d *git) pushedLine(s *gitStream, text string) (wrong string) {
	if s.stage == gitFirst {
		s.stage = gitList
	}
	line, capabilities, has := strings.Cut(text, "\x00")
	if has && d.cert == nil {
		d.asked = capabilities
	}
	switch {
	case d.cert != nil && line == "push-cert-end":
		return d.signed()
	case d.cert != nil:
		if len(d.cert)+len(text) > maxGitCert {
			return "the text of a signed push is too long"
		}
		d.cert = append(append(d.cert, text...), '\n')
	case line == "push-cert":
		d.cert = []byte{}
	case strings.HasPrefix(line, "shallow "):
	default:
		return d.change(line)
	}
	return ""
}

// change takes a line that says what a ref is to become.
func (d *git) change(line string) (wrong string) {
	m := gitChange.FindStringSubmatch(line)
	if m == nil {
		return "a push without old object, new object and ref"
	}
	d.add(m[3], gitRef{name: m[3], old: strings.ToLower(m[1]), new: strings.ToLower(m[2])})
	return ""
}

// signed reads the text of a signed push: a head, an empty line, the changes, a
// signature.
func (d *git) signed() (wrong string) {
	_, body, found := strings.Cut(string(d.cert), "\n\n")
	if d.cert = nil; !found {
		return "a signed push without changes"
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "-----BEGIN ") {
			return ""
		}
		if wrong := d.change(strings.TrimSuffix(line, "\n")); wrong != "" {
			return wrong
		}
	}
	return "a signed push without signature"
}

// pushAnswer takes a pkt-line of the target of a push: its refs, then what became
// of the changes, in side-band if that was agreed.
func (d *git) pushAnswer(s *gitStream, kind pktKind, payload []byte, text string) (wrong string) {
	if s.stage != gitSecond {
		if kind == pktFlush {
			s.stage = gitSecond
		}
		return ""
	}
	if !hasCapability(d.asked, "side-band-64k") {
		d.reported(kind, text)
		return ""
	}
	switch n, rest := band(payload); n {
	case 1:
		for len(rest) > 0 {
			used, kind, line, whole, wrong := d.report.next(rest)
			if wrong != "" {
				return wrong
			}
			if rest = rest[used:]; whole {
				d.reported(kind, withoutEnd(line))
			}
		}
	case 3:
		d.failure = clipped(withoutEnd(rest))
	}
	return ""
}

// reported takes a line of a report.
func (d *git) reported(kind pktKind, text string) {
	word, rest, _ := strings.Cut(text, " ")
	ref, reason, _ := strings.Cut(rest, " ")
	i, known := d.refAt[ref]
	switch {
	case kind != pktData:
	case word == "unpack" && rest != "ok":
		d.failure = clipped("unpack: " + rest)
	case word == "ok" && known:
		d.refs[i].outcome = OK
	case word == "ng" && known:
		d.refs[i].outcome, d.refs[i].detail = Failed, clipped(reason)
	}
}
