package transfer

import (
	"strconv"
	"time"
)

// rsyncRun is what the command line said. paths are those that are copied.
type rsyncRun struct {
	paths []string
	needs []Direction
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
}

func newRsync(run rsyncRun, may May) *rsync {
	return &rsync{run: run, may: may, began: time.Now()}
}

// Data implements Decoder.
func (d *rsync) Data(toTarget bool, p []byte, r Ruling) error {
	for _, way := range d.run.needs {
		if d.why = d.may(way); d.why != "" {
			d.Finish(-1, r)
			return &Stopped{way, d.why}
		}
	}
	d.sent[index(toTarget)] += int64(len(p))
	r.Pass(p, false)
	return nil
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
