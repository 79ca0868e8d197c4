package screen

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// outputs are what the benchmarks transcribe.
func outputs(b *testing.B) map[string][]byte {
	var text, colour, real bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&text, "%6d  %s\r\n", i, strings.Repeat("some words of text ", i%5))
		fmt.Fprintf(&colour, "\x1b[0m\x1b[01;34mdir%d\x1b[0m  -rw-r--r-- 1 alice lab %d \x1b[32mheart_%d.csv\x1b[0m\r\n", i, i*37, i)
	}
	for _, c := range captures(b) {
		for _, e := range c.Events {
			real.Write(e.output)
		}
	}
	return map[string][]byte{"text": text.Bytes(), "colour": colour.Bytes(), "programs": real.Bytes()}
}

// BenchmarkTranscript gives the transcript's speed, and as a ratio to that of
// x/ansi's bare parser, which makes nothing of what it finds.
func BenchmarkTranscript(b *testing.B) {
	for name, data := range outputs(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				t := NewTranscript(80, 24, func(Line) {})
				at := time.Duration(0)
				for rest := data; len(rest) > 0; at += 5 * time.Millisecond {
					n := min(len(rest), 8<<10)
					t.Write(at, rest[:n])
					rest = rest[n:]
				}
				t.Close(at)
			}
			ours := b.Elapsed() / time.Duration(b.N)
			p := ansi.NewParser()
			p.SetHandler(ansi.Handler{Print: func(rune) {}, Execute: func(byte) {}, HandleCsi: func(ansi.Cmd, ansi.Params) {}, HandleEsc: func(ansi.Cmd) {}})
			begin := time.Now()
			for range b.N {
				for _, c := range data {
					p.Advance(c)
				}
			}
			bare := time.Since(begin) / time.Duration(b.N)
			b.ReportMetric(float64(bare)/float64(ours), "x/ansi-bare-parser")
		})
	}
}
