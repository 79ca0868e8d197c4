//go:build linux

package evidence

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// What was moved when the server ended is named where the recording is opened: by the
// command, or by the files that were open.
func TestWhatWasCutOffIsNamed(t *testing.T) {
	s := newSite(t)
	const id = "01JQ8Z3M6Y0000000000000003"
	s.session(func(log *audit.Log, open *spool.Spool) {
		w := s.begin(log, open, id, "bob")
		frame := func(kind recording.Kind, channel uint32, what any) {
			t.Helper()
			testkit.Check(t, w.Frame(kind, channel, testkit.Must(json.Marshal(what))(t)))
		}
		began := func(channel uint32, program, command string) {
			for _, kind := range []audit.Type{audit.ChannelOpened, audit.ExecRequested} {
				e := audit.Event{Type: kind, Session: id, Channel: &channel, User: "bob"}
				if kind == audit.ExecRequested {
					e.Program = program
				}
				s.append(log, e)
			}
			request := recording.ChannelRequest{Type: "exec", Command: recording.Text(command)}
			if command == "sftp" {
				request = recording.ChannelRequest{Type: "subsystem", Name: "sftp"}
			}
			frame(recording.Request, channel, request)
		}
		file := func(path string) recording.Begun {
			return recording.Begun{Protocol: "sftp", Operation: "get", Direction: "download", Path: recording.Text(path)}
		}
		began(0, "rsync", "rsync --server -vlogDtpre.iLsfxCIvu . up.bin")
		began(1, "sftp", "sftp")
		frame(recording.Transfer, 1, file("done"))
		frame(recording.Transfer, 1, file("a b"))
		frame(recording.Transfer, 1, recording.File{Protocol: "sftp", Operation: "get", Direction: "download", Path: "done", Outcome: "ok"})
		frame(recording.Transfer, 1, file("other"))
		began(2, "sftp", "sftp")
		began(3, "scp", "scp -f x")
		frame(recording.Request, 3, recording.ChannelRequest{Type: "channel-close", Name: "session"})
	})
	s.restart()
	list := func(direction string, ids ...age.Identity) (got []string) {
		var sums FileSums
		for f, err := range (FileList{Log: s.logDir(), Recordings: s.spool(), Identities: ids, Query: FileQuery{Direction: direction, Session: id}, Read: func([]string) error { return nil }}).All(&sums) {
			testkit.Check(t, err)
			if cells := f.Cells(); f.Unfinished != "" {
				got = append(got, cells[4]+" "+cells[8])
			}
		}
		return got
	}
	const unknown = ", cut off: what it is at, or was, isn't known"
	rsync, sftp, third := `upload rsync, cut off, of "up.bin": what of it is moved, or was, isn't known`, "- sftp"+unknown, "- scp"+unknown
	open := []string{`download sftp, cut off: get "a b", how much of it isn't known`, `download sftp, cut off: get "other", how much of it isn't known`}
	for _, tt := range []struct {
		direction string
		ids       []age.Identity
		want      []string
	}{
		{"", nil, []string{"- rsync" + unknown, sftp, sftp, third}},
		{"", []age.Identity{s.auditor}, append([]string{rsync}, append(open, sftp, third)...)},
		{"upload", []age.Identity{s.auditor}, []string{rsync, sftp, third}},
		{"download", []age.Identity{s.auditor}, append(open, sftp, third)},
	} {
		if got := list(tt.direction, tt.ids...); !slices.Equal(got, tt.want) {
			t.Errorf("--direction %q:\n%s\nwant\n%s", tt.direction, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}
