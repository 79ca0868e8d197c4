//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/configs"
	"entry/session/recording"
)

// asked is what to look at where a folder isn't what the log knows of it: a slip in a
// setting, and a disk that isn't mounted, look alike.
const asked = "is the setting right, and its disk mounted?"

// lookedBack bounds how many of the log's newest events are read for the recordings that
// have to be there. A verification reads all.
const lookedBack = 50_000

// checkLog refuses a folder without a log where there was one, whether a server runs on
// another configuration or none.
func checkLog(cfg *configs.Config) error {
	options, err := logOptions(cfg)
	if err != nil {
		return err
	}
	var nowhere *audit.Nowhere
	log, err := audit.Inspect(cfg.Audit.Directory, options)
	if errors.As(err, &nowhere) {
		return unopened(cfg, err)
	}
	if err == nil {
		return log.Close()
	}
	if errors.Is(err, audit.ErrLocked) && cfg.Audit.Witness != "" && !exists(cfg.Audit.Witness) {
		return hinted(fmt.Errorf("audit.witness %s isn't there", cfg.Audit.Witness), asked)
	}
	return nil // opening it says more
}

// checkDatabase refuses a database whose folder isn't there, where none can be made.
func checkDatabase(cfg *configs.Config) error {
	if exists(filepath.Dir(cfg.Database.SQLite)) {
		return nil
	}
	return hinted(fmt.Errorf("open database %s: its folder isn't there", cfg.Database.SQLite), "is database.sqlite right, and its disk mounted?")
}

// noDatabase says that there is no database though the log has begun, "" where that isn't so.
func noDatabase(cfg *configs.Config) string {
	if exists(cfg.Database.SQLite) {
		return ""
	}
	for _, err := range newest(cfg)(context.Background(), 1) {
		if err != nil {
			break // opening the log says more
		}
		return fmt.Sprintf("database.sqlite %s isn't there, though the audit log has begun: a start makes a new one, without accounts; %s", cfg.Database.SQLite, asked)
	}
	return ""
}

// noRecordings names the recordings that aren't in their folder though the log's newest
// events have their start and no removal, "" where all are there. It doesn't open them: a
// verification does.
func noRecordings(ctx context.Context, cfg *configs.Config) string {
	known := map[string]time.Time{}
	for e, err := range newest(cfg)(ctx, lookedBack) {
		switch r := e.Recording; {
		case err != nil || r == nil:
		case e.Type == audit.SessionStarted:
			known[r.ID] = e.Time
		case e.Type == audit.RecordingRemoved, e.Type == audit.RecordingAborted && r.Segments == 0: // of one without a whole header there may be nothing
			delete(known, r.ID)
		}
	}
	here, _ := recording.IDs(cfg.Recording.Directory) // none where it can't be listed
	for _, id := range here {
		delete(known, id)
	}
	var lack []string
	for id := range known { // one that began after the listing is there by now
		if _, err := recording.Stat(cfg.Recording.Directory, id); errors.Is(err, fs.ErrNotExist) {
			lack = append(lack, id)
		}
	}
	if len(lack) == 0 {
		return ""
	}
	slices.Sort(lack) // by time, as IDs are
	what := fmt.Sprintf("lacks %s that the audit log knows, the newest %s", plain.Count(len(lack), "recording"), lack[len(lack)-1])
	if !exists(cfg.Recording.Directory) {
		what = fmt.Sprintf("isn't there, though the audit log knows %s", plain.Count(len(lack), "recording"))
	}
	return fmt.Sprintf("recording.directory %s %s: %s Else entry audit verify names what is gone", cfg.Recording.Directory, what, asked)
}

// alarmRecordings says in both logs that recordings aren't where they have to be.
func (s *Server) alarmRecordings(ctx context.Context) error {
	lack := noRecordings(ctx, s.cfg)
	if lack == "" {
		return nil
	}
	s.log.Error("RECORDINGS ARE MISSING: " + lack)
	return s.state.log.Append(ctx, audit.Event{Type: audit.AlarmFileGone, Reason: "recordings", Detail: lack})
}

// checkThere are the warnings about folders that aren't what the log knows of them.
func checkThere(cfg *configs.Config) (out []string) {
	for _, why := range []string{noDatabase(cfg), noRecordings(context.Background(), cfg)} {
		if why != "" {
			out = append(out, why)
		}
	}
	return out
}
