package session

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whether a stream begins as SSH does isn't a matter of the pieces in which it
// comes, and all of it passes unless that is refused.
func TestNestedSSHWhateverTheChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := rapid.OneOf(rapid.StringMatching(`(SSH-2\.0-|SSH-1\.99-|SSH-1\.|SS|)[SH2.019x-]{0,20}`), rapid.String()).Draw(t, "stream")
		refuse := rapid.Bool().Draw(t, "refused")
		want := strings.HasPrefix(stream, "SSH-2.0-") || strings.HasPrefix(stream, "SSH-1.99-")
		h := &hook{}
		r := &ruling{h: h, to: towardsTarget}
		d := &nestedSSH{refuse: refuse}
		alarms := 0
		var passed strings.Builder
		for rest := stream; rest != "" && !h.lanes[towardsTarget].left; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			err := d.data(towardsTarget, []byte(rest[:n]), r)
			for it, ok := h.lanes[towardsTarget].pop(1 << 62); ok; it, ok = h.lanes[towardsTarget].pop(1 << 62) {
				if it.fact != nil {
					alarms++
				}
				passed.Write(it.p)
			}
			if (err != nil) != (refuse && alarms > 0) {
				t.Fatalf("%d alarms, %v", alarms, err)
			}
			if err != nil {
				break
			}
			rest = rest[n:]
		}
		if (alarms == 1) != want || alarms > 1 {
			t.Errorf("%d alarms", alarms)
		}
		if !strings.HasPrefix(stream, passed.String()) || refuse && want && strings.HasPrefix(passed.String(), "SSH-2.0-") {
			t.Errorf("%q passed", passed.String())
		}
	})
}
