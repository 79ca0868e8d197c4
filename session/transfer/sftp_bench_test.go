package transfer

import (
	"crypto/sha256"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// conversation is 16 MiB of content in packets of 32 KiB, up and down, as
// OpenSSH's sftp moves it with 64 requests under way, in the pieces that session
// reads. The ids repeat, so that it can be had over and over.
func conversation() (all []piece, content int64) {
	const each, window, size = 32 << 10, 64, 8 << 20
	block := make([]byte, each)
	for i := range block {
		block[i] = byte(i * i)
	}
	var up, down []byte
	flush := func() {
		for _, s := range []struct {
			toTarget bool
			b        []byte
		}{{true, up}, {false, down}} {
			for n := 0; n < len(s.b); n += 32640 {
				all = append(all, piece{s.toTarget, s.b[n:min(n+32640, len(s.b))]})
			}
		}
		up, down = nil, nil
	}
	up, down = append(up, pkt(fxpOpen, 1, "a", fxfWrite|fxfTrunc, 0)...), append(down, pkt(fxpHandle, 1, handle0)...)
	flush()
	for n := 0; n < size; n += each * window {
		for i := range window {
			up = append(up, pkt(fxpWrite, 10+i, handle0, uint64(n+i*each), string(block))...)
			down = append(down, okay(10+i)...)
		}
		flush()
	}
	up, down = append(up, pkt(fxpClose, 1, handle0)...), append(down, okay(1)...)
	flush()
	up, down = append(up, pkt(fxpOpen, 1, "a", fxfRead, 0)...), append(down, pkt(fxpHandle, 1, handle0)...)
	flush()
	for n := 0; n < size; n += each * window {
		for i := range window {
			up = append(up, pkt(fxpRead, 10+i, handle0, uint64(n+i*each), each)...)
			down = append(down, pkt(fxpData, 10+i, string(block))...)
		}
		flush()
	}
	up, down = append(up, pkt(fxpRead, 2, handle0, uint64(size), each)...), append(down, eof(2)...)
	flush()
	up, down = append(up, pkt(fxpClose, 1, handle0)...), append(down, okay(1)...)
	flush()
	return all, 2 * size
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSFTP relates the CPU that the decoder takes, with and without hashing, to
// copying the same pieces through a pipe, and to hashing alone: in the same run,
// by turns.
func BenchmarkSFTP(b *testing.B) {
	all, size := conversation()
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	buf := make([]byte, 32640)
	var entries []Entry
	rulings := []*takings{{entries: &entries}, {entries: &entries}}
	decoder := func(counting bool) *SFTP {
		d := NewSFTP(anything)
		d.pool.counting = counting
		if d.Data(true, hello, rulings[1]) != nil || d.Data(false, pkt(fxpVersion, version), rulings[0]) != nil {
			b.Fatal("no beginning")
		}
		return d
	}
	decode := func(d *SFTP) func() {
		return func() {
			for _, p := range all {
				r := rulings[side(p.toTarget)]
				if err := d.Data(p.toTarget, p.p, r); err != nil {
					b.Fatal(err)
				}
				r.passed = r.passed[:0]
			}
			if len(entries) != 2 || !d.pool.counting && (entries[0].SHA256 == nil || entries[1].SHA256 == nil) {
				b.Fatalf("%+v", entries)
			}
			entries = entries[:0]
		}
	}
	ways := []struct {
		name string
		do   func()
		took time.Duration
	}{
		{name: "copying", do: func() {
			for _, p := range all {
				if _, err := out.Write(p.p); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(in, buf[:len(p.p)]); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{name: "decoding", do: decode(decoder(true))},
		{name: "decoding-and-hashing", do: decode(decoder(false))},
		{name: "hashing", do: func() {
			h := sha256.New()
			for _, p := range all {
				h.Write(p.p)
			}
		}},
	}
	b.SetBytes(size)
	for b.Loop() {
		for i := range ways {
			before := cpu(b)
			ways[i].do()
			ways[i].took += cpu(b) - before
		}
	}
	for _, w := range ways {
		b.ReportMetric(w.took.Seconds()/(float64(size)*float64(b.N)/1e9), w.name+"-cpu-s/GB")
		b.ReportMetric(float64(w.took)/float64(ways[0].took), w.name+"/copying")
	}
}
