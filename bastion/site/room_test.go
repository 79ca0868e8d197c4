//go:build linux

package site

import "testing"

func TestRoomFor(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		name        string
		accounts    int
		share, free int64
		want        string
	}{
		{"room for all", 60, gib, 60 * gib, ""},
		{"a little less", 60, gib, 60*gib - 1, "spool has 64424 MB free beyond recording.reserve, less than a day's recording.share of 1073 MB for each of 60 accounts: archive recordings sooner, set recording.quota or a smaller share, or give it a larger disk"},
		{"nobody yet", 0, gib, 0, ""},
		{"under the reserve", 1, gib, -gib, "spool has 0 B free beyond recording.reserve, less than a day's recording.share of 1073 MB for each of 1 account: archive recordings sooner, set recording.quota or a smaller share, or give it a larger disk"},
	} {
		if got := roomFor(tt.accounts, tt.share, tt.free, "spool"); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
