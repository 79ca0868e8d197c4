package transfer

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// maxRsyncLine bounds the line of -s.
const maxRsyncLine = 64 << 10 // bytes

// backAlone is how much may come back from an rsync's target, where the user may not
// download, beyond as much as went up: what answers an upload is less than what asks
// (0.8 of it was the most that was measured, of empty files with -vv), but for the names
// of what --delete removes.
const backAlone = 1 << 20 // bytes

// rsyncRun is what the command line said. paths are those that are copied.
type rsyncRun struct {
	paths            []string
	needs            []Direction
	sender, secluded bool
	loud             bool // -s, and a -v beside it
	rules            bool // the client sends such, for what the target deletes
}

// rsync counts what an rsync moves: one entry for each path, which says nothing
// of the files below it. The protocol isn't followed: it carries differences of
// files, compressed, in a form that 20 versions changed. The first entry has the
// bytes.
type rsync struct {
	run   rsyncRun
	may   May
	began time.Time
	sent  [2]int64 // bytes: from the target, towards it
	why   string   // it was stopped
	done  bool
	line  []byte // of -s, as far as it has come
	rules rsyncRules
}

func newRsync(run rsyncRun, may May) *rsync {
	return &rsync{run: run, may: may, began: time.Now()}
}

// Data implements Decoder.
func (d *rsync) Data(toTarget bool, p []byte, r Ruling) error {
	d.sent[index(toTarget)] += int64(len(p))
	var line []byte // of -s
	if toTarget && d.run.secluded {
		var err error
		if line, p, err = d.secluded(p); err != nil {
			return d.stops(err, r)
		}
	}
	if err := d.ruled(toTarget, p); err != nil {
		return d.stops(err, r)
	}
	for _, way := range d.run.needs {
		if d.why = d.may(way); d.why != "" {
			d.Finish(-1, r)
			return &Stopped{way, d.why}
		}
	}
	if !toTarget && d.sent[0] > backAlone+d.sent[1] {
		if d.why = d.may(Download); d.why != "" {
			d.why = "entry: rsync: more came back than answers an upload, and you may not download; remove fewer files at a time, or ask your lab's administrator"
			d.Finish(-1, r)
			return &Stopped{Download, d.why}
		}
	}
	if len(line) > 0 {
		p = append(line, p...)
	}
	r.Pass(p, false)
	return nil
}

// stops ends the run for err.
func (d *rsync) stops(err error, r Ruling) error {
	d.why = err.Error()
	d.Finish(-1, r)
	return err
}

// ruled looks at the rules that go to the target, where the user may upload alone.
func (d *rsync) ruled(toTarget bool, p []byte) error {
	switch {
	case d.run.sender || d.rules.done:
	case !toTarget:
		d.rules.answers(p)
	case d.run.secluded || len(p) == 0: // -s isn't over
	case !d.run.rules || d.may(Download) == "":
		d.rules.done = true
	default:
		return d.rules.read(p)
	}
	return nil
}

// secluded reads the line that comes first with -s: words that end in NUL, behind
// the program's name, up to an empty one. It gives that line as it is to reach the
// target, and what came behind it.
func (d *rsync) secluded(p []byte) (line, rest []byte, err error) {
	d.line = append(d.line, p...)
	end := bytes.Index(d.line, []byte("\x00\x00"))
	if end < 0 && len(d.line) > maxRsyncLine || end > maxRsyncLine {
		return nil, nil, &BadCommand{"rsync", "entry: rsync: its options and names are too long: copy fewer at a time"}
	} else if end < 0 {
		return nil, nil, nil
	}
	words := bytes.Split(d.line[:end], []byte{0})
	rest = d.line[end+2:]
	d.line, d.run.secluded = nil, false
	o := rsyncOptions{sender: d.run.sender, inside: true, loud: d.run.loud}
	names := false // which rsync looks for patterns in, as a shell would
	for _, text := range words[1:] {
		w := dead(string(text))
		for i, c := range text {
			w.live[i] = names && strings.IndexByte("*?[", c) >= 0
		}
		names = names || w.text == "."
		o.rest = append(o.rest, w)
	}
	operands, bad := o.read()
	if string(words[0]) != "rsync" {
		bad = "its line inside doesn't begin with its name: copy with a stock rsync"
	}
	if bad != "" {
		return nil, nil, &BadCommand{"rsync", "entry: rsync: " + bad}
	}
	d.run.paths, d.run.needs, d.run.rules = texts(o.rest), o.needs(), d.run.rules || o.rules
	options := o.words
	if !o.sender && !o.appends && d.may(Download) != "" { // see Program.Line
		options = append(o.alone, dead("-W"))
	}
	line = []byte("rsync\x00")
	for _, w := range append(options, operands...) {
		line = append(append(line, w.text...), 0)
	}
	return append(line, 0), rest, nil
}

// End implements Decoder.
func (d *rsync) End(bool, Ruling) error { return nil }

// Finish implements Finisher.
func (d *rsync) Finish(status int, r Ruling) {
	if d.done {
		return
	}
	d.done = true
	e := Entry{
		Protocol: "rsync", Operation: "put", Direction: d.run.needs[0], Unknown: "rsync sends differences of files",
		Size: d.sent[1], Back: d.sent[0], Began: d.began, Ended: time.Now(),
	}
	if e.Direction == Download {
		e.Operation, e.Size, e.Back = "get", e.Back, e.Size
	}
	e.Outcome, e.Detail = ended(status, d.why)
	for i, path := range d.run.paths {
		if e.Path = path; i > 0 {
			e.Size, e.Back = 0, 0
		}
		r.Enter(e)
	}
	if len(d.run.paths) == 0 {
		r.Enter(e)
	}
}

// ended is how a program came out that ended with status, or was stopped.
func ended(status int, why string) (Outcome, string) {
	switch {
	case why != "":
		return Cut, why
	case status < 0:
		return Cut, ""
	case status > 0:
		return Failed, "it ended with status " + strconv.Itoa(status)
	}
	return OK, ""
}
