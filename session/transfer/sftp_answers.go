package transfer

import (
	"encoding/binary"
	"fmt"
	"time"
)

// answer rules on what the target answers. The request that it is to is done
// with it.
func (d *SFTP) answer(s *stream, p []byte, whole int, r Ruling) (verdict, string) {
	kind, f := p[4], fields{rest: p[packetHead:]}
	id := binary.BigEndian.Uint32(p[5:])
	q := d.requests[id]
	switch {
	case q == nil:
		return verdict{}, fmt.Sprintf("a packet of type %d to no request", kind)
	case kind != fxpStatus && (kind != q.answer || kind == 0):
		return verdict{}, fmt.Sprintf("a packet of type %d to %s", kind, q.name)
	}
	v := verdict{pass: true}
	if reason := d.answered(q, s, p, &f, whole, r); reason != "" {
		return verdict{}, reason
	}
	if q.operation == limits && kind == fxpExtendedReply {
		v.instead = limited(p)
	}
	delete(d.requests, id)
	d.texts -= q.texts()
	delete(d.changes, q)
	for _, f := range []*file{q.file, q.other} {
		if f != nil {
			f.pending--
		}
	}
	for _, f := range []*file{q.file, q.other} {
		if f != nil && f != s.file { // whose content comes yet
			d.settle(f, r)
		}
	}
	return v, ""
}

// answered takes what f, the rest of the packet p, says to q, and returns why it
// can't.
func (d *SFTP) answered(q *request, s *stream, p []byte, f *fields, whole int, r Ruling) (reason string) {
	switch p[4] {
	case fxpStatus:
		code, text := f.uint32(), f.bytes() // some servers give no text
		if len(p) < packetHead+4 || code == fxOK && q.answer != 0 {
			return "a malformed status"
		}
		d.done(q, code, string(text[:min(len(text), maxText)]), r)
	case fxpHandle:
		handle := f.bytes()
		if f.bad || len(f.rest) > 0 || len(handle) > maxHandle {
			return "a malformed handle"
		}
		if old := d.handles[string(handle)]; old != nil && !old.closing {
			return "a handle that is another file's"
		}
		d.opened(q, string(handle))
	case fxpData:
		n := f.uint32()
		if f.bad || int(n) != whole-len(p) || n > q.length {
			return "malformed data"
		}
		q.file.arrives(q.offset, int(n))
		s.sink, s.file = &q.file.down, q.file
	case fxpAttrs:
		a := f.attributes()
		if f.bad {
			return "malformed attributes"
		}
		d.sized(q, a)
	case fxpName:
		if n := f.uint32(); q.homing && n == 1 && q.moves == d.renames {
			if home := f.bytes(); !f.bad && len(home) <= maxPath {
				d.settles(string(home))
			}
		}
	}
	return ""
}

// limited is a reply to limits@openssh.com with entry's where they are lower, so
// that clients ask for no more. 0 is none.
func limited(p []byte) []byte {
	most := []uint64{maxPacket, maxContent, maxContent, maxFiles}
	if len(p) < packetHead+8*len(most) {
		return nil
	}
	p = append([]byte(nil), p...)
	for i, m := range most {
		field := p[packetHead+8*i:]
		if v := binary.BigEndian.Uint64(field); v == 0 || v > m {
			binary.BigEndian.PutUint64(field, m)
		}
	}
	return p
}

// done takes the status that ends q.
func (d *SFTP) done(q *request, code uint32, text string, r Ruling) {
	ok := code == fxOK
	if !ok && text == "" {
		text = fmt.Sprintf("status %d", code)
	}
	switch q.operation {
	case operations[fxpClose]:
		q.file.closed = true
		if !ok {
			direction := Download
			if q.file.puts {
				direction = Upload
			}
			q.file.fails(direction, "closing it failed: "+text)
		}
	case operations[fxpRead]:
		q.file.readFailed(q, code, text)
	case operations[fxpWrite]:
		q.file.writing--
		if !ok {
			q.file.fails(Upload, text)
			q.file.up.lose(fmt.Sprintf("the target didn't take the bytes from %d on", q.offset))
		}
	case operations[fxpOpendir]:
		d.forget(q.file)
	case operations[fxpOpen]:
		if !ok {
			d.forget(q.file)
			e := q.entry()
			e.Ended, e.Outcome, e.Detail = time.Now(), Failed, text
			r.Enter(e)
		}
	case operations[fxpFsetstat]:
		if q.attrs.flags&attrSize != 0 {
			q.file.sizing--
			q.file.cuts++
			if ok {
				q.file.cut(q.attrs.size)
			} else {
				q.file.up.lose("a request to set its size failed, which may be half done")
			}
		}
	}
	d.changed(q, ok)
	if q.listed {
		e := q.entry()
		e.Ended, e.Outcome = time.Now(), OK
		if !ok {
			e.Outcome, e.Detail = Failed, text
		}
		r.Enter(e)
	}
}
