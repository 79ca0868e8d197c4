package transfer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestOffsetsNearTheEnd: what is written or read up to the last byte that an offset can
// say is followed without one wrapping around, held or hashed wrong, and nothing beyond
// it passes.
func TestOffsetsNearTheEnd(t *testing.T) {
	const last = 1<<63 - 1
	for _, at := range []uint64{0, 1 << 62, last - 8, last - 4} {
		b := greeted(t, anything)
		b.send(pkt(fxpOpen, 1, "f", fxfRead|fxfWrite|fxfCreat|fxfTrunc, noAttrs))
		b.reply(pkt(fxpHandle, 1, "h"))
		passed := len(b.passed[1])
		fits := pkt(fxpWrite, 2, "h", at, "data")
		b.send(fits, pkt(fxpWrite, 3, "h", uint64(last-3), "data"), pkt(fxpWrite, 4, "h", uint64(1<<64-4), "data"), pkt(fxpRead, 5, "h", uint64(last-3), 4))
		if got := b.passed[1][passed:]; string(got) != string(fits) {
			t.Errorf("at %d: %q passed", at, got)
		}
		b.reply(okay(2))
		b.send(pkt(fxpClose, 6, "h"))
		b.reply(okay(6))
		for _, e := range b.entries {
			if e.Operation == "put" && e.Outcome == OK && e.Direction == Upload && (e.Size != 4 || at > 0 && (e.SHA256 != nil || e.Unknown == "")) {
				t.Errorf("at %d: %+v", at, e)
			}
		}
		if d, ok := b.d.(*SFTP); !ok || d.Holds() > 64<<10 {
			t.Errorf("at %d: %d bytes are held", at, b.d.(*SFTP).Holds())
		}
	}
}

// TestSideBandIsBounded: a target's report in side-band is lines of bounded length, in
// whatever pieces they come, and as many as there may be.
func TestSideBandIsBounded(t *testing.T) {
	change := objectA + " " + objectA + " refs/heads/x"
	pushed := func() *bench {
		b := newBench(t, newGit("git-receive-pack", "r", anything))
		for _, s := range (scpTalk{{"t", pktLine(objectA+" refs/heads/x\x00report-status side-band-64k\n") + "0000"}, {"c", pktLine(change+"\x00report-status side-band-64k") + "0000PACK"}}) {
			if err := b.data(s.who == "c", []byte(s.says)); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	for _, length := range []string{"fff1", "ffff", "0003", "zzzz"} {
		b := pushed()
		err := b.data(false, []byte(pktLine("\x01"+length)))
		if desync := (*Desync)(nil); !errors.As(err, &desync) {
			t.Errorf("a line of length %s in the band: %v", length, err)
		}
	}
	b, r := pushed(), &copying{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	long := strings.Repeat("n", 60_000)
	for i := range 200 {
		line := pktLine(fmt.Sprintf("ng refs/heads/%d %s\n", i, long)) + pktLine("ng refs/heads/x "+long+"\n") + pktLine("unpack "+long+"\n")
		for _, piece := range []string{line[:len(line)/3], line[len(line)/3:]} {
			for part := range slices.Chunk([]byte(piece), 60_000) {
				if err := b.d.Data(false, []byte(pktLine("\x01"+string(part))+pktLine("\x02"+long)+pktLine("\x03"+long)), r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 1<<20 {
		t.Errorf("%d bytes are held", held)
	}
	if d := b.d.(*git); d.Holds() > 512<<10 || len(d.failure) > maxGitWords {
		t.Errorf("%d bytes are held, %d of words", d.Holds(), len(d.failure))
	}
}
