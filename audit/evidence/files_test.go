//go:build linux

package evidence

import (
	"fmt"
	"slices"
	"testing"

	"filippo.io/age"

	"entry/audit"
	"entry/e2e/testkit"
)

// Of rsync's files the run's bytes are told as the run's, never as a file's size.
func TestSizesOfStreams(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	for _, e := range []audit.Event{
		{Program: "sftp", Detail: "get", Capability: "download", BytesDown: 1692},
		{Program: "rsync", Detail: "get", Capability: "download", BytesDown: 110_000, BytesUp: 700},
		{Program: "rsync", Detail: "get", Capability: "download"},
		{Program: "git", Detail: "put", Capability: "upload", BytesUp: 9, BytesDown: 5},
	} {
		e.Type = audit.TransferFile
		testkit.Check(t, log.Append(t.Context(), e))
	}
	testkit.Check(t, log.Close())
	var got []string
	for f, err := range logFiles(dir, FileQuery{}, func(Channel) {}) {
		testkit.Check(t, err)
		got = append(got, fmt.Sprintf("%s %d %d %d", f.Protocol, f.Size, f.Run, f.RunBack))
	}
	if want := []string{"sftp 1692 0 0", "rsync -1 110000 700", "rsync -1 0 0", "git -1 9 5"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A session is found by its ID in lower case too, as by entry audit search.
func TestFilesOfASession(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	for _, id := range []string{"01JQ8Z3M6W0000000000000001", "01JQ8Z3M6W0000000000000002"} {
		testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.TransferFile, Session: id, Capability: "upload"}))
	}
	testkit.Check(t, log.Close())
	n := 0
	for f, err := range logFiles(dir, FileQuery{Session: "01jq8z3m6w0000000000000001"}, func(Channel) {}) {
		testkit.Check(t, err)
		if n++; f.Session != "01JQ8Z3M6W0000000000000001" {
			t.Errorf("%+v", f)
		}
	}
	if n != 1 {
		t.Errorf("%d files", n)
	}
}

// A program that moves files is told itself as long as nobody knows what it is at: while it
// runs, and for ever where a crash cut it off.
func TestUnfinishedFiles(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	did := func(session, program string, more ...audit.Event) {
		n := uint32(0)
		for _, e := range append([]audit.Event{{Type: audit.ChannelOpened, ChannelType: "session"}, {Type: audit.ExecRequested, Program: program}}, more...) {
			e.Session, e.Channel, e.User, e.Target = session, &n, "alice", "home.tinker"
			testkit.Check(t, log.Append(t.Context(), e))
		}
	}
	did("cut", "scp")
	did("done", "rsync", audit.Event{Type: audit.ChannelClosed, Coverage: "metadata"})
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.ServerStarted}))
	did("runs", "sftp")
	did("shell", "")
	did("other", "make")
	did("out", "cat", audit.Event{Type: audit.ChannelClosed, BytesDown: 603_000, Coverage: "recorded"})
	did("silent", "true", audit.Event{Type: audit.ChannelClosed, Coverage: "recorded"})
	for want, q := range map[string]FileQuery{
		"": {User: "bob"}, "beside files, 3 channels of 3 sessions let 603 kB out by shells, commands and forwards, not counting 2 that still run or were cut off": {Direction: "download"},
		"beside files, 1 channel of 1 session let 603 kB out by shells, commands and forwards": {Session: "OUT"},
	} {
		var sums FileSums
		for range (FileList{Log: dir, Query: q}).All(&sums) {
		}
		if got := sums.Beside(); got != want {
			t.Errorf("%+v: %q", q, got)
		}
		q.Direction, sums = "upload", FileSums{}
		for range (FileList{Log: dir, Query: q}).All(&sums) {
		}
		if got := sums.Beside(); got != "" {
			t.Errorf("what went up: %q", got)
		}
	}
	got := func(q FileQuery) (all []string) {
		var sums FileSums
		for f, err := range (FileList{Log: dir, Query: q}).All(&sums) {
			testkit.Check(t, err)
			all = append(all, f.Session+" "+f.Protocol+" "+f.Unfinished)
		}
		return all
	}
	if all := got(FileQuery{Direction: "download"}); !slices.Equal(all, []string{"cut scp cut off", "runs sftp under way"}) {
		t.Errorf("%q", all)
	}
	if all := got(FileQuery{Session: "runs"}); !slices.Equal(all, []string{"runs sftp under way"}) {
		t.Errorf("%q", all)
	}
	if all := got(FileQuery{User: "bob"}); len(all) != 0 {
		t.Errorf("%q", all)
	}
	testkit.Check(t, log.Close())
	if all := got(FileQuery{}); !slices.Equal(all, []string{"cut scp cut off", "runs sftp cut off"}) {
		t.Errorf("after a crash: %q", all)
	}
}

// What left in a session whose recording is gone is told as the log has it.
func TestFilesOfGoneRecordings(t *testing.T) {
	s := newSite(t)
	s.log(func(log *audit.Log) {
		for _, id := range []string{sealed, "01JQ8Z3M6Y0000000000000003"} {
			s.append(log, audit.Event{Type: audit.TransferFile, Session: id, User: "alice", Capability: "download", BytesDown: 12, Hash: "digest"})
		}
	})
	var got []string
	var sums FileSums
	list := FileList{Log: s.logDir(), Recordings: s.spool(), Identities: []age.Identity{s.auditor}, Read: func([]string) error { return nil }}
	for f, err := range list.All(&sums) {
		testkit.Check(t, err)
		got = append(got, fmt.Sprintf("%s %v %d", f.Session, f.Elsewhere, f.Size))
	}
	if !slices.Equal(got, []string{"01JQ8Z3M6Y0000000000000003 true 12"}) || sums.Found != 1 {
		t.Errorf("%q, %+v", got, sums)
	}
	list.Contents = []string{"digest"}
	sums = FileSums{}
	for f, err := range list.All(&sums) {
		t.Errorf("%+v, %v", f, err)
	}
	if sums.Found != 0 || sums.Unknown != 1 {
		t.Errorf("by its content: %+v", sums)
	}
}
