package transfer

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
)

// takings is a Ruling of one direction: what a decoder made of the last piece.
type takings struct {
	passed  [][]byte
	inside  bool
	answers [][]byte
	entries *[]Entry
	words   *Words

	unlisted *bool // names may be; nil is true
	begun    *[]Entry
}

func (r *takings) Pass(p []byte, more bool) {
	if len(p) > 0 {
		r.passed = append(r.passed, p)
	}
	r.inside = more
}
func (r *takings) Answer(p []byte) { r.answers = append(r.answers, bytes.Clone(p)) }
func (r *takings) Enter(e Entry)   { *r.entries = append(*r.entries, e) }
func (r *takings) Begin(e Entry) {
	if r.begun != nil {
		*r.begun = append(*r.begun, e)
	}
}

func (r *takings) Words(n int) int {
	if r.words == nil {
		return n
	}
	return r.words.Take(n)
}

func (r *takings) Unlisted(int64) bool { return r.unlisted == nil || *r.unlisted }

// take empties r.
func (r *takings) take() (passed, answers [][]byte) {
	passed, answers = r.passed, r.answers
	r.passed, r.answers = nil, nil
	return passed, answers
}

// bench holds a decoder in a vice: it is given pieces, and everything that comes
// of them is kept.
type bench struct {
	t        testing.TB
	d        Decoder
	rulings  [2]*takings // from the target, from the client
	passed   [2][]byte
	answers  [2][]byte // to whom sent them
	entries  []Entry
	words    Words
	unlisted bool // names may be
	begun    []Entry
	last     [2][]byte
	err      error
}

func newBench(t testing.TB, d Decoder) *bench {
	b := &bench{t: t, d: d, unlisted: true}
	for i := range b.rulings {
		b.rulings[i] = &takings{entries: &b.entries, words: &b.words, unlisted: &b.unlisted, begun: &b.begun}
	}
	return b
}

func side(toTarget bool) int {
	if toTarget {
		return 1
	}
	return 0
}

// data gives the decoder a copy of p, which is spoilt once the next call in that
// direction begins, as is all that it passed on.
func (b *bench) data(toTarget bool, p []byte) error {
	i := side(toTarget)
	for j := range b.last[i] {
		b.last[i][j] = 0xee
	}
	p = bytes.Clone(p)
	b.last[i] = p
	err := b.d.Data(toTarget, p, b.rulings[i])
	passed, answers := b.rulings[i].take()
	for _, p := range passed {
		b.passed[i] = append(b.passed[i], p...)
	}
	b.answers[i] = append(b.answers[i], slices.Concat(answers...)...)
	if err != nil {
		b.err = err
	}
	return err
}

func (b *bench) end(toTarget bool) {
	if err := b.d.End(toTarget, b.rulings[side(toTarget)]); err != nil {
		b.t.Error(err)
	}
}

// outlet is one peer's stream, into which answers come between packets.
type outlet struct {
	mu     sync.Mutex
	w      io.Writer
	inside bool
	held   [][]byte
}

func (o *outlet) pass(all [][]byte, inside bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range all {
		_, _ = o.w.Write(p)
	}
	o.inside = inside
	if !inside {
		_, _ = o.w.Write(slices.Concat(o.held...))
		o.held = nil
	}
}

func (o *outlet) answer(all [][]byte) {
	if len(all) == 0 {
		return // without waiting for the other direction's peer
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held = append(o.held, all...); !o.inside {
		_, _ = o.w.Write(slices.Concat(o.held...))
		o.held = nil
	}
}

// relay is a decoder between two peers, as session puts it there.
type relay struct {
	d       Decoder
	mu      sync.Mutex // one call at a time
	entries []Entry
	words   Words
	err     error
	done    chan struct{} // both directions ended
}

// newRelay carries what comes from the client to the target and back, in pieces
// of at most size bytes.
func newRelay(d Decoder, size int, client, target io.ReadWriteCloser) *relay {
	r := &relay{d: d, done: make(chan struct{})}
	outs := [2]*outlet{{w: client}, {w: target}}
	var ends sync.WaitGroup
	copying := func(toTarget bool, src io.Reader, dst io.Closer) {
		i := side(toTarget)
		ruling := &takings{entries: &r.entries, words: &r.words}
		buf := make([]byte, size)
		for {
			n, readErr := src.Read(buf)
			r.mu.Lock()
			var err error
			if n > 0 {
				err = d.Data(toTarget, buf[:n], ruling)
			}
			if err == nil && readErr != nil {
				err = d.End(toTarget, ruling)
			}
			if err != nil && r.err == nil {
				r.err = err
			}
			passed, answers := ruling.take()
			inside := ruling.inside
			r.mu.Unlock()
			outs[i].pass(passed, inside)
			outs[1-i].answer(answers)
			if err != nil { // the channel ends
				client.Close()
				target.Close()
				return
			}
			if readErr != nil {
				dst.Close()
				return
			}
		}
	}
	ends.Go(func() { copying(true, client, target) })
	ends.Go(func() { copying(false, target, client) })
	go func() {
		ends.Wait()
		close(r.done)
	}()
	return r
}

// all waits for the end and returns the manifest.
func (r *relay) all(t testing.TB) []Entry {
	t.Helper()
	<-r.done
	if r.err != nil {
		t.Error(r.err)
	}
	return r.entries
}

// stdio is a program's standard input and output.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// start runs a program that speaks over its standard input and output, in dir.
func start(t testing.TB, dir string, command ...string) io.ReadWriteCloser {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &stdio{out, in}
}

// line is an entry as tests compare it, without its times.
func line(e Entry) string {
	s := fmt.Sprintf("%s %s %s %s", e.Operation, e.Direction, e.Path, e.Outcome)
	if e.To != "" {
		s += " to=" + e.To
	}
	if e.Direction != 0 {
		s += fmt.Sprintf(" size=%d", e.Size)
	}
	if e.SHA256 != nil {
		s += " sha256=" + hex.EncodeToString(e.SHA256[:4])
	}
	if e.Unknown != "" {
		s += " unknown=" + e.Unknown
	}
	if e.Detail != "" {
		s += " detail=" + e.Detail
	}
	return s
}
