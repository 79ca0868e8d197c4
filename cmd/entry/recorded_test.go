//go:build linux

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"entry/audit"
	"entry/bastion/site"
	"entry/session/recording"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

// The sessions that record makes.
const (
	sealedID = "01JQ8Z3M6W0000000000000001" // of alice, sealed
	cutID    = "01JQ8Z3M6X0000000000000002" // of bob, cut by a crash
)

// errTicked says that the spool's clock struck while the sessions were recorded, so that
// they have other segments and events than tests expect.
var errTicked = errors.New("a second was over before both sessions were recorded")

// makeRecorded makes dir as entry init does, with two sessions recorded and in
// the log: one sealed, one that a crash cut. A machine that is too busy to do so within
// one of the spool's ticks gets further tries.
func makeRecorded(dir string, start time.Time) error {
	for range 20 {
		if err := tryRecorded(dir, start); !errors.Is(err, errTicked) {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return errTicked
}

func tryRecorded(dir string, start time.Time) (err error) {
	if err := site.Init(dir, "127.0.0.1:2222", ""); err != nil {
		return err
	}
	key, err := audit.ReadKey(filepath.Join(dir, "keys", "audit.key"))
	if err != nil {
		return err
	}
	log, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{Key: key, Witness: filepath.Join(dir, "witness")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	pub, err := os.ReadFile(filepath.Join(dir, "keys", "auditors.pub"))
	if err != nil {
		return err
	}
	all, err := auditors.Parse(strings.NewReader(string(pub)))
	if err != nil {
		return err
	}
	if err := recordBoth(log, filepath.Join(dir, "spool"), all, start); err != nil {
		return err
	}
	_, err = spool.Recover(filepath.Join(dir, "spool"), func(a recording.Aborted) error {
		return log.Append(context.Background(), audit.Event{Type: audit.RecordingAborted, Session: a.ID, Recording: &audit.Recording{ID: a.ID, Head: fmt.Sprintf("%x", a.Head), Segments: a.Segments}})
	})
	return err
}

// recordBoth writes the recordings and what the log has of them.
func recordBoth(log *audit.Log, dir string, to []auditors.Auditor, start time.Time) (err error) {
	ctx := context.Background()
	var ticks atomic.Int32
	open, err := spool.Open(spool.Options{Dir: dir, Now: func() time.Time { return start.Add(time.Minute) }, Commit: func(ctx context.Context, tick recording.Tick) error {
		ticks.Add(1)
		return log.Append(ctx, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: hex.EncodeToString(tick.Root[:]), Changed: tick.Changed, List: tick.List}})
	}})
	if err != nil {
		return err
	}
	defer func() { // without closing bob's recording, as in a crash
		if err = errors.Join(err, open.Close()); err == nil && ticks.Load() != 1 {
			err = errTicked
		}
	}()
	begin := func(id, user string) (*spool.Writer, error) {
		w, err := open.Create(recording.Header{ID: id, User: user, Lab: "tinker", Target: "home.tinker", Source: "192.0.2.7:50122", Rule: "tinker-home (tinker.yaml:12)", Start: start, Auditors: auditors.Fingerprints(to)}, auditors.Recipients(to))
		if err != nil {
			return nil, err
		}
		return w, log.Append(ctx, audit.Event{Type: audit.SessionStarted, Session: id, User: user, Recording: &audit.Recording{ID: id, Header: fmt.Sprintf("%x", w.HeaderHash()), Key: fmt.Sprintf("%x", w.KeyHash())}})
	}
	w, err := begin(sealedID, "alice")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		k    recording.Kind
		ch   uint32
		data string
	}{
		{recording.Request, 0, `{"type":"channel-open","name":"session"}`},
		{recording.Request, 0, `{"type":"env","env":{"LC_RUN":"echo \u001b[2J; id"}}`},
		{recording.Request, 0, `{"type":"exec","command":"id; printf '\u001b]0;x\u0007'"}`},
		{recording.Output, 0, "uid=1000(alice)\n"},
		{recording.Transfer, 0, `{"stream":"input","omitted_bytes":2048,"sha256":"00","why":"input"}`},
		{recording.Exit, 0, `{"status":3}`},
		{recording.Request, 0, `{"type":"channel-close","name":"session","bytes_down":16,"bytes_up":2048,"coverage":"partial","missing":[{"stream":"input","bytes":2048,"why":"input"}]}`},
		{recording.Request, 1, `{"type":"pty-req","term":"xterm","cols":100,"rows":30}`},
		{recording.Request, 1, `{"type":"shell"}`},
		{recording.Output, 1, "$ lss\b \b\x1b]52;c;cm0gLXJm\a\x1b[6n -l\r\n\x1b[31mred\x1b[0m\r\n"},
		{recording.Resize, 1, "120x40"},
		{recording.Exit, 1, `{"status":7}`},
		{recording.Request, 1, `{"type":"channel-close","name":"session","bytes_down":47,"coverage":"recorded"}`},
		{recording.Request, 2, `{"type":"channel-open","name":"direct-tcpip","destination":"db:5432"}`},
		{recording.Request, 2, `{"type":"channel-close","name":"direct-tcpip","destination":"db:5432","bytes_down":19954,"bytes_up":12,"coverage":"metadata"}`},
	} {
		if err := w.Frame(f.k, f.ch, []byte(f.data)); err != nil {
			return err
		}
	}
	sum, err := w.Close()
	if err != nil {
		return err
	}
	if err := log.Append(ctx, audit.Event{Type: audit.SessionEnded, Session: sealedID, User: "alice", Coverage: "partial", Recording: &audit.Recording{ID: sealedID, Head: fmt.Sprintf("%x", sum.Head), Segments: sum.Segments}}); err != nil {
		return err
	}
	if w, err = begin(cutID, "bob"); err != nil {
		return err
	}
	return w.Frame(recording.Output, 0, []byte("before the crash\n"))
}

// record is the scripts' `record DIR [TIME]`: it makes DIR with two recorded sessions
// that started then, or an hour ago.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("want: record DIR [TIME]")
	}
	start := time.Now().Add(-time.Hour)
	if len(args) == 2 {
		var err error
		start, err = time.Parse(time.RFC3339, args[1])
		ts.Check(err)
	}
	ts.Check(makeRecorded(ts.MkAbs(args[0]), start))
}
