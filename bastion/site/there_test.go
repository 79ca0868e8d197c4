//go:build linux

package site

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"entry/audit"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// A folder that isn't what the log knows of it is a slip in a setting, or a disk that isn't
// mounted: it is named before anything is written there, and no server begins in silence.
func TestFoldersThatArentThere(t *testing.T) {
	t.Parallel()
	const here, removed, gone = "01JQ8Z3M6W0000000000000001", "01JQ8Z3M6W0000000000000002", "01JQ8Z3M6W0000000000000003"
	began := func(id string) audit.Event {
		return audit.Event{Type: audit.SessionStarted, Session: id, Recording: &audit.Recording{ID: id}}
	}
	for name, c := range map[string]struct {
		spoil           func(cfg *configs.Config, dir string)
		refused, advice string
		warned          string
		alarm           bool // and an event
	}{
		"all there": {spoil: func(*configs.Config, string) {}},
		"a mistyped folder of recordings": {spoil: func(cfg *configs.Config, dir string) { cfg.Recording.Directory = filepath.Join(dir, "spol") },
			warned: "spol isn't there, though the audit log knows 1 recording: is the setting right, and its disk mounted?", alarm: true},
		"another folder of recordings": {spoil: func(cfg *configs.Config, dir string) { cfg.Recording.Directory = t.TempDir() },
			warned: "lacks 1 recording that the audit log knows, the newest " + here + ": is the setting right, and its disk mounted?", alarm: true},
		"a recording is gone": {spoil: func(cfg *configs.Config, dir string) {
			log := testkit.Must(audit.Open(cfg.Audit.Directory, audit.Options{Key: testkit.ReadFile(t, cfg.Audit.Key), Witness: cfg.Audit.Witness}))(t)
			testkit.Check(t, log.Append(t.Context(), began(gone)))
			testkit.Check(t, log.Close())
		}, warned: "lacks 1 recording that the audit log knows, the newest " + gone + ": ", alarm: true},
		"a mistyped folder of the log": {spoil: func(cfg *configs.Config, dir string) { cfg.Audit.Directory = filepath.Join(dir, "mistyped", "audit") },
			refused: "mistyped/audit: the directory isn't there, but the witness directory knows of records", advice: "is audit.directory right, and its disk mounted? Else put the newest copy"},
		"a mistyped folder of the witness": {spoil: func(cfg *configs.Config, dir string) { cfg.Audit.Witness = filepath.Join(dir, "mistyped") },
			refused: "mistyped: no such file or directory", advice: "is audit.witness right, and its disk mounted?"},
		"a mistyped database": {spoil: func(cfg *configs.Config, dir string) {
			cfg.Database.SQLite = filepath.Join(dir, "state", "mistyped.db")
		},
			warned: "state/mistyped.db isn't there, though the audit log has begun: a start makes a new one, without accounts; is the setting right"},
		"a mistyped folder of the database": {spoil: func(cfg *configs.Config, dir string) {
			cfg.Database.SQLite = filepath.Join(dir, "mistyped", "entry.db")
		},
			refused: "mistyped/entry.db: its folder isn't there", advice: "is database.sqlite right, and its disk mounted?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, cfg := newDir(t, lab)
			started(t, cfg)() //nolint:errcheck // the cleanup checks it
			log := testkit.Must(audit.Open(cfg.Audit.Directory, audit.Options{Key: testkit.ReadFile(t, cfg.Audit.Key), Witness: cfg.Audit.Witness}))(t)
			testkit.Check(t, log.Append(t.Context(), began(here), began(removed), audit.Event{Type: audit.RecordingRemoved, Session: removed, Recording: &audit.Recording{ID: removed}}))
			testkit.Check(t, log.Close())
			testkit.WriteFile(t, filepath.Join(cfg.Recording.Directory, here+recording.Ext), "x")
			c.spoil(cfg, dir)

			found, err := Check(cfg, testkit.Must(loadPolicy(cfg))(t))
			if err == nil { // as the verb goes on
				_, _, err = Look(t.Context(), cfg)
			}
			if c.refused != "" {
				_, serr := New(t.Context(), Options{Config: cfg, Log: zap.NewNop(), Policy: loadPolicy})
				for what, err := range map[string]error{"check": err, "serve": serr} {
					if err == nil || !strings.Contains(err.Error(), c.refused) || !strings.HasPrefix(advice(err), c.advice) {
						t.Errorf("%s: %v, %q", what, err, advice(err))
					}
				}
				if exists(filepath.Join(dir, "mistyped")) {
					t.Error("a refused start has made the folder")
				}
				return
			}
			if err != nil || slices.ContainsFunc(found.Warnings, func(w string) bool { return strings.Contains(w, "the audit log") && strings.Contains(w, asked) }) != (c.warned != "") ||
				!strings.Contains(strings.Join(found.Warnings, "\n"), c.warned) {
				t.Errorf("check: %q, %v", found.Warnings, err)
			}
			core, said := observer.New(zap.ErrorLevel)
			s := testkit.Must(New(context.Background(), Options{Config: cfg, Log: zap.New(core), Policy: loadPolicy}))(t)
			testkit.Check(t, s.Close())
			if told := said.Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, asked) }).Len(); (told == 1) != (c.warned != "") {
				t.Errorf("the server said %v", said.All())
			}
			alarmed := false
			for e, err := range audit.Read(cfg.Audit.Directory) {
				testkit.Check(t, err)
				alarmed = alarmed || e.Type == audit.AlarmFileGone && e.Reason == "recordings" && strings.Contains(e.Detail, c.warned)
			}
			if alarmed != c.alarm {
				t.Errorf("alarmed: %v", alarmed)
			}
		})
	}
}
