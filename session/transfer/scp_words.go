package transfer

import (
	"bytes"
)

// reply reads the sink's: a zero, or a line that says what failed.
func (d *scp) reply(p []byte, r Ruling) (int, []byte, error) {
	if len(d.partial) == 0 && p[0] == 0 {
		if d.phase == scpFileDone {
			d.finish(r, OK, "")
		} else if d.phase == scpRecordDone && d.record.kind != 'T' {
			return 1, p[:1], d.accepted(r)
		}
		d.phase = scpRecord
		return 1, p[:1], nil
	}
	line, used, err := d.line(p, d.textBound(d.source), d.source)
	if line == nil || err != nil {
		return used, nil, err
	}
	if d.phase == scpRecordDone && d.record.kind == 'D' && !d.source {
		d.enterFolder(r, Failed, scpSaid(line))
	}
	d.finish(r, Failed, scpSaid(line))
	if d.phase = scpRecord; line[0] != 1 {
		d.phase = scpOver // an error that ends it, or the words of a login shell
	}
	if line[0] > 2 && !d.source {
		if err := d.speaks(len(line)); err != nil {
			return 0, nil, err
		}
	}
	return used, d.tells(line, !d.source, r), nil
}

// speaks counts n bytes of the target's that aren't the protocol's.
func (d *scp) speaks(n int) error {
	if d.words += n; d.words > maxScpWords {
		return d.desync(false, "it says more than a login shell does")
	}
	return nil
}

// tells is a line of words as it goes on. Of what is the target's no more than may be
// said does, and then that it is left out.
func (d *scp) tells(line []byte, targets bool, r Ruling) []byte {
	if !targets || r.Words(len(line)) == len(line) {
		return line
	}
	if line[0] > 2 { // a shell's
		return []byte(scpLeftOut)
	}
	return append(line[:1:1], scpLeftOut...)
}

// said enters what the target says instead of the protocol.
func (d *scp) said(line []byte, r Ruling) {
	e := d.entry(d.operation())
	e.Path, e.To = d.places.asked(), ""
	e.Ended, e.Outcome, e.Detail, e.Unknown = e.Began, Failed, scpSaid(line), "it failed"
	r.Enter(e)
}

// scpSaid is what a line says of a failure.
func scpSaid(line []byte) string {
	if len(line) > 0 && line[0] <= 2 {
		line = line[1:]
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return string(line[:min(len(line), maxScpText)])
}
