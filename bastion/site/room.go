//go:build linux

package site

import (
	"fmt"

	"golang.org/x/sys/unix"

	"entry/audit/plain"
	"entry/configs"
)

// Room says where the disk of the recordings is small for so many accounts, ""
// where it isn't or can't be told.
func Room(cfg *configs.Config, accounts int) string {
	var st unix.Statfs_t
	if cfg.Recording.Share == 0 || unix.Statfs(cfg.Recording.Directory, &st) != nil {
		return ""
	}
	return roomFor(accounts, cfg.Recording.Share, int64(st.Bavail)*int64(st.Bsize)-cfg.Recording.Reserve, cfg.Recording.Directory)
}

func roomFor(accounts int, share, free int64, dir string) string {
	free = max(0, free)
	if int64(accounts) <= free/share {
		return ""
	}
	return fmt.Sprintf("%s has %s free beyond recording.reserve, less than a day's recording.share of %s for each of %s: archive recordings sooner, set recording.quota or a smaller share, or give it a larger disk",
		dir, plain.Size(free), plain.Size(share), plain.Count(accounts, "account"))
}
