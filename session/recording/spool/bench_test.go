//go:build linux

package spool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"entry/session/recording"
)

// screen is output as shells and compilers print it.
func screen(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "\x1b[32mdrwxr-xr-x\x1b[0m %4d alice tinker %8d Jan %2d 03:04 sample-%05d.fastq.gz\r\n", i%17, i*7919%1_000_003, i%31, i*31%99_991)
	}
	return b.Bytes()[:n]
}

// BenchmarkFrame compares recording with what compressing the same bytes alone
// costs: zstd-share is the part of the speed of zstd on one core that remains
// when everything else (copying, sealing, hashing, writing) is added.
func BenchmarkFrame(b *testing.B) {
	const chunk = 32640 // what the relay reads at once
	for name, data := range map[string][]byte{"screen": screen(64 << 20), "noise": noise(64 << 20)} {
		for _, sessions := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/%dsessions", name, sessions), func(b *testing.B) {
				dir := b.TempDir()
				s, err := Open(Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }})
				if err != nil {
					b.Fatal(err)
				}
				writers := make([]*Writer, sessions)
				for i := range writers {
					if writers[i], err = s.Create(recording.Header{ID: id(i)}, []age.Recipient{auditor().Recipient()}); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(len(data)))
				b.ResetTimer()
				for range b.N {
					var wg sync.WaitGroup
					for _, w := range writers {
						wg.Go(func() {
							for rest := data[:len(data)/sessions]; len(rest) > 0; {
								n := min(len(rest), chunk)
								if err := w.Frame(recording.Output, 0, rest[:n]); err != nil {
									b.Error(err)
									return
								}
								rest = rest[n:]
							}
						})
					}
					wg.Wait()
				}
				for _, w := range writers {
					if _, err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				took := b.Elapsed() / time.Duration(b.N)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				enc, err := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(enc, bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
				if err := enc.Close(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(time.Since(start))/float64(took), "zstd-share")
			})
		}
	}
}

// BenchmarkIdle reports what a recording costs that has nothing to record.
func BenchmarkIdle(b *testing.B) {
	const sessions = 1000
	for range b.N {
		dir := b.TempDir()
		s, err := Open(Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }})
		if err != nil {
			b.Fatal(err)
		}
		to := []age.Recipient{auditor().Recipient()}
		before := inUse()
		writers := make([]*Writer, sessions)
		for i := range writers {
			if writers[i], err = s.Create(recording.Header{ID: id(i)}, to); err != nil {
				b.Fatal(err)
			}
			if err := writers[i].Frame(recording.Output, 0, []byte("$ ")); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.tick(); err != nil {
			b.Fatal(err)
		}
		after, goroutines := inUse(), runtime.NumGoroutine()
		b.ReportMetric(float64(after-before)/sessions, "B/session")
		b.ReportMetric(float64(goroutines), "goroutines")
		start := time.Now()
		for _, w := range writers {
			if err := w.Frame(recording.Output, 0, []byte("x")); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.tick(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/tick")
		for _, w := range writers {
			w.abandon(ErrClosed)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// inUse is the live heap, with pools emptied.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
