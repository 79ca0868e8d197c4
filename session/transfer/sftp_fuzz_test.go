package transfer

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"
	"time"
)

// pieces is a stream of both directions as fuzzing has it: a byte for the
// direction and the length in two, then the piece.
func pieces(input []byte) (all []piece) {
	for len(input) >= 3 {
		n := min(int(binary.BigEndian.Uint16(input[1:])), len(input)-3)
		all = append(all, piece{input[0]&1 == 1, input[3 : 3+n]})
		input = input[3+n:]
	}
	return all
}

type piece struct {
	toTarget bool
	p        []byte
}

func join(all ...piece) (input []byte) {
	for _, p := range all {
		input = append(input, byte(side(p.toTarget)))
		input = append(binary.BigEndian.AppendUint16(input, uint16(len(p.p))), p.p...)
	}
	return input
}

// timeless are entries without their times.
func timeless(all []Entry) []Entry {
	all = slices.Clone(all)
	for i := range all {
		all[i].Began, all[i].Ended = time.Time{}, time.Time{}
	}
	return all
}

// FuzzSFTP sends a decoder anything from both sides. Whatever it is:
//   - what passes are well-formed packets, and a decoder that refuses nothing
//     takes them for the same requests;
//   - none of them needs what isn't allowed;
//   - it doesn't matter in which pieces they come;
//   - what is held stays within its bounds, and a hash has no reason why not.
func FuzzSFTP(f *testing.F) {
	to, from := func(p ...[]byte) piece { return piece{true, slices.Concat(p...)} }, func(p ...[]byte) piece { return piece{false, slices.Concat(p...)} }
	begin := []piece{to(hello), from(pkt(fxpVersion, 3, "copy-data", "1", "x", ""))}
	for _, script := range [][]piece{
		{to(pkt(fxpOpen, 1, "a", fxfRead, 0)), from(pkt(fxpHandle, 1, "h")), to(pkt(fxpFstat, 2, "h"), pkt(fxpRead, 3, "h", uint64(3), 9), pkt(fxpRead, 4, "h", uint64(0), 3)),
			from(pkt(fxpAttrs, 2, 1, uint64(6)), pkt(fxpData, 3, "def"), pkt(fxpData, 4, "abc")), to(pkt(fxpClose, 5, "h")), from(okay(5))},
		{to(pkt(fxpOpen, 1, "a", fxfWrite|fxfCreat|fxfTrunc, 4, 0o600)), from(pkt(fxpHandle, 1, "h")), to(pkt(fxpWrite, 2, "h", uint64(3), "def"), pkt(fxpWrite, 3, "h", uint64(0), "abc")),
			from(okay(2), okay(3)), to(pkt(fxpFsetstat, 4, "h", 1, uint64(6)), pkt(fxpRename, 5, "a", "b"), pkt(fxpClose, 6, "h")), from(okay(4), okay(5), okay(6))},
		{to(pkt(fxpOpen, 1, "a", 3, 0), pkt(fxpOpendir, 2, "d"), pkt(fxpRealpath, 3, ".")), from(pkt(fxpHandle, 1, "h"), pkt(fxpHandle, 2, "i"), pkt(fxpName, 3, 1, "/r", "", 0)),
			to(pkt(fxpExtended, 4, "copy-data", "h", uint64(0), uint64(0), "h", uint64(9)), pkt(fxpReaddir, 5, "i"), pkt(fxpExtended, 6, "limits@openssh.com")), from(okay(4), eof(5))},
		{to(pkt(fxpSetstat, 1, "a", uint32(0x8000000f), uint64(1), 2, 3, 4, 5, 6, 1, "x", "y"), pkt(fxpMkdir, 2, "d", 0), pkt(fxpRemove, 3, "a"), pkt(fxpExtended, 4, "posix-rename@openssh.com", "a", "b"))},
	} {
		for mask := range 4 {
			f.Add(byte(mask), join(append(slices.Clone(begin), script...)...))
		}
	}
	f.Fuzz(func(t *testing.T, mask byte, input []byte) {
		may := func(d Direction) string {
			if byte(d)&mask != 0 {
				return "no " + d.String()
			}
			return ""
		}
		whole := newBench(t, NewSFTP(may))
		bytewise := newBench(t, NewSFTP(may))
		again := newBench(t, NewSFTP(anything))
		for _, p := range pieces(input) {
			i := side(p.toTarget)
			n := len(whole.passed[i])
			err := whole.data(p.toTarget, p.p)
			passed := bytes.Clone(whole.passed[i][n:])
			for _, c := range p.p {
				if bytewise.data(p.toTarget, []byte{c}) != nil {
					break
				}
			}
			if again.data(p.toTarget, passed) != nil {
				t.Fatalf("what passed is taken for something else: %v", again.err)
			}
			if err != nil {
				break
			}
			d := whole.d.(*SFTP)
			if d.pool.ahead > maxAhead || d.pool.segments > maxSegments || d.pool.marks > maxChannelMarks || d.texts < 0 || len(d.changes) > len(d.requests) || len(d.handles) > len(d.files) {
				t.Fatalf("%+v", d)
			}
			for f := range d.files {
				if f.pending < 0 || f.writing < 0 || f.sizing < 0 {
					t.Fatalf("%+v", f)
				}
			}
		}
		for _, b := range []*bench{whole, bytewise, again} {
			b.end(true)
			b.end(false)
		}
		for i := range whole.passed {
			if !bytes.Equal(whole.passed[i], bytewise.passed[i]) || !bytes.Equal(whole.answers[i], bytewise.answers[i]) {
				t.Fatalf("in other pieces, other bytes pass")
			}
			if !bytes.Equal(whole.passed[i], again.passed[i]) || len(again.answers[i]) > 0 {
				t.Fatalf("what passed is taken for something else: %q", again.answers[i])
			}
		}
		if a, b := timeless(whole.entries), timeless(bytewise.entries); !reflect.DeepEqual(a, b) {
			t.Fatalf("in other pieces, it is\n%q, not\n%q", bytewise.lines(), whole.lines())
		}
		for _, e := range whole.entries {
			if (e.Operation == "put" || e.Operation == "get") == (e.SHA256 == nil && e.Unknown == "") || e.SHA256 != nil && e.Unknown != "" {
				t.Fatal(line(e))
			}
		}
		judge(t, may, whole.passed[1])
	})
}

// judge reads what passed to the target as a server does, and holds it to the
// rules by itself.
func judge(t *testing.T, may May, stream []byte) {
	t.Helper()
	for len(stream) > 0 {
		n := 4 + int(binary.BigEndian.Uint32(stream))
		cut := n > len(stream) // only WRITE is passed before all of it came
		p := stream[:min(n, len(stream))]
		stream = stream[len(p):]
		up, down := may(Upload) == "", may(Download) == ""
		ok, f := false, fields{rest: p[min(9, len(p)):]}
		switch p[4] {
		case fxpInit, fxpClose:
			ok = true
		case fxpLstat, fxpFstat, fxpOpendir, fxpReaddir, fxpRealpath, fxpStat, fxpReadlink:
			ok = up || down
		case fxpRead:
			ok = down
		case fxpWrite, fxpSetstat, fxpFsetstat, fxpRemove, fxpMkdir, fxpRmdir, fxpRename, fxpSymlink:
			ok = up
		case fxpOpen:
			f.bytes()
			flags := f.uint32()
			ok = (up || flags&^1 == 0) && (down || flags&3 == 2) && flags < 0x40
		case fxpExtended:
			switch string(f.bytes()) {
			case "posix-rename@openssh.com", "hardlink@openssh.com", "lsetstat@openssh.com", "copy-data":
				ok = up
			case "statvfs@openssh.com", "fstatvfs@openssh.com", "fsync@openssh.com", "limits@openssh.com", "expand-path@openssh.com", "home-directory", "users-groups-by-id@openssh.com":
				ok = up || down
			}
		}
		if !ok || f.bad || cut && p[4] != fxpWrite {
			t.Fatalf("%q passed", p)
		}
	}
}
