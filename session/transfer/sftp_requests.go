package transfer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// request rules on the request whose beginning, or all, is p. whole is how long
// it is.
func (d *SFTP) request(s *stream, p []byte, whole int, r Ruling) (verdict, string) {
	kind, f := p[4], fields{rest: p[packetHead:]}
	q := &request{operation: operations[kind], id: binary.BigEndian.Uint32(p[5:])}
	if kind == fxpExtended {
		name := f.bytes()
		if q.operation = extensions[string(name)]; q.operation == nil {
			q.operation = &operation{name: "extension"}
			d.refuse(q, &reject{fxOpUnsupported, fmt.Sprintf("entry: unknown extension %.64q", name)}, r)
			return verdict{}, ""
		}
	}
	if q.operation == nil {
		return verdict{}, fmt.Sprintf("a packet of type %d", kind)
	}
	a, wrong := q.parse(&f)
	data := int(a.numbers[1]) // of WRITE
	if wrong == nil && kind == fxpWrite && data > whole-len(p) {
		wrong = malformed
	}
	if wrong == nil {
		wrong = d.resolve(kind, q, &a)
	}
	if wrong == nil {
		wrong = d.room(q)
	}
	if wrong != nil {
		d.refuse(q, wrong, r)
		return verdict{}, ""
	}
	if why := d.refused(q); why != "" {
		d.refuse(q, &reject{fxPermissionDenied, why}, r)
		return verdict{}, ""
	}
	d.listing.asked += int64(len(p))
	if q.dir {
		d.listing.opened(q.path)
	}
	d.requests[q.id] = q
	d.texts += q.texts()
	d.sent(kind, q)
	if kind == fxpWrite {
		s.sink = &q.file.up
		s.sink.begin(q.offset, data)
		if s.surplus = s.rest - data; s.surplus > 0 {
			// rclone 1.60 sends more than a file's last WRITE says. OpenSSH's server
			// takes no notice of that; what another one would do isn't known.
			s.rest = data
			head := bytes.Clone(p)
			binary.BigEndian.PutUint32(head, uint32(len(p)-4+data))
			return verdict{true, head}, ""
		}
	}
	return verdict{pass: true}, ""
}

// resolve fills q in from its arguments.
func (d *SFTP) resolve(kind byte, q *request, a *arguments) *reject {
	q.path, q.to, q.attrs = string(a.paths[0]), string(a.paths[1]), a.attrs
	for i := range a.count {
		f := d.handles[string(a.handles[i])]
		// A closed handle may be another file's by the time that the target reads
		// of it.
		if f == nil || f.closing {
			return noHandle
		}
		if i == 0 {
			q.file = f
		} else {
			q.other = f
		}
	}
	if kind != fxpRead && kind != fxpWrite {
		q.began = time.Now()
	}
	switch kind {
	case fxpOpen:
		q.flags = uint32(a.numbers[0])
		if q.flags&^fxfAll != 0 {
			return &reject{fxOpUnsupported, fmt.Sprintf("entry: unknown flags %#x of open", q.flags)}
		}
		q.anew = q.flags&(fxfTrunc|fxfWrite) == fxfTrunc|fxfWrite || q.flags&(fxfCreat|fxfExcl) == fxfCreat|fxfExcl
	case fxpOpendir:
		q.dir = true
	case fxpRead, fxpWrite:
		switch n := a.numbers[1]; {
		case q.file.dir:
			return noHandle
		case a.numbers[0] > math.MaxInt64-n:
			return &reject{fxFailure, "entry: an offset that no file has"}
		default:
			q.offset, q.length = int64(a.numbers[0]), uint32(n)
		}
	case fxpSymlink:
		// OpenSSH's server and those that follow it have the link's content first
		// (PROTOCOL §4.1), unlike the draft.
		q.path, q.to = q.to, q.path
	case fxpRealpath:
		q.homing = q.path == "" || q.path == "."
	}
	switch {
	case q.operation == copyData:
		if q.file.dir || q.other.dir {
			return noHandle
		}
		q.path, q.to = cmp.Or(q.file.to, q.file.path), cmp.Or(q.other.to, q.other.path)
		q.detail = fmt.Sprintf("%d bytes from %d to %d", a.numbers[1], a.numbers[0], a.numbers[2])
		if a.numbers[1] == 0 {
			q.detail = fmt.Sprintf("all from %d to %d", a.numbers[0], a.numbers[2])
		}
	case q.file != nil && q.listed:
		q.path = cmp.Or(q.file.to, q.file.path)
	}
	if q.listed && q.detail == "" {
		q.detail = q.attrs.String()
	}
	return nil
}

// room says no if q has the id of another one under way, or is too much.
func (d *SFTP) room(q *request) *reject {
	switch {
	case d.requests[q.id] != nil:
		return &reject{fxBadMessage, "entry: a request with that id is under way"}
	case len(d.requests) >= maxRequests:
		return &reject{fxFailure, fmt.Sprintf("entry: more than %d requests are under way", maxRequests)}
	case d.texts+2*q.texts() > maxTexts: // of what it opens, too
		return &reject{fxFailure, "entry: too many long paths are under way"}
	case q.answer == fxpHandle && len(d.files) >= maxFiles:
		return &reject{fxFailure, fmt.Sprintf("entry: more than %d files are open", maxFiles)}
	}
	return nil
}

// refused says why q's sender may not do that, "" if he may.
func (d *SFTP) refused(q *request) string {
	switch q.needs {
	case nothing:
		return ""
	case download:
		return d.may(Download)
	case upload:
		return d.may(Upload)
	case byFlags:
		if q.puts() {
			if why := d.may(Upload); why != "" {
				return why
			}
		}
		if q.gets() {
			return d.may(Download)
		}
		return ""
	}
	why := d.may(Download)
	if why != "" && d.may(Upload) == "" {
		return ""
	}
	return why
}

// puts and gets say for what an OPEN opens. A file that isn't opened for writing
// is for reading, whatever else the flags say; any flag but READ changes it.
func (q *request) puts() bool { return q.flags&^fxfRead != 0 }
func (q *request) gets() bool { return q.flags&fxfRead != 0 || q.flags&fxfWrite == 0 }

// refuse answers q for the target.
func (d *SFTP) refuse(q *request, w *reject, r Ruling) {
	defer func() { r.Answer(status(q.id, w)) }() // what Enter has to tell of it comes before
	if w.code == fxPermissionDenied {            // one entry for all, when the file is closed
		switch q.operation {
		case operations[fxpRead]:
			q.file.deny(Download, w.text)
			return
		case operations[fxpWrite]:
			q.file.deny(Upload, w.text)
			return
		}
	}
	if q.began.IsZero() {
		q.began = time.Now()
	}
	e := q.entry()
	e.Ended, e.Outcome, e.Detail = q.began, Refused, w.text
	r.Enter(e)
}

// entry is what the manifest has of q, but for how it ended.
func (q *request) entry() Entry {
	e := Entry{Protocol: sftpName, Operation: q.name, Path: q.path, To: q.to, Began: q.began, Detail: q.detail}
	if q.operation == operations[fxpOpen] {
		e.Operation, e.Direction, e.Unknown = "get", Download, "it wasn't opened"
		if q.puts() {
			e.Operation, e.Direction = "put", Upload
		}
	}
	if e.Path == "" && q.file != nil {
		e.Path = q.file.path
	}
	return e
}

// sent notes what q may do from now on.
func (d *SFTP) sent(kind byte, q *request) {
	if q.changes() {
		d.changing(q)
	}
	d.order++
	if q.order, q.moves = d.order, d.renames; len(d.changes) > 0 {
		q.moves = -1
	}
	if q.file != nil {
		q.file.pending++
		q.cuts = q.file.cuts
	}
	if q.other != nil {
		q.other.pending++
		q.other.up.lose("content was copied into it on the target")
		q.other.reach = math.MaxInt64
	}
	switch {
	case q.answer == fxpHandle:
		d.opens(q)
	case kind == fxpClose:
		q.file.closing = true
	case kind == fxpWrite:
		q.file.writing++
		q.file.reach = max(q.file.reach, q.offset+int64(q.length))
		if q.file.sizing > 0 && uint64(q.offset)+uint64(q.length) > q.file.sized {
			q.file.up.lose("its size was set while it was written")
		}
	case kind == fxpFsetstat && q.attrs.flags&attrSize != 0:
		f := q.file
		f.reach = max(f.reach, int64(min(q.attrs.size, math.MaxInt64)))
		if !f.puts { // some servers do it by the file's path
			for other := range d.named(f) {
				other.up.lose("its size was set by another handle while it was open")
			}
		}
		f.sizing++
		f.cuts++
		f.sized = q.attrs.size
		// What is beyond all that is written is the same before it and after it.
		if f.sizing > 1 || f.writing > 0 && f.sized < uint64(f.up.top) {
			f.up.lose("its size was set while it was written")
		}
	}
}
