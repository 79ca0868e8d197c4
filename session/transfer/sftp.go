package transfer

import (
	"encoding/binary"
	"fmt"
	"time"
)

const sftpName = "sftp"

// SFTP is a [Decoder] of SFTP version 3 with OpenSSH's extensions
// (draft-ietf-secsh-filexfer-02; PROTOCOL §4 of OpenSSH). Make one with NewSFTP.
//
// # What passes
//
// A request passes if it is well-formed to its last byte, its sender may do what
// it does, and the handle that it names was given by the target and isn't closed.
// Any other is answered here, with the reason, and the target never sees it. So
// is every extension that entry doesn't know; the target's announcements of them
// are taken out. What is left can't be read in two ways. A packet whose length or
// type isn't the protocol's, and an answer that nobody asked for, are a [Desync].
//
// The content of READ and WRITE isn't put together but passes as it comes, hashed
// meanwhile. All other packets are put together.
//
// # Manifest
//
// A file that was open makes an entry once its handle is closed, "put", "get", or
// one of each; it has a hash if the bytes that passed were the whole file, each of
// them once or the same each time, at most 4 MiB out of order. What may have changed it
// otherwise, done or failed, takes the hash. Once a channel made a link, files that it
// writes at the same time may be the same one. A file that is reached by another name
// otherwise, as through a link that was there, counts as written by somebody else. Operations that change the target's files make one when they are
// answered, anything refused at once, and what is under way when the channel ends
// then.
//
// # Memory
//
// sftpMemory bounds what a channel holds; an idle one has a few hundred bytes. What
// there is for files' hashes can be taken from it.
type SFTP struct {
	may   May
	err   error // of the desync, for good
	ended bool  // nothing more comes from the target

	began, versioned bool // INIT went out, VERSION came

	streams  [2]stream // from the target, from the client
	requests map[uint32]*request
	handles  map[string]*file
	files    map[*file]bool    // all that make an entry yet, or dirs
	texts    int               // bytes of paths in requests and files
	order    int               // of the last request
	changes  map[*request]bool // those under way that change names or sizes by a path
	renames  int               // requests that change where paths lead
	linked   bool              // two names may be one file's
	home     string            // where relative paths begin; "" isn't known
	pool     pool
	listing  listing
}

// maxChanges is beyond how many requests that change names or sizes a file that is
// opened isn't compared with each of them.
const maxChanges = 16

// Bounds of one channel. Who has more under way is refused, request by request.
const (
	maxFiles    = 1024    // open handles; sshd's limit of descriptors is 1,024 by default
	maxRequests = 8192    // not answered
	maxTexts    = 1 << 20 // bytes of paths in both
)

// sftpMemory is how many bytes a decoder holds at most: what came ahead, places, a packet
// in each direction, paths, requests and files with their hashes.
const sftpMemory = maxAhead + maxSegments*segmentMemory + maxChannelMarks*markMemory + 4*(maxPacket+4) + 2*maxTexts + maxRequests*requestMemory + maxFiles*fileMemory

// What each of them takes, measured, with its place in a map.
const (
	segmentMemory = 96
	markMemory    = 320
	requestMemory = 344
	fileMemory    = 1280 + maxHandle
)

// Holds implements [Holder].
func (d *SFTP) Holds() int {
	return d.pool.ahead + d.pool.segments*segmentMemory + d.pool.marks*markMemory + 2*(cap(d.streams[0].buf)+cap(d.streams[1].buf)) +
		2*d.texts + len(d.requests)*requestMemory + len(d.files)*fileMemory
}

// Spare implements [Holder]: what came ahead of the bytes that stand in front of it,
// and places, go.
func (d *SFTP) Spare() {
	for f := range d.files {
		for _, c := range []*content{&f.up, &f.down} {
			if len(c.held) > 0 {
				c.lose(fmt.Sprintf("bytes came ahead of byte %d when the user had too much under way at once", c.next))
			}
			c.forget()
		}
	}
}

// NewSFTP returns a decoder that asks may.
func NewSFTP(may May) *SFTP {
	d := &SFTP{may: may, requests: map[uint32]*request{}, handles: map[string]*file{}, files: map[*file]bool{}, changes: map[*request]bool{}}
	d.pool.largest = d.largest
	return d
}

// stream is one direction.
type stream struct {
	buf  []byte // the beginning of a packet, after used bytes
	used int    // of buf, which were passed in the last call

	// Of the packet whose head was ruled.
	rest int // bytes to come
	drop bool
	sink *content // what they belong to; may be nil
	file *file    // that is complete with them; may be nil

	surplus int // bytes after those, which belong to nothing and are dropped
}

// verdict is what becomes of a packet.
type verdict struct {
	pass    bool
	instead []byte // is passed for it, if not nil
}

// Data implements [Decoder].
func (d *SFTP) Data(toTarget bool, p []byte, r Ruling) error {
	if d.err != nil {
		return d.err
	}
	s := &d.streams[0]
	if toTarget {
		s = &d.streams[1]
	}
	if d.ended { // nobody would answer, and nothing would be known of what was done
		return nil
	}
	if reason := d.stream(s, toTarget, p, r); reason != "" {
		d.err = &Desync{Protocol: sftpName, ToTarget: toTarget, Reason: reason}
		if reason == listsTooMuch {
			d.err = &Stopped{Download, "entry: " + reason}
		}
		d.cut("the stream isn't SFTP from here on", r)
		return d.err
	}
	return nil
}

// End implements [Decoder]. What the target hasn't answered when it ends is cut.
func (d *SFTP) End(toTarget bool, r Ruling) error {
	if !toTarget && d.err == nil && !d.ended {
		d.ended = true
		d.cut("the channel ended before it was closed", r)
	}
	return nil
}

// stream rules on what stands in s and p, and returns why it can't any more.
func (d *SFTP) stream(s *stream, toTarget bool, p []byte, r Ruling) (reason string) {
	if s.used > 0 {
		s.buf, s.used = append(s.buf[:0], s.buf[s.used:]...), 0
		if cap(s.buf) > 4096 && len(s.buf) == 0 {
			s.buf = nil
		}
	}
	from, at := 0, 0 // p[from:at] is to be passed
	pass := func(to int, more bool) {
		if at > from {
			r.Pass(p[from:at], more)
		}
		from, at = to, to
	}
	for {
		if s.rest > 0 {
			n := min(s.rest, len(p)-at)
			if n == 0 {
				break
			}
			if s.sink != nil {
				s.sink.write(p[at : at+n])
			}
			s.rest -= n
			if s.drop {
				pass(at+n, false)
			} else {
				at += n
			}
			if s.rest == 0 {
				d.finish(s, r)
			}
			continue
		}
		packet, buffered := p[at:], len(s.buf) > s.used
		if buffered {
			packet = s.buf[s.used:]
		}
		head, whole, reason := extent(packet, toTarget)
		if reason != "" {
			pass(len(p), false)
			return reason
		}
		if len(packet) < head {
			n := len(p) - at
			if buffered {
				n = min(n, head-len(packet))
			}
			if n == 0 {
				break
			}
			s.buf = append(s.buf, p[at:at+n]...)
			pass(at+n, false)
			continue
		}
		packet = packet[:head:head]
		s.rest = whole - head
		v, reason := d.rule(s, toTarget, packet, whole, r)
		if reason != "" {
			pass(len(p), false)
			return reason
		}
		s.drop = !v.pass
		switch {
		case v.pass && v.instead == nil && !buffered:
			at += head
		case v.pass:
			if buffered {
				s.used += head
			} else {
				pass(at+head, false)
			}
			if v.instead != nil {
				packet = v.instead
			}
			r.Pass(packet, s.rest > 0)
		case buffered:
			s.used += head
		default:
			pass(at+head, false)
		}
		if s.rest == 0 {
			d.finish(s, r)
		}
	}
	pass(len(p), s.rest > 0 && !s.drop)
	return ""
}

// finish ends a packet.
func (d *SFTP) finish(s *stream, r Ruling) {
	if s.sink != nil {
		s.sink.end()
	}
	if s.file != nil {
		d.settle(s.file, r)
	}
	s.sink, s.file = nil, nil
	s.rest, s.drop, s.surplus = s.surplus, s.surplus > 0, 0
}

// extent says of the packet that begins with p how much of it must be there to
// rule on it, and how long it is.
func extent(p []byte, toTarget bool) (head, whole int, reason string) {
	if len(p) < 4 {
		return 4, 0, ""
	}
	n := binary.BigEndian.Uint32(p)
	if n < packetHead-4 || n > maxPacket {
		return 0, 0, fmt.Sprintf("a packet of %d bytes", n)
	}
	whole = 4 + int(n)
	if len(p) < packetHead {
		return packetHead, whole, ""
	}
	switch kind := p[4]; {
	case toTarget && kind == fxpWrite: // id, handle, offset, length of the data
		head = packetHead + 4
		if whole >= head && len(p) >= head {
			if h := binary.BigEndian.Uint32(p[packetHead:]); h <= maxHandle {
				head += int(h) + 8 + 4
			}
		}
		return min(head, whole), whole, ""
	case !toTarget && kind == fxpData:
		return min(packetHead+4, whole), whole, ""
	}
	return whole, whole, ""
}

func (d *SFTP) rule(s *stream, toTarget bool, p []byte, whole int, r Ruling) (verdict, string) {
	switch {
	case toTarget && p[4] == fxpInit:
		return d.init()
	case !toTarget && p[4] == fxpVersion:
		return d.version(p)
	case !d.versioned:
		return verdict{}, fmt.Sprintf("a packet of type %d before the version", p[4])
	case toTarget:
		return d.request(s, p, whole, r)
	}
	return d.answer(s, p, whole, r)
}

// init asks for version 3 whatever the client knows beside it.
func (d *SFTP) init() (verdict, string) {
	if d.began {
		return verdict{}, "a second beginning"
	}
	d.began = true
	return verdict{true, packet(fxpInit, []byte{0, 0, 0, version})}, ""
}

// version announces what entry knows of what the target announces.
func (d *SFTP) version(p []byte) (verdict, string) {
	if !d.began || d.versioned {
		return verdict{}, "a version that nobody asked for"
	}
	f := fields{rest: p[5:]}
	if v := f.uint32(); v != version {
		return verdict{}, fmt.Sprintf("version %d", v)
	}
	b := []byte{0, 0, 0, version}
	for len(f.rest) > 0 && !f.bad {
		name, data := f.bytes(), f.bytes()
		if extensions[string(name)] != nil && !f.bad {
			b = appendString(appendString(b, name), data)
		}
	}
	if f.bad {
		return verdict{}, "malformed extensions"
	}
	d.versioned = true
	d.listing.add(b)
	return verdict{true, packet(fxpVersion, b)}, ""
}

// request is one that the target has and hasn't answered.
type request struct {
	*operation
	id       uint32
	began    time.Time
	path, to string
	detail   string
	file     *file  // which the handle is of, or is to be
	other    *file  // which the second handle is of, that of COPY-DATA's destination
	offset   int64  // of READ
	length   uint32 // likewise
	flags    uint32 // of OPEN
	attrs    attributes
	order    int  // among all
	dir      bool // opens a directory
	anew     bool // OPEN says that the file is to begin empty
	homing   bool // asks for the home directory
	moves    int  // the decoder's renames when it was sent; -1 if one was under way
	cuts     int  // the file's, likewise
}

func (q *request) texts() int { return len(q.path) + len(q.to) + len(q.detail) }
