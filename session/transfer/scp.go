package transfer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"
	"time"

	"entry/audit/plain"
)

const (
	// maxScpRecord bounds a record, and what a client says of its failures: an
	// older scp takes a line of 2,048 bytes for two. Names have at most 255 bytes
	// on Linux.
	maxScpRecord = 1 << 10 // bytes
	// maxScpName is the longest name of a file, 255 bytes of which scp may spell each in
	// four: one that is longer is no file's.
	maxScpName = 4 * 255 // bytes
	// maxScpText bounds what the target says of a failure; OpenSSH's limit.
	maxScpText = 16 << 10 // bytes
	// maxScpWords is how much the target may say that isn't the protocol's, a login
	// shell's greeting: it is in no manifest, so that more would be a way to move files.
	maxScpWords = 4 << 10 // bytes
	// scpLeftOut stands for words beyond all that a target may say.
	scpLeftOut = "entry: scp said more than is passed on\n"
	// maxScpHeld is how much is kept of a side whose turn it isn't. No stock
	// program speaks out of turn.
	maxScpHeld = 64 << 10 // bytes
	// maxScpDepth and maxScpPath bound folders in folders; Linux has paths of 4,096
	// bytes.
	maxScpDepth = 1 << 10
	maxScpPath  = 8 << 10 // bytes
)

// scpRun is what the command line said.
type scpRun struct {
	paths     []string
	source    bool // the target sends (-f)
	recursive bool // -r
	folder    bool // -d
}

// scpPhase is what comes next.
type scpPhase uint8

const (
	scpStart      scpPhase = iota // the sink's first reply
	scpRecord                     // a record, or a warning, of the source
	scpRecordDone                 // the sink's reply to it
	scpData                       // a file's bytes
	scpDataEnd                    // the source's word that they were right
	scpFileDone                   // the sink's reply to them
	scpOver                       // nothing more: one side has said that it ends
	scpRefused                    // nothing more: entry has said so to both
)

// sinkSpeaks says whose turn it is.
func (p scpPhase) sinkSpeaks() bool {
	return p == scpStart || p == scpRecordDone || p == scpFileDone
}

// scp follows scp's old protocol, which is rcp's: the source sends records (C a
// file, D a folder, E its end, T times), the sink a reply to each. It has no
// document but OpenSSH's scp.c.
//
// The sides speak in turns, and what a byte of the source means depends on the
// reply before it. So what comes out of turn is held until its turn has come,
// and a peer that doesn't wait ends in a Desync: nothing is ever told apart
// otherwise than scp itself does.
type scp struct {
	scpRun
	may May

	phase   scpPhase
	record  scpLine   // the one under way
	begun   bool      // there was a record
	partial []byte    // of a line; once it is over, the target's last words
	held    [2][]byte // by side: the source's, the sink's
	places  scpPlaces

	file  Entry // under way from its record to the reply to its data
	open  bool  // file is
	left  int64 // bytes of it that are still to come
	words int   // bytes that the target said that aren't the protocol's
	sum   hash.Hash

	listing listing // folders and times of a source at the target
}

func newSCP(run scpRun, may May) *scp {
	return &scp{scpRun: run, may: may, sum: sha256.New(), places: scpPlaces{run: run}}
}

// direction is the way that content goes.
func (d *scp) direction() Direction {
	if d.source {
		return Download
	}
	return Upload
}

// Data implements Decoder.
func (d *scp) Data(toTarget bool, p []byte, r Ruling) error {
	err := d.piece(toTarget, p, r)
	if err != nil {
		d.finish(r, Cut, "")
		d.listing.enter("scp", r)
	}
	return err
}

func (d *scp) piece(toTarget bool, p []byte, r Ruling) error {
	sink := toTarget == d.source
	if d.phase >= scpOver {
		return d.after(toTarget, p, true, r)
	}
	own := [2][]byte{d.held[0], d.held[1]}
	d.held = [2][]byte{}
	mine := index(sink)
	lent := len(own[mine]) == 0 // is the caller's
	if lent {
		own[mine] = p
	} else {
		own[mine] = append(own[mine], p...)
	}
	for d.phase < scpOver {
		turn := index(d.phase.sinkSpeaks())
		if len(own[turn]) == 0 {
			break
		}
		used, out, err := d.step(own[turn], toTarget, r)
		if err != nil {
			return err
		}
		own[turn] = own[turn][used:]
		if turn == mine {
			r.Pass(out, false)
		} else {
			r.Answer(out)
		}
	}
	if d.phase >= scpOver {
		for side, rest := range own {
			if len(rest) == 0 {
				continue
			} else if err := d.after((side == 1) == d.source, rest, side == mine, r); err != nil {
				return err
			}
		}
		return nil
	}
	if !d.source && len(own[1]) > 0 {
		// The target's scp says something that no client takes for what it is: a
		// folder's times that couldn't be set, the last words of a shell. The file that
		// is open stays so until they are complete.
		d.phase, d.partial = scpOver, nil
		return d.after(false, own[1], true, r)
	}
	for side, rest := range own {
		if len(rest) > maxScpHeld {
			return d.ahead(side)
		} else if len(rest) > 0 && side == mine && lent {
			rest = bytes.Clone(rest)
		}
		d.held[side] = rest
	}
	return nil
}

// ahead is the error of a side that doesn't wait.
func (d *scp) ahead(side int) error {
	return d.desync((side == 1) == d.source, "it doesn't wait for the other side's replies")
}

func index(sink bool) int {
	if sink {
		return 1
	}
	return 0
}

// after is what becomes of bytes once nothing more is followed. The target isn't
// sent any. A client may read the target's last words. mine says that they come
// in the direction of the call.
func (d *scp) after(toTarget bool, p []byte, mine bool, r Ruling) error {
	switch {
	case d.phase == scpRefused:
	case !toTarget:
		if err := d.speaks(len(p)); err != nil {
			return err
		}
		if d.open {
			d.partial = append(d.partial, p...)
		}
		p = p[:r.Words(len(p))]
		if mine {
			r.Pass(p, false)
		} else {
			r.Answer(p)
		}
	case !d.source:
		return d.desync(true, "it goes on after the transfer has ended")
	}
	return nil
}

// End implements Decoder.
func (d *scp) End(toTarget bool, r Ruling) error {
	sink := toTarget == d.source
	if !toTarget {
		defer d.listing.enter("scp", r)
	}
	if d.phase >= scpOver {
		if !toTarget {
			d.finish(r, Failed, scpSaid(d.partial))
		}
		return nil
	}
	held := d.held[index(sink)]
	if d.phase.sinkSpeaks() != sink && len(held) == 0 {
		return nil // the other side may have something to say yet
	}
	d.phase = scpOver
	d.finish(r, Cut, "")
	switch {
	case !toTarget:
		last := append(d.partial, held...) // a shell's last words
		r.Pass(last[:r.Words(len(last))], false)
	case !sink && len(held) > 0:
		return d.ahead(0)
	}
	return nil
}

// step reads from what the side has sent whose turn it is. out is to be sent on.
func (d *scp) step(p []byte, toTarget bool, r Ruling) (used int, out []byte, err error) {
	switch d.phase {
	case scpStart, scpRecordDone, scpFileDone:
		return d.reply(p, r)
	case scpRecord:
		return d.readRecord(p, toTarget, r)
	case scpData:
		return d.data(p, r)
	}
	return d.dataEnd(p, r)
}

// data hashes a file's bytes.
func (d *scp) data(p []byte, r Ruling) (int, []byte, error) {
	if why := d.may(d.direction()); why != "" {
		d.finish(r, Cut, why)
		return 0, nil, &Stopped{d.direction(), why}
	}
	p = p[:min(int64(len(p)), d.left)]
	d.sum.Write(p)
	d.file.Size += int64(len(p))
	if d.left -= int64(len(p)); d.left == 0 {
		d.phase = scpDataEnd
	}
	return len(p), p, nil
}

// dataEnd reads what the source says after a file's bytes.
func (d *scp) dataEnd(p []byte, r Ruling) (int, []byte, error) {
	if len(d.partial) == 0 && p[0] == 0 {
		d.phase = scpFileDone
		return 1, p[:1], nil
	}
	line, used, err := d.line(p, d.textBound(!d.source), !d.source)
	if line == nil || err != nil {
		return used, nil, err
	}
	if line[0] > 2 {
		return 0, nil, d.desync(!d.source, "a file is longer than its record says")
	}
	d.file.Outcome, d.file.Detail, d.file.Unknown = Failed, scpSaid(line), "it couldn't be read to its end"
	if d.phase = scpFileDone; line[0] == 2 {
		d.phase = scpOver
		d.finish(r, Failed, "")
	}
	return used, d.tells(line, d.source, r), nil
}

// accepted goes on after the reply to a record.
func (d *scp) accepted(r Ruling) error {
	d.phase = scpRecord
	switch d.record.kind {
	case 'C':
		d.sum.Reset()
		if d.left = d.record.size; d.left == 0 {
			d.phase = scpDataEnd
		} else {
			d.phase = scpData
		}
	case 'D':
		if !d.source {
			d.enterFolder(r, OK, "")
		}
		if !d.places.enter(d.record.name) {
			return d.desync(!d.source, "folders are nested too deep")
		}
	case 'E':
		d.places.leave()
	}
	return nil
}

// line gives the line that p completes, with its end, and how much of p is of it;
// nil as long as it isn't complete.
func (d *scp) line(p []byte, most int, toTarget bool) (line []byte, used int, err error) {
	end := bytes.IndexByte(p, '\n')
	if used = end + 1; end < 0 {
		used = len(p)
	}
	if len(d.partial)+used > most {
		return nil, 0, d.desync(toTarget, "a line is too long")
	}
	switch {
	case end < 0:
		d.partial = append(d.partial, p...)
	case len(d.partial) == 0:
		line = p[:used]
	default:
		line = append(d.partial, p[:used]...)
		d.partial = nil
	}
	return line, used, nil
}

// textBound is how long a line may be that goes to the target, or to the client.
func (d *scp) textBound(toTarget bool) int {
	if toTarget {
		return maxScpRecord
	}
	return maxScpText
}

// finish enters the file that is under way, if one is.
func (d *scp) finish(r Ruling, o Outcome, detail string) {
	if !d.open {
		return
	}
	d.open = false
	e := &d.file
	e.Ended = time.Now()
	if e.Outcome == 0 || o == Cut {
		e.Outcome, e.Detail = o, cmp.Or(detail, e.Detail)
	}
	switch {
	case e.Outcome == OK:
		e.SHA256 = d.sum.Sum(nil)
	case e.Unknown != "":
	case e.Outcome == Cut:
		e.Unknown = fmt.Sprintf("it was cut after %d of %d bytes", e.Size, d.record.size)
	default:
		e.Unknown = "it failed"
	}
	r.Enter(*e)
}

// enterFolder enters that a folder was to be made.
func (d *scp) enterFolder(r Ruling, o Outcome, detail string) {
	e := d.entry("mkdir")
	e.Ended, e.Outcome, e.Detail = time.Now(), o, cmp.Or(detail, e.Detail)
	r.Enter(e)
}

// entry is one of the record under way.
func (d *scp) entry(operation string) Entry {
	e := Entry{Protocol: "scp", Operation: operation, Began: time.Now()}
	if operation != "mkdir" {
		e.Direction = d.direction()
	}
	e.Path, e.To = d.places.place(d.record.name)
	e.Detail = d.places.unsure
	if name, ok := scpSpelt(d.record.name); ok && d.source && !strings.HasSuffix(e.Path, name) {
		e.Detail = strings.TrimPrefix(e.Detail+"; ", "; ") + "or " + plain.Said(name) + ", which scp sends as it stands here"
	}
	return e
}

func (d *scp) desync(toTarget bool, reason string) error {
	return &Desync{Protocol: "scp", ToTarget: toTarget, Reason: reason}
}

// operation is what moves a file.
func (d *scp) operation() string {
	if d.source {
		return "get"
	}
	return "put"
}
