package transfer

import (
	"encoding/binary"
	"fmt"
	"time"
)

// maxCode is the highest code of a status that passes: those of version 6. A higher one
// is a failure like any other.
const maxCode = 31

// statusTexts are what OpenSSH's server says of each code: its own words for nothing.
var statusTexts = []string{"Success", "End of file", "No such file", "Permission denied", "Failure", "Bad message", "No connection", "Connection lost", "Operation unsupported"}

// listsTooMuch is why a channel ends that is to carry no content.
const listsTooMuch = "sftp: more names and attributes came back than an upload needs, and you may not download; list fewer files, or ask your lab's administrator"

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
	switch {
	case kind == fxpStatus:
		v.instead = d.status(p, r)
	case q.operation == limits && kind == fxpExtendedReply:
		v.instead = limited(p)
	}
	if kind != fxpStatus && kind != fxpData {
		if d.listing.add(p); d.listing.over() && d.may(Download) != "" {
			return verdict{}, listsTooMuch
		}
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
		d.opened(q, string(handle), r)
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
		first, n := f.names()
		if f.bad || n != 1 && q.operation != operations[fxpReaddir] {
			return "malformed names"
		}
		if q.operation == operations[fxpReaddir] {
			d.listing.names += n
		}
		if q.homing && q.moves == d.renames {
			d.settles(string(first))
		}
	}
	return ""
}

// status is p as it goes on, nil as it came: a code that there is, and a text that is
// known or among the words that the target may say.
func (d *SFTP) status(p []byte, r Ruling) []byte {
	f := fields{rest: p[packetHead:]}
	code, text, language := f.uint32(), f.bytes(), f.bytes()
	bare := len(p) == packetHead+4 // as some servers have it
	whole := !f.bad && len(f.rest) == 0 && (len(language) == 0 || string(language) == "en")
	w := &reject{code, string(text)}
	if code > maxCode {
		w.code = fxFailure
	}
	known := ""
	if int(w.code) < len(statusTexts) {
		known = statusTexts[w.code]
	}
	w.text = w.text[:min(len(w.text), maxText)]
	if n := len(w.text); w.text != known && r.Words(n) < n {
		w.text = known
	}
	if w.code == code && w.text == string(text) && (whole || bare) {
		return nil
	}
	return status(binary.BigEndian.Uint32(p[5:]), w)
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
