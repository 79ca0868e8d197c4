package transfer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modelSink is what scp -t does with what reaches it, after OpenSSH's scp.c with
// the line buffer of its older ones: without files, and failing where fails says.
type modelSink struct {
	fails func() bool
	reply func(string)

	line    []byte
	data    []byte
	left    int64
	name    string
	inData  bool
	atEnd   bool
	depth   int
	dead    bool
	opened  []string            // files that it made
	written map[string][32]byte // those that came whole and that it said so of
}

func (m *modelSink) take(p []byte) {
	for _, c := range p {
		if m.dead {
			return
		}
		if m.inData && m.left > 0 {
			m.data = append(m.data, c)
			m.left--
			continue
		}
		m.inData = false
		if m.atEnd && len(m.line) == 0 && c == 0 {
			m.stored()
			continue
		}
		if m.line = append(m.line, c); c == '\n' || len(m.line) == 2047 {
			line := strings.TrimSuffix(string(m.line), "\n")
			m.line = nil
			if m.atEnd {
				m.atEnd = false
				m.dead = strings.HasPrefix(line, "\x02")
				m.reply("\x00")
			} else {
				m.record(line)
			}
		}
	}
}

func (m *modelSink) stored() {
	m.atEnd = false
	if m.fails() {
		m.reply("\x01disk full\n")
		return
	}
	m.written[m.name] = sha256.Sum256(m.data)
	m.reply("\x00")
}

func (m *modelSink) die() {
	m.dead = true
	m.reply("\x01protocol error\n")
}

func (m *modelSink) record(line string) {
	line, _, _ = strings.Cut(line, "\x00") // it's C
	if line == "" {
		m.die()
		return
	}
	switch line[0] {
	case 1:
		return
	case 2:
		m.dead = true
		return
	case 'E':
		if m.depth--; m.depth < 0 {
			m.dead = true
		}
		m.reply("\x00")
		return
	case 'T':
		m.reply("\x00")
		return
	}
	rest := line[1:]
	if (line[0] != 'C' && line[0] != 'D') || len(rest) < 5 || strings.Trim(rest[:4], "01234567") != "" || rest[4] != ' ' {
		m.die()
		return
	}
	digits, name, ok := strings.Cut(rest[5:], " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || digits[0] < '0' || name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		m.die()
		return
	}
	if m.fails() {
		m.reply("\x01no\n")
		return
	}
	m.reply("\x00")
	if line[0] == 'D' {
		m.depth++
		return
	}
	m.opened = append(m.opened, name)
	m.name, m.left, m.data, m.inData, m.atEnd = name, size, nil, true, true
}

// FuzzScpUpload has a client say anything to a target's scp: each file that this
// one makes is in the manifest, and each that it keeps with its digest.
func FuzzScpUpload(f *testing.F) {
	f.Add([]byte("T1 0 2 0\nC0644 5 n\nhello\x00C0600 0 m\n\x00"), []byte{}, byte(0))
	f.Add([]byte("D0755 0 d\nC0644 5 n\nhello\x00E\nC0600 1 m\n!\x00"), []byte{1}, byte(1))
	f.Add([]byte("C0644 16 n\nC0644 5 m\nhello\x00C0600 1 m\n!\x00"), []byte{1, 0, 1}, byte(3))
	f.Add([]byte("C0644 3 n\nhel\x01read\n\x01warn\nC0600 1 m\n!\x02no\n"), []byte{0, 1}, byte(7))
	f.Fuzz(func(t *testing.T, client, failing []byte, size byte) {
		d := newSCP(scpRun{paths: []string{"x/"}, recursive: true}, anything)
		b := newBench(t, d)
		var replies []byte
		m := &modelSink{written: map[string][32]byte{}, reply: func(s string) { replies = append(replies, s...) }}
		m.fails = func() bool {
			if len(failing) == 0 {
				return false
			}
			fails := failing[0]&1 == 1
			failing = failing[1:]
			return fails
		}
		passed, answered := 0, 0 // of what reaches the target
		settle := func() {
			for {
				m.take(b.passed[1][passed:])
				m.take(b.answers[0][answered:])
				passed, answered = len(b.passed[1]), len(b.answers[0])
				if len(replies) == 0 || b.err != nil {
					return
				}
				said := replies
				replies = nil
				_ = b.data(false, said) // b.err
			}
		}
		m.reply("\x00")
		settle()
		for piece := range slices.Chunk(client, int(size)+1) {
			if b.err != nil {
				break
			}
			_ = b.data(true, piece)
			settle()
		}
		if b.err == nil {
			_ = d.End(true, b.rulings[1])
			_ = d.End(false, b.rulings[0])
		}
		entered := map[string][]Entry{}
		for _, e := range b.entries {
			name := e.Path[strings.LastIndexByte(e.Path, '/')+1:]
			entered[name] = append(entered[name], e)
		}
		for _, name := range m.opened {
			if len(entered[name]) == 0 {
				t.Fatalf("%q was made, and isn't among %+v", name, b.entries)
			}
		}
		for name, sum := range m.written {
			if !slices.ContainsFunc(entered[name], func(e Entry) bool { return e.Outcome == OK && bytes.Equal(e.SHA256, sum[:]) }) {
				t.Fatalf("%q was written, and isn't among %+v", name, b.entries)
			}
		}
	})
}

// twice gives a decoder the pieces of a stream as they are, and another one their
// bytes one by one: both have to see the same. What is let through is what came.
func twice(t *testing.T, made func() Decoder, pieces [][]byte) {
	var entries, errs [2]string
	for i := range 2 {
		b := newBench(t, made())
		for j, p := range pieces {
			for piece := range slices.Chunk(p, []int{1 << 20, 1}[i]) {
				if b.err == nil {
					_ = b.data(j%2 == 0, piece)
				}
			}
		}
		if b.err == nil {
			b.err = cmp.Or(b.d.End(true, b.rulings[1]), b.d.End(false, b.rulings[0]))
		}
		if f, ok := b.d.(Finisher); ok && b.err == nil {
			f.Finish(0, b.rulings[0])
		}
		for _, e := range b.entries {
			if e.Size, e.Back = 0, 0; b.err == nil {
				entries[i] += line(e) + fmt.Sprintln(e.Ref, e.Old, e.New)
			}
		}
		var desync *Desync
		if errors.As(b.err, &desync) {
			errs[i] = desync.Error()
		} else if b.err != nil {
			t.Fatal(b.err)
		}
	}
	if entries[0] != entries[1] || errs[0] != errs[1] {
		t.Fatalf("%q %q, and byte by byte %q %q", entries[0], errs[0], entries[1], errs[1])
	}
}

// FuzzScp has both sides say anything, and any rights.
func FuzzScp(f *testing.F) {
	f.Add([]byte("\x00"), []byte("C0644 2 n\n"), []byte("\x00"), []byte("hi\x00"), []byte("\x00"), true)
	f.Add([]byte("C0644 2 n\n"), []byte("\x00"), []byte("hi\x00"), []byte("\x01full\n"), []byte("E\n"), false)
	f.Add([]byte("C0000 0 \xfc\n\xe4"), []byte("\x00"), []byte("\x00iihh\x00"), []byte("\x00iihh\x00"), []byte(""), false)
	f.Fuzz(func(t *testing.T, a, b, c, d, e []byte, source bool) {
		run := scpRun{paths: []string{"a/*", "b"}, recursive: true, source: source}
		twice(t, func() Decoder { return newSCP(run, anything) }, [][]byte{a, b, c, d, e})
	})
}

// FuzzRsyncLine has a client say anything with -s: what reaches the target is
// taken for itself by the same grammar.
func FuzzRsyncLine(f *testing.F) {
	f.Add("rsync\x00--delete\x00.\x00x y\x00\x00then", true)
	f.Add("rsync\x00-B1000\x00--backup-dir\x00b\x00.\x00-x\x00*\x00\x00", false)
	f.Fuzz(func(t *testing.T, said string, sender bool) {
		for _, may := range []May{anything, only(Upload), only(Download)} {
			run := rsyncRun{needs: []Direction{Upload}, sender: sender, secluded: true}
			if sender {
				run.needs = []Direction{Download}
			}
			b := newBench(t, newRsync(run, may))
			if b.data(true, []byte(said)) != nil || len(b.passed[1]) == 0 {
				if len(b.passed[1]) > 0 {
					t.Fatalf("%q, and %q has passed", said, b.passed[1])
				}
				continue
			}
			again := newBench(t, newRsync(run, may))
			if err := again.data(true, b.passed[1]); err != nil || !bytes.Equal(again.passed[1], b.passed[1]) {
				t.Fatalf("%q became %q, which becomes %q, %v", said, b.passed[1], again.passed[1], err)
			}
			for _, word := range strings.Split(string(b.passed[1]), "\x00") {
				if word == "" {
					break
				}
				if strings.HasPrefix(word, "--log-file") || strings.HasPrefix(word, "--rsh") || word == "-e" {
					t.Fatalf("%q became %q", said, b.passed[1])
				}
			}
		}
	})
}

// FuzzGit has both sides of git's programs say anything.
func FuzzGit(f *testing.F) {
	object := strings.Repeat("0a", 20)
	f.Add([]byte(pktLine(object+" HEAD\x00x\n")+"0000"), []byte(pktLine("want "+object+"\n")+"0000"+pktLine("done")), []byte("PACK"), byte(0))
	f.Add([]byte(pktLine("version 2\n")+"0000"), []byte(pktLine("command=ls-refs\n")+"00010000"), []byte(pktLine(object+" refs/heads/x\n")+"0000"), byte(0))
	f.Add([]byte(pktLine("version 2\n")+"0000"), []byte(pktLine("command=fetch\n")+"0001"+pktLine("want-ref refs/heads/x\n")+"0000"), []byte(pktLine("wanted-refs\n")+pktLine(object+" refs/heads/x\n")+"0001"+pktLine("packfile\n")+pktLine("\x01PACK")+"0000"), byte(0))
	f.Add([]byte(pktLine(object+" HEAD\x00x\n")+"0000"), []byte(pktLine(object+" "+object+" refs/heads/x\x00report-status side-band-64k push-options")+"0000"+pktLine("o")+"0000PACK"),
		[]byte(pktLine("\x01"+pktLine("unpack ok\n")+pktLine("ok refs/heads/x\n")+"0000")+"0000"), byte(1))
	f.Add([]byte(pktLine("ACK\n")+"0000"), []byte(pktLine("argument HEAD\n")+"0000"), []byte{}, byte(2))
	f.Fuzz(func(t *testing.T, a, b, c []byte, program byte) {
		verb := []string{"git-upload-pack", "git-receive-pack", "git-upload-archive"}[program%3]
		twice(t, func() Decoder { return newGit(verb, "r", anything) }, [][]byte{nil, a, b, c})
	})
}
