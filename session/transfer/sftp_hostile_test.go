package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pkt is a packet with the fields: strings, numbers of 32 and 64 bits, and bytes
// as they are.
func pkt(kind byte, fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = appendString(b, f)
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(f))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, f)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, f)
		case []byte:
			b = append(b, f...)
		default:
			panic(fmt.Sprintf("%T", f))
		}
	}
	return packet(kind, b)
}

// unpack splits a stream of whole packets.
func unpack(t testing.TB, stream []byte) (all [][]byte) {
	t.Helper()
	for len(stream) > 0 {
		if len(stream) < 5 || uint64(len(stream)) < 4+uint64(binary.BigEndian.Uint32(stream)) {
			t.Fatalf("after %d packets, %d bytes are left over: %.40q", len(all), len(stream), stream)
		}
		n := 4 + int(binary.BigEndian.Uint32(stream))
		all, stream = append(all, stream[:n]), stream[n:]
	}
	return all
}

var (
	hello   = pkt(fxpInit, version)
	noAttrs = 0 // flags
)

// tree is all that is below dir: names, modes, links, content.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "%s %s %v", path[len(dir):], info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&all, " %q", b)
		}
		all.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// spied is a target of which is kept what reaches it.
type spied struct {
	io.ReadWriteCloser
	mu   sync.Mutex
	seen []byte
}

func (s *spied) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.seen = append(s.seen, p...)
	s.mu.Unlock()
	return s.ReadWriteCloser.Write(p)
}

// exchange sends OpenSSH's server in dir the packets through a decoder, in pieces
// of that size, and returns what came back, what reached the server, and the rest.
// After the first packet, each OPEN, and what is last, it waits for the answer:
// OpenSSH's server drops what it hasn't done when its input ends. Where the last
// one is nil, all that came can't be answered.
func exchange(t testing.TB, may May, dir string, piece int, packets ...[]byte) (answers, seen [][]byte, r *relay) {
	t.Helper()
	target := &spied{ReadWriteCloser: start(t, dir, sftpServer(t))}
	client, far := stdPipe(t)
	r = newRelay(NewSFTP(may), 32640, far, target)
	back := make(chan []byte, len(packets)+1)
	go func() {
		defer close(back)
		for {
			p := make([]byte, 4)
			if _, err := io.ReadFull(client, p); err != nil {
				return
			}
			p = append(p, make([]byte, binary.BigEndian.Uint32(p))...)
			if _, err := io.ReadFull(client, p[4:]); err != nil {
				t.Error("an answer is cut")
				return
			}
			back <- p
		}
	}()
	for i, p := range packets {
		for part := range slices.Chunk(p, piece) {
			if _, err := client.Write(part); err != nil {
				break
			}
		}
		if i == 0 || len(p) > 4 && p[4] == fxpOpen {
			if p, ok := <-back; ok {
				answers = append(answers, p)
			}
		}
	}
	last := pkt(fxpRealpath, 0xfeed, ".")
	if packets[len(packets)-1] == nil {
		last = nil
	}
	if _, err := client.Write(last); err == nil && last != nil {
		for p := range back {
			if binary.BigEndian.Uint32(p[5:]) == 0xfeed {
				break
			}
			answers = append(answers, p)
		}
	}
	client.Close()
	for p := range back {
		answers = append(answers, p)
	}
	<-r.done
	seen = slices.DeleteFunc(unpack(t, target.seen), func(p []byte) bool { return bytes.Equal(p, last) })
	return answers, seen, r
}

// pipeEnd is an end of a stream with buffers, of which each direction ends by
// itself.
type pipeEnd struct {
	in, out *os.File
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p *pipeEnd) Close() error                { return p.out.Close() }

func stdPipe(t testing.TB) (near, far io.ReadWriteCloser) {
	t.Helper()
	in1, out1, err1 := os.Pipe()
	in2, out2, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in1, out1, in2, out2} {
			f.Close()
		}
	})
	return &pipeEnd{in1, out2}, &pipeEnd{in2, out1}
}

func noUpload(d Direction) string {
	if d == Upload {
		return "entry: no upload here"
	}
	return ""
}

func noDownload(d Direction) string {
	if d == Download {
		return "entry: no download here"
	}
	return ""
}

const handle0 = "\x00\x00\x00\x00" // the first that OpenSSH's server gives

// Whatever a client sends to change something without the right to upload, the
// target's files stay as they are, and the target sees nothing but what the client
// may do.
func TestNothingIsUploadedAgainstTheRules(t *testing.T) {
	inner := pkt(fxpRemove, 99, "old")
	long := strings.Repeat("a/", 3000)
	open := pkt(fxpOpen, 1, "old", fxfRead, noAttrs) // answered with handle0
	scripts := map[string][][]byte{
		"open to write":                   {pkt(fxpOpen, 1, "new", fxfWrite|fxfCreat, noAttrs)},
		"open to write what is there":     {pkt(fxpOpen, 1, "old", fxfWrite, noAttrs), pkt(fxpWrite, 2, handle0, uint64(0), "x")},
		"open to read and write":          {pkt(fxpOpen, 1, "old", fxfRead|fxfWrite, noAttrs), pkt(fxpWrite, 2, handle0, uint64(0), "x")},
		"open to create, no more":         {pkt(fxpOpen, 1, "new", fxfCreat, noAttrs)},
		"open to read and create":         {pkt(fxpOpen, 1, "new", fxfRead|fxfCreat, noAttrs)},
		"open to read and empty":          {pkt(fxpOpen, 1, "old", fxfRead|fxfTrunc, noAttrs)},
		"open to empty":                   {pkt(fxpOpen, 1, "old", fxfTrunc, noAttrs)},
		"open to append":                  {pkt(fxpOpen, 1, "old", fxfAppend, noAttrs)},
		"open to read and append":         {pkt(fxpOpen, 1, "old", fxfRead|fxfAppend, noAttrs), pkt(fxpWrite, 2, handle0, uint64(0), "x")},
		"open exclusively":                {pkt(fxpOpen, 1, "new", fxfRead|fxfExcl|fxfCreat, noAttrs)},
		"open with every flag":            {pkt(fxpOpen, 1, "new", uint32(0xffffffff), noAttrs)},
		"open with unknown flags":         {pkt(fxpOpen, 1, "new", 0x40|fxfWrite|fxfCreat, noAttrs), pkt(fxpOpen, 2, "new", uint32(0x80000001), noAttrs)},
		"open with unknown attributes":    {pkt(fxpOpen, 1, "old", fxfRead, uint32(0x40000000))},
		"open with attributes left over":  {pkt(fxpOpen, 1, "old", fxfRead, noAttrs, fxfTrunc)},
		"open with many attributes":       {pkt(fxpOpen, 1, "old", fxfRead, uint32(attrExtended), uint32(0xffffffff), "a", "b")},
		"write to what is open to read":   {open, pkt(fxpWrite, 2, handle0, uint64(0), "x")},
		"write to a forged handle":        {pkt(fxpWrite, 2, handle0, uint64(0), "x"), pkt(fxpWrite, 3, "", uint64(0), "x"), pkt(fxpWrite, 4, long[:300], uint64(0), "x")},
		"write more than the packet":      {open, pkt(fxpWrite, 2, handle0, uint64(0), uint32(0xffffffff), inner)},
		"write less than the packet":      {open, pkt(fxpWrite, 2, handle0, uint64(0), 0, inner), pkt(fxpWrite, 3, handle0, uint64(0), "", inner)},
		"write with a cut head":           {open, pkt(fxpWrite, 2, handle0), inner, pkt(fxpWrite, 2), pkt(fxpWrite, 3, 4, []byte{0})},
		"write a packet":                  {open, pkt(fxpWrite, 2, handle0, uint64(0), string(inner))},
		"write beyond any file":           {open, pkt(fxpWrite, 2, handle0, uint64(1<<63), "x"), pkt(fxpWrite, 3, handle0, uint64(1<<64-1), "x")},
		"set attributes":                  {pkt(fxpSetstat, 1, "old", attrPermissions, 0), pkt(fxpSetstat, 2, "old", attrSize, uint64(0)), pkt(fxpSetstat, 3, "old", noAttrs)},
		"set attributes of a handle":      {open, pkt(fxpFsetstat, 2, handle0, attrSize, uint64(0))},
		"set attributes of a link":        {pkt(fxpExtended, 1, "lsetstat@openssh.com", "link", attrTimes, 1, 1)},
		"set unknown attributes":          {pkt(fxpSetstat, 1, "old", 0x10|attrPermissions, 0)},
		"make a directory":                {pkt(fxpMkdir, 1, "new", noAttrs)},
		"remove":                          {pkt(fxpRemove, 1, "old"), pkt(fxpRmdir, 2, "dir")},
		"rename":                          {pkt(fxpRename, 1, "old", "new"), pkt(fxpExtended, 2, "posix-rename@openssh.com", "old", "new")},
		"link":                            {pkt(fxpSymlink, 1, "old", "new"), pkt(fxpExtended, 2, "hardlink@openssh.com", "old", "new")},
		"copy":                            {open, pkt(fxpExtended, 2, "copy-data", handle0, uint64(0), uint64(0), handle0, uint64(5))},
		"packets in packets":              {pkt(fxpStat, 1, "old", inner), pkt(fxpStat, 2, string(inner), inner), pkt(fxpRealpath, 3, ".", inner), pkt(fxpClose, 4, handle0, inner)},
		"a packet within another's read":  {open, pkt(fxpRead, 2, handle0, uint64(0), 5, inner)},
		"an extension of another case":    {pkt(fxpExtended, 1, "Posix-Rename@openssh.com", "old", "new"), pkt(fxpExtended, 2, "hardlink@openssh.com\x00", "old", "new")},
		"an extension that is unknown":    {pkt(fxpExtended, 1, "remove@example.org", "old"), pkt(fxpExtended, 2, ""), pkt(fxpExtended, 3, uint32(0xffffffff)), pkt(fxpExtended, 4)},
		"an extension that is cut":        {pkt(fxpExtended, 1, "posix-rename@openssh.com", "old"), pkt(fxpExtended, 2, "statvfs@openssh.com", "old", inner)},
		"a path that ends early":          {pkt(fxpStat, 1, "old\x00new"), pkt(fxpOpen, 2, "old\x00", fxfRead, noAttrs)},
		"a path without end":              {pkt(fxpStat, 1, long), pkt(fxpStat, 2, uint32(0xffffffff), []byte("old")), pkt(fxpOpen, 3, long, fxfRead, noAttrs)},
		"one id twice":                    {open, pkt(fxpRead, 2, handle0, uint64(0), 5), pkt(fxpRead, 2, handle0, uint64(0), 5), pkt(fxpRemove, 2, "old")},
		"a handle that is closed":         {open, pkt(fxpClose, 2, handle0), pkt(fxpWrite, 3, handle0, uint64(0), "x"), pkt(fxpClose, 4, handle0)},
		"another beginning":               {hello},
		"a beginning with more":           {pkt(fxpInit, version, "x", string(inner))},
		"types of later versions":         {pkt(21, 1, "old", "new", []byte{0}), inner},
		"types of answers":                {pkt(fxpStatus, 1, 0, "", ""), inner},
		"type zero":                       {pkt(0, 1), inner},
		"no length":                       {{0, 0, 0, 0}, inner},
		"a length of nothing but a type":  {{0, 0, 0, 1, fxpRemove}, inner},
		"a length without an id":          {{0, 0, 0, 4, fxpRemove, 0, 0, 0}, inner},
		"a length beyond the limit":       {{0, 4, 0, 1, fxpStat}, inner},
		"a length beyond all":             {{0xff, 0xff, 0xff, 0xff, fxpStat}, inner},
		"a negative length":               {{0x80, 0, 0, 9, fxpStat}, inner},
		"what isn't SFTP":                 {[]byte("SSH-2.0-x\r\n" + strings.Repeat("x", 100)), inner},
		"a packet that doesn't end":       {pkt(fxpStat, 1, "old"), inner[:len(inner)-1], nil},
		"a write that doesn't end":        {open, pkt(fxpWrite, 2, handle0, uint64(0), strings.Repeat("x", 1000))[:500], nil},
		"a stat with the type of a write": {append([]byte{0, 0, 0, 12, fxpWrite}, pkt(fxpStat, 1, "old")[5:]...), inner},
	}
	allowed := []byte{fxpInit, fxpOpen, fxpClose, fxpRead, fxpStat, fxpRealpath}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1 << 20, 1, 3, 13} {
				dir := t.TempDir()
				if err := errors.Join(os.WriteFile(filepath.Join(dir, "old"), []byte("content"), 0o600), os.Mkdir(filepath.Join(dir, "dir"), 0o700),
					os.Symlink("old", filepath.Join(dir, "link"))); err != nil {
					t.Fatal(err)
				}
				before := tree(t, dir)
				_, seen, r := exchange(t, noUpload, dir, piece, slices.Concat([][]byte{hello}, script)...)
				if after := tree(t, dir); after != before {
					t.Errorf("in pieces of %d, it was\n%sand is\n%s", piece, before, after)
				}
				for _, p := range seen {
					if !slices.Contains(allowed, p[4]) {
						t.Errorf("in pieces of %d, the target saw %q", piece, p)
					}
				}
				for _, e := range r.entries {
					if e.Direction == Upload && e.Outcome == OK || e.Operation == "remove" && e.Outcome != Refused {
						t.Errorf("in pieces of %d: %s", piece, line(e))
					}
				}
			}
		})
	}
}

// Who may upload only, reads no content, by whatever flags and handles.
func TestNothingIsDownloadedAgainstTheRules(t *testing.T) {
	dir := t.TempDir()
	secret := "the secret content"
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	answers, seen, r := exchange(t, noDownload, dir, 7, hello,
		pkt(fxpOpen, 1, "old", fxfRead, noAttrs),
		pkt(fxpOpen, 2, "old", 0, noAttrs),
		pkt(fxpOpen, 3, "old", fxfAppend, noAttrs), // is opened for reading
		pkt(fxpOpen, 4, "old", fxfCreat, noAttrs),
		pkt(fxpOpen, 5, "old", fxfRead|fxfWrite, noAttrs),
		pkt(fxpRead, 6, handle0, uint64(0), 100),
		pkt(fxpStat, 7, "old"),
	)
	if len(answers) != 8 {
		t.Fatalf("%q", answers)
	}
	// In any order: entry's own come between those of the target.
	slices.SortFunc(answers[1:], func(a, b []byte) int { return bytes.Compare(a[5:9], b[5:9]) })
	var codes []uint32
	for _, p := range answers[1:7] {
		if p[4] == fxpStatus {
			codes = append(codes, binary.BigEndian.Uint32(p[9:]))
		}
	}
	denied := uint32(fxPermissionDenied)
	if !slices.Equal(codes, []uint32{denied, denied, denied, denied, denied, fxFailure}) || answers[7][4] != fxpAttrs {
		t.Errorf("%q", answers)
	}
	if !bytes.Equal(answers[1], status(1, &reject{denied, "entry: no download here"})) {
		t.Errorf("%q", answers[1])
	}
	if len(seen) != 2 || seen[1][4] != fxpStat {
		t.Errorf("%q", seen)
	}
	if len(r.entries) != 6 || r.entries[0].Outcome != Refused || r.entries[0].Direction != Download || r.entries[0].Detail != "entry: no download here" {
		t.Errorf("%+v", r.entries)
	}
	// A handle that is open for both, while reading isn't allowed any more.
	mayRead := true
	answers, _, r = exchange(t, func(d Direction) string {
		if d == Download && !mayRead {
			return "entry: no download here"
		}
		if d == Upload {
			mayRead = false // asked first, for OPEN
		}
		return ""
	}, dir, 100, hello, pkt(fxpOpen, 1, "old", fxfRead|fxfWrite, noAttrs), pkt(fxpRead, 2, handle0, uint64(0), 100))
	if bytes.Contains(slices.Concat(answers...), []byte(secret)) {
		t.Errorf("%q", answers)
	}
	if r.err != nil {
		t.Error(r.err)
	}
}

// What can be read in two ways passes for nobody, whatever he may do.
func TestWhatIsMalformedPassesForNobody(t *testing.T) {
	inner := pkt(fxpRemove, 99, "old")
	long := strings.Repeat("a", maxPath+1)
	for name, test := range map[string]struct {
		p    []byte
		code uint32
		text string
	}{
		"more after the path":           {pkt(fxpStat, 7, "a", inner), fxBadMessage, "entry: a malformed request"},
		"no path":                       {pkt(fxpRemove, 7), fxBadMessage, "entry: a malformed request"},
		"a path cut":                    {pkt(fxpRemove, 7, 5, []byte("old")), fxBadMessage, "entry: a malformed request"},
		"a path that ends early":        {pkt(fxpRemove, 7, "old\x00"), fxBadMessage, "entry: a malformed request"},
		"a path within a path":          {pkt(fxpRename, 7, "a\x00b", "c"), fxBadMessage, "entry: a malformed request"},
		"a long path":                   {pkt(fxpRename, 7, "a", long), fxFailure, "entry: a path of more than 4096 bytes"},
		"unknown flags of open":         {pkt(fxpOpen, 7, "a", 0x41, noAttrs), fxOpUnsupported, "entry: unknown flags 0x41 of open"},
		"every flag of open":            {pkt(fxpOpen, 7, "a", uint32(0xffffffff), noAttrs), fxOpUnsupported, "entry: unknown flags 0xffffffff of open"},
		"unknown attributes":            {pkt(fxpSetstat, 7, "a", 0x10, inner), fxBadMessage, "entry: a malformed request"},
		"attributes cut":                {pkt(fxpSetstat, 7, "a", attrSize, 1), fxBadMessage, "entry: a malformed request"},
		"attributes without end":        {pkt(fxpSetstat, 7, "a", uint32(attrExtended), uint32(0xffffffff), "x", "y"), fxBadMessage, "entry: a malformed request"},
		"a write of more than there is": {pkt(fxpWrite, 7, "h", uint64(0), uint32(0xffffffff), inner), fxBadMessage, "entry: a malformed request"},
		"a write without offset":        {pkt(fxpWrite, 7, "h"), fxBadMessage, "entry: a malformed request"},
		"a write without handle":        {pkt(fxpWrite, 7), fxBadMessage, "entry: a malformed request"},
		"a write beyond":                {pkt(fxpWrite, 7, "h", uint64(1<<63-1), "x"), fxFailure, "entry: an offset that no file has"},
		"a read beyond":                 {pkt(fxpRead, 7, "h", uint64(1<<63), 1), fxFailure, "entry: an offset that no file has"},
		"a handle that is too long":     {pkt(fxpWrite, 7, strings.Repeat("h", 257), uint64(0), "x"), fxBadMessage, "entry: a malformed request"},
		"a forged handle":               {pkt(fxpWrite, 7, "i", uint64(0), "x"), fxFailure, "entry: no file is open by that handle"},
		"a forged handle to close":      {pkt(fxpClose, 7, ""), fxFailure, "entry: no file is open by that handle"},
		"a forged handle to copy to":    {pkt(fxpExtended, 7, "copy-data", "h", uint64(0), uint64(0), "i", uint64(0)), fxFailure, "entry: no file is open by that handle"},
		"a directory to write to":       {pkt(fxpWrite, 7, "d", uint64(0), "x"), fxFailure, "entry: no file is open by that handle"},
		"an unknown extension":          {pkt(fxpExtended, 7, "fsync@openssh.com ", "h"), fxOpUnsupported, `entry: unknown extension "fsync@openssh.com "`},
		"an extension with more":        {pkt(fxpExtended, 7, "fsync@openssh.com", "h", "h"), fxBadMessage, "entry: a malformed request"},
		"an id that is under way":       {pkt(fxpRemove, 3, "a"), fxBadMessage, "entry: a request with that id is under way"},
	} {
		for _, piece := range []int{1 << 20, 1} {
			b := greeted(t, anything)
			b.send(pkt(fxpOpen, 1, "f", fxfRead|fxfWrite, noAttrs), pkt(fxpOpendir, 2, "d"))
			b.reply(pkt(fxpHandle, 1, "h"), pkt(fxpHandle, 2, "d"))
			b.send(pkt(fxpStat, 3, "f"))
			passed := len(b.passed[1])
			b.send(slices.Collect(slices.Chunk(test.p, piece))...)
			id := binary.BigEndian.Uint32(test.p[5:])
			if len(b.passed[1]) != passed || !bytes.Equal(b.answers[1], status(id, &reject{test.code, test.text})) {
				t.Errorf("%s: %q passed, %q was answered", name, b.passed[1][passed:], b.answers[1])
			}
			if len(b.entries) != 1 || b.entries[0].Outcome != Refused || b.entries[0].Detail != test.text {
				t.Errorf("%s: %q", name, b.lines())
			}
			after := pkt(fxpRemove, 8, "a") // what follows is understood
			if b.send(after); !bytes.Equal(b.passed[1][passed:], after) {
				t.Errorf("%s: then %q passed", name, b.passed[1][passed:])
			}
		}
	}
}

// TestAWriteOfLessThanThereIs: what follows the data of a WRITE reaches nobody, and
// is no part of the file.
func TestAWriteOfLessThanThereIs(t *testing.T) {
	inner := string(pkt(fxpRemove, 99, "old"))
	for _, data := range []string{"", "x", "content"} {
		for _, piece := range []int{1 << 20, 7, 1} {
			b := greeted(t, anything)
			b.send(pkt(fxpOpen, 1, "f", fxfWrite|fxfCreat|fxfTrunc, noAttrs))
			b.reply(pkt(fxpHandle, 1, "h"))
			passed := len(b.passed[1])
			first, last := pkt(fxpWrite, 7, "h", uint64(0), len(data), []byte(data+inner)), pkt(fxpClose, 8, "h")
			b.send(slices.Collect(slices.Chunk(slices.Concat(first, last), piece))...)
			if want := slices.Concat(pkt(fxpWrite, 7, "h", uint64(0), data), last); !bytes.Equal(b.passed[1][passed:], want) {
				t.Errorf("%q by %d: %q passed, want %q", data, piece, b.passed[1][passed:], want)
			}
			b.reply(okay(7), okay(8))
			sum := sha256.Sum256([]byte(data))
			if len(b.answers[1]) != 0 || len(b.entries) != 1 || b.entries[0].Size != int64(len(data)) || !bytes.Equal(b.entries[0].SHA256, sum[:]) {
				t.Errorf("%q by %d: answered %q: %q", data, piece, b.answers[1], b.lines())
			}
		}
	}
}
