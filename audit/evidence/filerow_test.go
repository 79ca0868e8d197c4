package evidence

import (
	"strings"
	"testing"

	"entry/session/recording"
)

// What isn't known of a file is a dash, and names are quoted.
func TestFileCells(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]File{
		"-|s|alice|home.tinker|download|12 B|complete|00ff|sftp get":                                       {Size: 12, Direction: "download", Outcome: "complete", Content: "00ff"},
		"-|s|alice|home.tinker|-|-|-|-|sftp get (3 B and 4 B back in the whole run)":                       {Size: Unsized, Run: 3, RunBack: 4},
		"-|s|alice|home.tinker|-|0 B|-|-|7 more, in the recording":                                         {More: 7},
		"-|s|alice|home.tinker|upload|1 B|-|ab|sftp get \"a\\x1bb\"":                                       {Size: 1, Direction: "upload", Line: &recording.File{Path: "a\x1bb", SHA256: "ab"}},
		"-|s|alice|home.tinker|upload|1 B|-|unknown: it was too long|sftp get \"x\"":                       {Size: 1, Direction: "upload", Line: &recording.File{Path: "x", Unknown: "it was too long"}},
		"-|s|alice|home.tinker|-|-|-|-|sftp, cut off: what it is at, or was, isn't known":                  {Size: Unsized, Unfinished: CutOff},
		"-|s|alice|home.tinker|download|-|-|-|sftp, under way: get \"a\\x1b\", how much of it isn't known": {Size: Unsized, Unfinished: UnderWay, Direction: "download", Asked: "a\x1b"},
		"-|s|alice|home.tinker|upload|3 B|ok|its recording isn't here|sftp get":                            {Size: 3, Direction: "upload", Outcome: "ok", Content: "00ff", Elsewhere: true},
	} {
		f.Session, f.User, f.Target, f.Protocol, f.Operation = "s", "alice", "home.tinker", "sftp", "get"
		if got := strings.Join(f.Cells(), "|"); got != want || len(f.Cells()) != len(FileColumns("SHA-256")) {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}
