package bastion

import (
	"testing"

	"entry/audit/room"
	"entry/bastion/access"
	"entry/configs"
)

// Without a word in entry.yaml no user can have more than a part of the files that the
// server may have open, however few.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		limits configs.Limits
		files  room.Files
		want   access.Bounds
	}{
		{configs.Limits{}, room.Files{Most: 65536, Kept: 1024}, access.Bounds{Connections: 100, Channels: 500}},
		{configs.Limits{}, room.Files{Most: 1024, Kept: 128}, access.Bounds{Connections: 100, Channels: 112}},
		{configs.Limits{}, room.Files{Most: 256, Kept: 32}, access.Bounds{Connections: 28, Channels: 28}},
		{configs.Limits{}, room.Files{Most: 16, Kept: 16}, access.Bounds{Connections: 4, Channels: 4}},
		{configs.Limits{Connections: 3, Channels: 5000}, room.Files{Most: 1024, Kept: 128}, access.Bounds{Connections: 3, Channels: 5000}},
	} {
		if got := boundsOf(c.limits, c.files); got != c.want {
			t.Errorf("%+v of %+v: %+v, want %+v", c.limits, c.files, got, c.want)
		}
	}
}
