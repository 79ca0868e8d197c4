package session

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkRelaySFTP is the CPU that a relay takes for OpenSSH's sftp to put and get a
// file of 64 MiB, with its decoder and without: in the same run, by turns. What the
// hash of the content takes is measured beside it, and taken off for one of the
// figures. Nothing is recorded of either way.
func BenchmarkRelaySFTP(b *testing.B) {
	const size = 64 << 20
	dir := b.TempDir()
	file, there, back := filepath.Join(dir, "file"), filepath.Join(dir, "there"), filepath.Join(dir, "back")
	want := randomFile(b, file, size)
	const rule = "may: [upload, download]\nrecord: metadata"
	bridges := []*bridge{newBridge(b, rule, func(o *Options) { o.decoder = asItComes }), newBridge(b, rule, nil)}
	var took [2]time.Duration
	var hashing time.Duration
	block := make([]byte, 32<<10)
	for b.Loop() {
		for i, x := range bridges {
			before := cpu()
			if _, text, status := x.run(fmt.Sprintf("put %s %s\nget %s %s\n", file, there, there, back), "sftp", "-q", "-b", "-", "x"); status != 0 {
				b.Fatal(text)
			}
			took[i] += cpu() - before
			if sumOf(b, back) != want {
				b.Fatal("another file came back")
			}
		}
		before := cpu()
		h := sha256.New()
		for range 2 * size / len(block) {
			h.Write(block)
		}
		hashing += cpu() - before
	}
	gb := 2 * size * float64(b.N) / 1e9
	b.ReportMetric(took[0].Seconds()/gb, "without-cpu-s/GB")
	b.ReportMetric(took[1].Seconds()/gb, "with-cpu-s/GB")
	b.ReportMetric(float64(took[1])/float64(took[0]), "with/without")
	b.ReportMetric(float64(took[1]-hashing)/float64(took[0]), "with-but-hashing/without")
}
