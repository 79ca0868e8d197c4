package find

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/charmbracelet/x/ansi"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// BenchmarkSearch gives the speed of a search in bytes of frames, from sealed files to
// matched lines on all cores, and as a ratio to x/ansi's bare parser on one core, which
// makes nothing of what it finds.
func BenchmarkSearch(b *testing.B) {
	const sessions, pieces = 8, 256
	for name, piece := range map[string]func(i int) string{
		"text": func(i int) string {
			return strings.Repeat(fmt.Sprintf("%6d  some words of text, as a program prints them\r\n", i), 120)
		},
		"colour": func(i int) string {
			return strings.Repeat(fmt.Sprintf("\x1b[0m\x1b[01;34mdir%d\x1b[0m  -rw-r--r-- 1 alice lab %d \x1b[32mheart_%d.csv\x1b[0m\r\n", i, i*37, i), 80)
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			var frames []recording.Frame
			var all bytes.Buffer
			for i := range pieces {
				f := frame(float64(i)/100, 1, recording.Output, piece(i))
				frames = append(frames, f)
				all.Write(f.Data)
			}
			for n := range sessions {
				record(b, dir, n+1, "alice", true, append(append(shell(1)[:4:4], frames...), frame(100, 1, recording.Request, `{"type":"channel-close","coverage":"recorded"}`))...)
			}
			list, err := recording.List(dir)
			testkit.Check(b, err)
			match, err := Pattern{}.Compile("no (such|line)")
			testkit.Check(b, err)
			b.SetBytes(int64(sessions * all.Len()))
			for b.Loop() {
				for r, err := range Search(context.Background(), Options{Dir: dir, Identities: []age.Identity{auditor()}, Workers: runtime.GOMAXPROCS(0)}, list, Query{Match: match}) {
					testkit.Check(b, err)
					b.Fatalf("found %v", r)
				}
			}
			ours := b.Elapsed() / time.Duration(b.N)
			p := ansi.NewParser()
			p.SetHandler(ansi.Handler{Print: func(rune) {}, Execute: func(byte) {}, HandleCsi: func(ansi.Cmd, ansi.Params) {}, HandleEsc: func(ansi.Cmd) {}})
			begin := time.Now()
			for range sessions {
				for _, c := range all.Bytes() {
					p.Advance(c)
				}
			}
			b.ReportMetric(float64(time.Since(begin))/float64(ours), "x/ansi-bare-parser")
		})
	}
}
