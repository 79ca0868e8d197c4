package transfer

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"entry/audit/plain"
)

// scpLine is one record.
type scpLine struct {
	kind byte // 'C', 'D', 'E' or 'T'
	size int64
	name string
}

var (
	// OpenSSH's sink wants the mode in four digits and no sign anywhere.
	scpItem  = regexp.MustCompile(`(?s)^[CD][0-7]{4} ([0-9]{1,19}) ([^/\x00]+)$`)
	scpTimes = regexp.MustCompile(`^T[0-9]{1,20} [0-9]{1,6} [0-9]{1,20} [0-9]{1,6}$`)
)

// parseRecord reads a record without its end; wrong says what isn't right.
func (d *scp) parseRecord(text []byte) (rec scpLine, wrong string) {
	if len(text) == 0 {
		return rec, "an empty line"
	}
	rec.kind = text[0]
	switch rec.kind {
	case 'E':
		// What may stand behind it, sinks don't read.
		if d.places.depth() == 0 {
			return rec, "the end of a folder that hasn't begun"
		}
		if len(text) > 1 {
			return rec, "the end of a folder has more to it"
		}
		return rec, ""
	case 'T':
		if !scpTimes.Match(text) {
			return rec, "times that are none"
		}
		return rec, ""
	case 'C', 'D':
	default:
		return rec, "no record"
	}
	m := scpItem.FindSubmatch(text)
	if m == nil {
		return rec, "a record without mode, size or name, or with a path for a name"
	}
	size, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return rec, "a size that is too large"
	}
	rec.size, rec.name = size, string(m[2])
	switch {
	case len(rec.name) > maxScpName:
		return rec, "a name that is longer than any file's"
	case rec.name == "..", rec.name == "." && !(rec.kind == 'D' && d.source):
		return rec, "the name is " + rec.name
	case rec.kind == 'D' && !d.recursive:
		return rec, "a folder without -r"
	}
	return rec, ""
}

// readRecord reads what the source says when no file is under way.
func (d *scp) readRecord(p []byte, toTarget bool, r Ruling) (int, []byte, error) {
	most := maxScpRecord
	if d.source {
		most = maxScpText // a line of the target's may be no record
	}
	line, used, err := d.line(p, most, !d.source)
	if line == nil || err != nil {
		return used, nil, err
	}
	if line[0] == 1 || line[0] == 2 {
		if line[0] == 2 {
			d.phase = scpOver
		}
		if d.source { // what a client says of its own files is its own
			d.said(line, r)
		}
		return used, d.tells(line, d.source, r), nil
	}
	rec, wrong := d.parseRecord(bytes.TrimSuffix(line, []byte("\n")))
	if wrong != "" {
		if d.source && !d.begun && line[0] != 'C' && line[0] != 'D' && line[0] != 'T' && line[0] != 'E' {
			// A login shell's words, or those of whoever stands in for scp: the client
			// prints them and ends.
			d.phase = scpOver
			d.said(line, r)
			if err := d.speaks(len(line)); err != nil {
				return 0, nil, err
			}
			return used, d.tells(line, true, r), nil
		}
		return 0, nil, d.desync(!d.source, wrong)
	}
	d.record, d.begun, d.phase = rec, true, scpRecordDone
	if d.source && rec.kind != 'C' { // a file's has an entry
		d.listing.add(line)
		if rec.kind == 'D' {
			d.listing.names++
			d.listing.opened(rec.name)
		}
	}
	if rec.kind == 'C' || rec.kind == 'D' {
		if d.judge(toTarget, r) {
			return used, nil, nil
		}
	}
	return used, line, nil
}

// judge begins a file, or reports that the record under way may not be, which
// both sides have been told then: each one's scp prints what the other one died
// of, and ends.
func (d *scp) judge(toTarget bool, r Ruling) (refused bool) {
	operation := d.operation()
	if d.record.kind == 'D' {
		operation = "mkdir"
	}
	why := d.may(d.direction())
	if why == "" {
		if d.record.kind == 'C' {
			d.file, d.open = d.entry(operation), true
			r.Begin(d.file)
		}
		return false
	}
	e := d.entry(operation)
	e.Ended, e.Outcome, e.Detail, e.Unknown = e.Began, Refused, why, "it was refused"
	r.Enter(e)
	d.phase = scpRefused
	last := []byte("\x02" + strings.NewReplacer("\n", " ", "\r", " ").Replace(why) + "\n")
	r.Answer(last)
	r.Pass(last, false)
	return true
}

// scpPlaces says where names are. The protocol has only the last part of each.
type scpPlaces struct {
	run   scpRun
	at    int      // which of run's paths the target is at
	dir   []byte   // with the slash behind it; of Path
	other []byte   // likewise, of To
	lens  [][2]int // of both, by folder that is open
	// unsure says where it may be that the target is at, where several of what it was
	// asked for fit the name; else "".
	unsure string
}

func (s *scpPlaces) depth() int { return len(s.lens) }

// asked is the path that the target is at, if that is known.
func (s *scpPlaces) asked() string {
	if len(s.run.paths) == 1 {
		return s.run.paths[0]
	}
	return ""
}

// place is where name is. What scp -t was given may be a folder or not, if it
// isn't said to be one: then there are two places, and to is the one in it.
func (s *scpPlaces) place(name string) (p, to string) {
	switch {
	case s.depth() > 0:
		if len(s.other) > 0 {
			to = string(s.other) + name
		}
		return string(s.dir) + name, to
	case s.run.source:
		return s.sent(name), ""
	}
	target := s.run.paths[0]
	base := target[strings.LastIndexByte(target, '/')+1:]
	in := scpJoin(target, name)
	if s.run.folder || base == "" || base == "." || base == ".." || target[0] == '~' && base == target {
		return in, ""
	}
	return target, in
}

// sent is the path of what the target sends by name: it goes through what it was
// asked for in order, and patterns are its shell's. It may leave some of that out, with
// words that tell nobody what they are about, so that of several that fit none is taken
// for the right one.
func (s *scpPlaces) sent(name string) string {
	var fits []string
	first := s.at
	spelt, _ := scpSpelt(name)
	for i := len(s.run.paths) - 1; i >= s.at; i-- {
		dir, base := path.Split(strings.TrimRight(s.run.paths[i], "/"))
		if spelt != "" && base == spelt {
			first = i
			if !slices.Contains(fits, dir+spelt) {
				fits = append(fits, dir+spelt)
			}
		} else if match, _ := path.Match(base, name); match || base == name {
			first = i
			if !slices.Contains(fits, dir+name) {
				fits = append(fits, dir+name)
			}
		}
	}
	s.at, s.unsure = first, ""
	switch len(fits) {
	case 0:
	case 1:
		return fits[0]
	default:
		slices.Reverse(fits)
		s.unsure = "one of " + plain.List(fits, 5) + "; scp doesn't tell which"
		return name
	}
	if one := s.asked(); one != "" { // . or ~, whose names are others; or a target's that sends what it likes
		s.unsure = "the target calls it " + plain.Said(name)
		return one
	}
	return name
}

// enter goes into the folder of that name; false if it is too deep.
func (s *scpPlaces) enter(name string) bool {
	p, to := s.place(name)
	s.lens = append(s.lens, [2]int{len(s.dir), len(s.other)})
	if len(s.lens) > maxScpDepth || max(len(p), len(to)) > maxScpPath {
		return false
	}
	s.dir = append(s.dir[:0], scpJoin(p, "")...)
	s.other = s.other[:0]
	if to != "" {
		s.other = append(s.other, scpJoin(to, "")...)
	}
	return true
}

// leave goes back to where enter was called.
func (s *scpPlaces) leave() {
	last := s.lens[len(s.lens)-1]
	s.lens = s.lens[:len(s.lens)-1]
	s.dir, s.other = s.dir[:last[0]], s.other[:last[1]]
}

// scpJoin is name in dir, as scp writes it.
func scpJoin(dir, name string) string {
	if dir == "." {
		return name
	} else if strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}
