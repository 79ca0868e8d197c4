package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// A terminal's input isn't kept. What somebody types, pastes, or does with keys and
// mouse leaves nothing, least of all a digest; a file is counted and digested as what
// it is, however fast it comes.
func TestWhatNobodyTypesIsCounted(t *testing.T) {
	file := bytes.Repeat([]byte("0123456789abcdef"), 200_000/16)
	// Bytes as places of a mouse, as somebody would send a file by it, and a mouse that moves.
	var places, moves strings.Builder
	for i := range 3300 {
		fmt.Fprintf(&places, "\x1b[<%d;%d;%dM", 100+37*i%900, 1000+7919*i%9000, 1000+104_729*i%9000)
		fmt.Fprintf(&moves, "\x1b[<35;%d;%dM", 1+(2*i)%5, 1+i%4)
	}
	type send struct {
		text  string
		times int
		pause time.Duration // after each
	}
	for name, tt := range map[string]struct {
		sends   []send
		digests []string // of the pieces
	}{
		"a day of typing":  {[]send{{"l", 20_000, 100 * time.Millisecond}}, nil},
		"pasted lines":     {[]send{{strings.Repeat("some line of some text\r", 80), 1, 0}, {"x", 100, 50 * time.Millisecond}, {strings.Repeat("y", 2000), 1, 0}}, nil},
		"a mouse":          {[]send{{"\x1b[<35;120;40M", 10_000, 20 * time.Millisecond}}, nil},
		"a mouse moves":    {[]send{{moves.String(), 1, 0}}, nil},
		"bytes by a mouse": {[]send{{places.String(), 1, 0}}, []string{places.String()}},
		"by zeros":         {[]send{{strings.Repeat("\x1b[<000;0001;01M", 1000), 1, 0}}, []string{strings.Repeat("\x1b[<000;0001;01M", 1000)}},
		"a key held down":  {[]send{{"\x1b[A\x1bOB", 10_000, 33 * time.Millisecond}}, nil},
		"at the limit":     {[]send{{strings.Repeat("z", typedAtOnce), 100, typedAtOnce / typedPace * time.Second}}, nil},
		"beyond it":        {[]send{{strings.Repeat("z", typedAtOnce+1), 1, 0}}, []string{strings.Repeat("z", typedAtOnce+1)}},
		"a file":           {[]send{{"cat > x\r", 1, time.Second}, {string(file), 1, 10 * time.Second}, {"secret\r", 1, 0}}, []string{string(file)}},
		"a file in chunks": {[]send{{string(file[:1000]), 200, 100 * time.Millisecond}, {"", 1, typedPause}, {"secret\r", 1, 0}}, []string{strings.Repeat(string(file[:1000]), 200)}},
		"slowly":           {[]send{{strings.Repeat("z", 100), 1000, time.Second}}, []string{strings.Repeat("z", 100_000)}},
		"two files":        {[]send{{string(file[:9000]), 1, typedPause}, {string(file[:8000]), 1, typedPause}}, []string{string(file[:9000]), string(file[:8000])}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec, lost := &framesOf{}, &losses{}
				tp := &tap{rec: rec, kind: recording.Input, typing: &typing{}, lost: lost}
				for _, s := range tt.sends {
					for range s.times {
						testkit.Check(t, tp.keep([]byte(s.text)))
						time.Sleep(s.pause)
					}
				}
				testkit.Check(t, tp.close())
				var all int64
				if len(rec.omitted) != len(tt.digests) {
					t.Fatalf("%d pieces, want %d: %+v", len(rec.omitted), len(tt.digests), rec.omitted)
				}
				for i, o := range rec.omitted {
					if "sha256:"+o.SHA256 != digest(tt.digests[i]) || o.Bytes != int64(len(tt.digests[i])) || o.Stream != "input" || o.Why != "pasted" {
						t.Errorf("piece %d: %+v, want %d bytes", i, o, len(tt.digests[i]))
					}
					all += o.Bytes
				}
				switch got := lost.list(); {
				case all == 0 && len(got) > 0, all > 0 && (len(got) != 1 || got[0] != recording.Missing{Stream: "input", Why: "pasted", Bytes: all}):
					t.Errorf("counted %+v, want %d bytes", got, all)
				}
				if rec.gaps > 0 || len(bytes.Trim(rec.kept, "\x00")) > 0 {
					t.Errorf("%d gaps, kept %q", rec.gaps, rec.kept)
				}
			})
		})
	}
}
