package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// greeted is a decoder after VERSION.
func greeted(t testing.TB, may May) *bench {
	t.Helper()
	b := newBench(t, NewSFTP(may))
	b.send(hello)
	b.reply(pkt(fxpVersion, version))
	return b
}

// send and reply give the decoder packets of the client and of the target, which
// it is to take.
func (b *bench) send(all ...[]byte) {
	b.t.Helper()
	b.feed(true, all...)
}
func (b *bench) reply(all ...[]byte) {
	b.t.Helper()
	b.feed(false, all...)
}
func (b *bench) feed(toTarget bool, all ...[]byte) {
	b.t.Helper()
	for _, p := range all {
		if err := b.data(toTarget, p); err != nil {
			b.t.Fatalf("%v after %.60q", err, p)
		}
	}
}

func (b *bench) lines() (all []string) {
	for _, e := range b.entries {
		all = append(all, line(e))
	}
	return all
}

func okay(id int) []byte { return pkt(fxpStatus, id, fxOK, "", "") }
func eof(id int) []byte  { return pkt(fxpStatus, id, fxEOF, "End of file", "") }

// A target announces what it likes; the client learns of what entry knows. A
// client of a later version speaks version 3.
func TestTheVersionIsEntrys(t *testing.T) {
	b := newBench(t, NewSFTP(anything))
	b.send(pkt(fxpInit, 6, "x@example.org", "1"))
	if want := pkt(fxpInit, 3); !bytes.Equal(b.passed[1], want) {
		t.Errorf("the target saw %q", b.passed[1])
	}
	b.reply(pkt(fxpVersion, 3, "newline", "\r\n", "posix-rename@openssh.com", "1", "check-file", "", "copy-data", "1", "copy-data@example.org", "1"))
	if want := pkt(fxpVersion, 3, "posix-rename@openssh.com", "1", "copy-data", "1"); !bytes.Equal(b.passed[0], want) {
		t.Errorf("the client saw %q", b.passed[0])
	}
	b.send(pkt(fxpExtended, 1, "limits@openssh.com"))
	b.reply(pkt(fxpExtendedReply, 1, uint64(1<<20), uint64(0), uint64(1000), uint64(1<<40)))
	all := unpack(t, b.passed[0])
	if want := pkt(fxpExtendedReply, 1, uint64(maxPacket), uint64(maxContent), uint64(1000), uint64(maxFiles)); !bytes.Equal(all[1], want) {
		t.Errorf("limits are %q", all[1])
	}
}

// What a target, or a client, can't say. All that is open is entered then.
func TestDesync(t *testing.T) {
	open := pkt(fxpOpen, 1, "a", fxfRead, noAttrs)
	read := pkt(fxpRead, 2, "h", uint64(0), 10)
	opened := pkt(fxpHandle, 1, "h")
	for name, test := range map[string]struct {
		send, reply [][]byte
		want        string
	}{
		"answers to nothing":           {nil, [][]byte{okay(1)}, "sftp from the target: a packet of type 101 to no request"},
		"answers twice":                {[][]byte{pkt(fxpStat, 1, "a")}, [][]byte{eof(1), eof(1)}, "sftp from the target: a packet of type 101 to no request"},
		"data to nothing":              {nil, [][]byte{pkt(fxpData, 1, "x")}, "sftp from the target: a packet of type 103 to no request"},
		"data to a stat":               {[][]byte{pkt(fxpStat, 1, "a")}, [][]byte{pkt(fxpData, 1, "x")}, "sftp from the target: a packet of type 103 to stat"},
		"a handle to a remove":         {[][]byte{pkt(fxpRemove, 1, "a")}, [][]byte{opened}, "sftp from the target: a packet of type 102 to remove"},
		"a type of a request":          {[][]byte{pkt(fxpStat, 1, "a")}, [][]byte{pkt(fxpStat, 1, "a")}, "sftp from the target: a packet of type 17 to stat"},
		"type zero to a remove":        {[][]byte{pkt(fxpRemove, 1, "a")}, [][]byte{pkt(0, 1)}, "sftp from the target: a packet of type 0 to remove"},
		"success without a handle":     {[][]byte{open}, [][]byte{okay(1)}, "sftp from the target: a malformed status"},
		"a status that is cut":         {[][]byte{open}, [][]byte{pkt(fxpStatus, 1)}, "sftp from the target: a malformed status"},
		"a handle that is too long":    {[][]byte{open}, [][]byte{pkt(fxpHandle, 1, strings.Repeat("h", 257))}, "sftp from the target: a malformed handle"},
		"a handle that is cut":         {[][]byte{open}, [][]byte{pkt(fxpHandle, 1, 5, []byte("h"))}, "sftp from the target: a malformed handle"},
		"a handle with more":           {[][]byte{open}, [][]byte{pkt(fxpHandle, 1, "h", "x")}, "sftp from the target: a malformed handle"},
		"a handle twice":               {[][]byte{open, pkt(fxpOpen, 2, "b", fxfRead, noAttrs)}, [][]byte{opened, pkt(fxpHandle, 2, "h")}, "sftp from the target: a handle that is another file's"},
		"more data than was asked for": {[][]byte{open, nil, read}, [][]byte{opened, nil, pkt(fxpData, 2, "12345678901")}, "sftp from the target: malformed data"},
		"data shorter than its packet": {[][]byte{open, nil, read}, [][]byte{opened, nil, pkt(fxpData, 2, "1234", "x")}, "sftp from the target: malformed data"},
		"data longer than its packet":  {[][]byte{open, nil, read}, [][]byte{opened, nil, pkt(fxpData, 2, 5, []byte("1234"))}, "sftp from the target: malformed data"},
		"data without length":          {[][]byte{open, nil, read}, [][]byte{opened, nil, pkt(fxpData, 2)}, "sftp from the target: malformed data"},
		"unknown attributes":           {[][]byte{pkt(fxpStat, 1, "a")}, [][]byte{pkt(fxpAttrs, 1, 0x40)}, "sftp from the target: malformed attributes"},
		"a second version":             {nil, [][]byte{pkt(fxpVersion, 3)}, "sftp from the target: a version that nobody asked for"},
		"a packet beyond the limit":    {nil, [][]byte{{0, 4, 0, 1, fxpName}}, "sftp from the target: a packet of 262145 bytes"},
		"a second beginning":           {[][]byte{hello}, nil, "sftp from the client: a second beginning"},
		"an unknown type":              {[][]byte{pkt(22, 1)}, nil, "sftp from the client: a packet of type 22"},
		"an answer of the client":      {[][]byte{okay(1)}, nil, "sftp from the client: a packet of type 101"},
		"no length":                    {[][]byte{{0, 0, 0, 0}}, nil, "sftp from the client: a packet of 0 bytes"},
		"no id":                        {[][]byte{{0, 0, 0, 4}}, nil, "sftp from the client: a packet of 4 bytes"},
		"a length beyond all":          {[][]byte{{255, 255, 255, 255}}, nil, "sftp from the client: a packet of 4294967295 bytes"},
	} {
		for _, piece := range []int{1 << 20, 1, 5} {
			b := greeted(t, anything)
			var err error
			give := func(toTarget bool, p []byte) {
				for part := range slices.Chunk(p, piece) {
					if err == nil {
						err = b.data(toTarget, part)
					}
				}
			}
			send, reply := test.send, test.reply
			for len(send)+len(reply) > 0 { // up to nil, by turns
				for len(send) > 0 {
					p := send[0]
					if send = send[1:]; p == nil {
						break
					}
					give(true, p)
				}
				for len(reply) > 0 {
					p := reply[0]
					if reply = reply[1:]; p == nil {
						break
					}
					give(false, p)
				}
			}
			var d *Desync
			if !errors.As(err, &d) || err.Error() != test.want {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
			entries := len(b.entries)
			if again := b.data(true, pkt(fxpStat, 9, "x")); !errors.Is(again, err) || len(b.entries) != entries {
				t.Errorf("%s: then %v", name, again)
			}
			b.end(true)
			b.end(false)
			if len(test.send) > 0 && bytes.Equal(test.send[0], open) && (len(b.entries) == 0 || b.entries[0].Outcome != Cut || b.entries[0].SHA256 != nil) {
				t.Errorf("%s: %q", name, b.lines())
			}
		}
	}
	for name, stream := range map[string][]byte{
		"a request before the beginning": pkt(fxpStat, 1, "a"),
		"a request before the version":   slices.Concat(hello, pkt(fxpStat, 1, "a")),
	} {
		b := newBench(t, NewSFTP(anything))
		if err := b.data(true, stream); err == nil {
			t.Errorf("%s passed", name)
		}
	}
	b := newBench(t, NewSFTP(anything))
	if err := b.data(false, pkt(fxpVersion, 3)); err == nil {
		t.Error("a version without a beginning passed")
	}
	b = newBench(t, NewSFTP(anything))
	b.send(hello)
	if err := b.data(false, pkt(fxpVersion, 4)); err == nil {
		t.Error("version 4 passed")
	}
}

// Answers come in any order, and short. An EOF to a READ of nothing isn't one.
func TestAnswersInAnyOrder(t *testing.T) {
	content := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	const each = 32 << 10
	b := greeted(t, anything)
	b.send(pkt(fxpOpen, 1, "a", fxfRead, noAttrs))
	b.reply(pkt(fxpHandle, 1, "h"))
	type answered struct{ id, from, to int }
	var answers []answered
	id := 10
	for from := 0; from < len(content); from += each {
		b.send(pkt(fxpRead, id, "h", uint64(from), each))
		short := random.IntN(each) + 1
		answers = append(answers, answered{id, from, from + short})
		b.send(pkt(fxpRead, id+1, "h", uint64(from+short), each)) // the rest, as the client would later
		answers = append(answers, answered{id + 1, from + short, from + each})
		id += 2
	}
	for i := range 5 {
		b.send(pkt(fxpRead, id, "h", uint64(len(content)+i*each), each))
		answers = append(answers, answered{id, 0, 0})
		id++
	}
	random.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	for _, a := range answers {
		if a.to == 0 {
			b.reply(eof(a.id))
			continue
		}
		p := pkt(fxpData, a.id, string(content[a.from:a.to]))
		for part := range slices.Chunk(p, 1+random.IntN(each)) {
			b.reply(part)
		}
	}
	b.send(pkt(fxpClose, 2, "h"))
	b.reply(okay(2))
	want := []string{fmt.Sprintf("get download a ok size=%d sha256=%s", len(content), hashOf(string(content)))}
	if !slices.Equal(b.lines(), want) {
		t.Errorf("%q, want %q", b.lines(), want)
	}

	b = greeted(t, anything)
	b.send(pkt(fxpOpen, 1, "a", fxfRead, noAttrs))
	b.reply(pkt(fxpHandle, 1, "h"))
	b.send(pkt(fxpRead, 2, "h", uint64(0), 3), pkt(fxpRead, 3, "h", uint64(3), 0), pkt(fxpClose, 4, "h"))
	b.reply(pkt(fxpData, 2, "abc"), eof(3), okay(4))
	if want := []string{"get download a ok size=3 unknown=it was read to byte 3, and no end seen there"}; !slices.Equal(b.lines(), want) {
		t.Errorf("%q, want %q", b.lines(), want)
	}
}

// More than 4 MiB ahead isn't held; what is held stays within the bound, and the
// other files keep their hash.
func TestTooMuchAhead(t *testing.T) {
	b := greeted(t, anything)
	b.send(pkt(fxpOpen, 1, "a", fxfWrite|fxfTrunc, noAttrs), pkt(fxpOpen, 2, "b", fxfWrite|fxfTrunc, noAttrs))
	b.reply(pkt(fxpHandle, 1, "A"), pkt(fxpHandle, 2, "B"))
	block := strings.Repeat("x", 250_000)
	b.send(pkt(fxpWrite, 3, "B", uint64(3), "def"))
	for i := range 20 {
		b.send(pkt(fxpWrite, 10+i, "A", uint64(1+i*len(block)), block))
		b.reply(okay(10 + i))
	}
	b.send(pkt(fxpWrite, 40, "A", uint64(0), "x"), pkt(fxpWrite, 4, "B", uint64(0), "abc"))
	b.reply(okay(3), okay(4), okay(40))
	b.send(pkt(fxpClose, 5, "A"), pkt(fxpClose, 6, "B"))
	b.reply(okay(5), okay(6))
	want := []string{
		"put upload a ok size=5000001 unknown=more than 4 MiB came ahead of byte 0",
		"put upload b ok size=6 sha256=" + hashOf("abcdef"),
	}
	if !slices.Equal(b.lines(), want) {
		t.Errorf("%q, want %q", b.lines(), want)
	}
	if d := b.d.(*SFTP); d.pool.ahead != 0 || d.pool.segments != 0 || d.pool.marks != 0 || d.texts != 0 || len(d.files) != 0 || len(d.requests) != 0 || len(d.handles) != 0 {
		t.Errorf("left over: %+v", d)
	}
}

// A closed handle may be given again before its last answers are there.
func TestAHandleThatIsGivenAgain(t *testing.T) {
	b := greeted(t, anything)
	b.send(pkt(fxpOpen, 1, "a", fxfRead, noAttrs))
	b.reply(pkt(fxpHandle, 1, "h"))
	b.send(pkt(fxpRead, 2, "h", uint64(0), 10), pkt(fxpClose, 3, "h"), pkt(fxpOpen, 4, "b", fxfWrite|fxfTrunc, noAttrs))
	// A handle that the client guesses is nobody's.
	b.send(pkt(fxpWrite, 5, "h", uint64(0), "guessed"))
	b.reply(pkt(fxpHandle, 4, "h"))
	b.send(pkt(fxpWrite, 6, "h", uint64(0), "known"), pkt(fxpRead, 7, "h", uint64(0), 1))
	b.reply(okay(3), pkt(fxpData, 2, "abc"), okay(6), eof(7))
	b.send(pkt(fxpClose, 8, "h"))
	b.reply(okay(8))
	want := []string{
		"write   refused detail=entry: no file is open by that handle",
		"get download a ok size=3 unknown=it was read to byte 3, and no end seen there",
		"get download b ok size=0 sha256=" + hashOf(""),
		"put upload b ok size=5 sha256=" + hashOf("known"),
	}
	if got := b.lines(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if bytes.Contains(b.passed[1], []byte("guessed")) {
		t.Error("the guess passed")
	}
}

// What isn't answered when the target ends is cut, and nothing passes after it.
func TestTheTargetEnds(t *testing.T) {
	b := greeted(t, anything)
	b.send(pkt(fxpRemove, 1, "a"), pkt(fxpOpen, 2, "b", fxfRead, noAttrs), pkt(fxpRename, 3, "c", "d"), pkt(fxpStat, 4, "e"))
	b.reply(eof(4))
	b.end(true)
	b.end(false)
	want := []string{"remove  a cut", "get download b cut size=0 unknown=it wasn't opened", "rename  c cut to=d"}
	if got := b.lines(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n := len(b.passed[1])
	b.send(pkt(fxpRemove, 5, "f"))
	if len(b.passed[1]) != n || len(b.answers[1]) != 0 {
		t.Error("something passed after the end")
	}
}

// Whoever opens, asks and holds back as much as he can is refused at the bounds,
// and the decoder holds no more than it says.
func TestMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := NewSFTP(anything)
	r := &takings{entries: new([]Entry)}
	refusals := map[string]int{}
	give := func(toTarget bool, p []byte) {
		t.Helper()
		if err := d.Data(toTarget, p, r); err != nil {
			t.Fatal(err)
		}
		_, answers := r.take()
		for _, a := range answers {
			f := fields{rest: a[13:]}
			refusals[string(f.bytes())]++
		}
		*r.entries = nil
	}
	give(true, hello)
	give(false, pkt(fxpVersion, version))
	for i := range 1100 { // files, with content ahead and in front
		give(true, pkt(fxpOpen, i, fmt.Sprint(i, strings.Repeat("p", 400)), fxfRead|fxfWrite|fxfTrunc, noAttrs))
		if d.requests[uint32(i)] == nil {
			continue
		}
		handle := fmt.Sprintf("%0256d", i)
		give(false, pkt(fxpHandle, i, handle))
		for j, w := range []string{"x", strings.Repeat("y", 4000)} {
			id := 1 << 20
			give(true, pkt(fxpWrite, id, handle, uint64(j*8), w))
			give(false, okay(id))
			give(true, pkt(fxpRead, id, handle, uint64(j*8), 1))
			give(false, pkt(fxpData, id, "x"))
		}
	}
	for i := range 6000 { // pieces ahead, each of one byte
		give(true, pkt(fxpWrite, 1<<20, fmt.Sprintf("%0256d", 0), uint64(1<<20+2*i), "x"))
		give(false, okay(1<<20))
	}
	give(true, pkt(fxpRename, 1<<21, strings.Repeat("p", 4096), strings.Repeat("q", 4097)))
	for i := range 10000 {
		give(true, pkt(fxpRename, 1<<22+i, fmt.Sprintf("%04000d", i), strings.Repeat("q", 4000)))
		give(true, pkt(fxpStat, 1<<23+i, ""))
	}
	give(true, pkt(fxpRealpath, 1<<24, strings.Repeat("r", maxPath))[:4000])
	give(false, pkt(fxpName, 1<<23, 1, strings.Repeat("n", 200_000), "")[:200_000])
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int(after.HeapAlloc) - int(before.HeapAlloc)
	t.Logf("%d bytes are held, at most %d; %d files, %d requests, %d bytes ahead in %d pieces, %d of paths", held, sftpMemory, len(d.files), len(d.requests), d.pool.ahead, d.pool.segments, d.texts)
	if held > sftpMemory {
		t.Errorf("%d bytes are held, more than %d", held, sftpMemory)
	}
	says := d.Holds()
	if held > says || says > sftpMemory {
		t.Errorf("%d bytes are held; it says %d, at most %d", held, says, sftpMemory)
	}
	d.Spare()
	runtime.GC()
	runtime.ReadMemStats(&after)
	spared := int(after.HeapAlloc) - int(before.HeapAlloc)
	t.Logf("and %d without what can be spared; it says %d", spared, d.Holds())
	if spared > d.Holds() || d.Holds() > says-3<<20 {
		t.Errorf("%d bytes are left; it says %d, and %d before", spared, d.Holds(), says)
	}
	for _, want := range []string{
		"entry: more than 1024 files are open", "entry: more than 8192 requests are under way",
		"entry: too many long paths are under way", "entry: a path of more than 4096 bytes",
	} {
		if refusals[want] == 0 {
			t.Errorf("nobody was told %q", want)
		}
	}
	runtime.KeepAlive(d)
}
