package transfer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// BenchmarkScp carries a file of 64 MiB in pieces of 32 KiB: as a copy that looks
// at nothing, hashed alone, and through a decoder. It gives what the decoder costs
// beside the hash, in parts of the copy, and seconds of a core for a gigabyte.
func BenchmarkScp(b *testing.B) {
	const size, piece = 64 << 20, 32 << 10
	data := bytes.Repeat([]byte{7}, piece)
	out := make([]byte, piece)
	var took [3]time.Duration // the least of each: others use this machine too
	least := func(i int, d time.Duration) {
		if took[i] == 0 || d < took[i] {
			took[i] = d
		}
	}
	for b.Loop() {
		begin := time.Now()
		for range size / piece {
			copy(out, data)
		}
		least(0, time.Since(begin))

		begin = time.Now()
		sum := sha256.New()
		for range size / piece {
			sum.Write(data)
		}
		least(1, time.Since(begin))

		begin = time.Now()
		d, r := newSCP(scpRun{paths: []string{"x"}}, anything), &copying{to: out}
		_ = d.Data(false, []byte{0}, r)
		_ = d.Data(true, fmt.Appendf(nil, "C0644 %d x\n", size), r)
		_ = d.Data(false, []byte{0}, r)
		for range size / piece {
			_ = d.Data(true, data, r)
		}
		_ = d.Data(true, []byte{0}, r)
		_ = d.Data(false, []byte{0}, r)
		least(2, time.Since(begin))
		if len(r.entries) != 1 || r.entries[0].Outcome != OK || !bytes.Equal(r.entries[0].SHA256, sum.Sum(nil)) {
			b.Fatalf("%+v", r.entries)
		}
	}
	ratio := func(d, of time.Duration) float64 { return float64(d) / float64(of) }
	const gigabyte = size / 1e9
	b.ReportMetric(ratio(took[2], took[0]+took[1]), "of-copy-and-hash")
	b.ReportMetric(ratio(took[2]-took[1], took[0]), "of-copy")
	b.ReportMetric((took[2]-took[1]-took[0]).Seconds()/gigabyte, "s/GB-decoding")
	b.ReportMetric(took[1].Seconds()/gigabyte, "s/GB-hash")
}

// copying is a Ruling that copies what passes.
type copying struct {
	to      []byte
	entries []Entry
}

func (c *copying) Pass(p []byte, _ bool) { copy(c.to, p) }
func (c *copying) Answer([]byte)         {}
func (c *copying) Enter(e Entry)         { c.entries = append(c.entries, e) }
func (c *copying) Begin(Entry)           {}
func (c *copying) Words(n int) int       { return n }
func (c *copying) Unlisted(int64) bool   { return true }
