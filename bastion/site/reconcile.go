//go:build linux

package site

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/store"
)

// newestLog is the way out where records of the log are missing.
const newestLog = "put the newest copy of the log's directory back; where records are lost for good, an auditor signs that: entry audit accept-gap"

// furtherServer is what to do where a second server on a database was given the first
// one's log key: an empty log then is one that records are missing of.
const furtherServer = "if this is a further server on that database, it needs a log key and a name of its own: entry init --dir NEW --origin NAME makes them, keys/audit.key and keys/audit.pub there"

// errBehind is the cause of the alarms about an older database.
var errBehind = errors.New("the database was older than the audit log")

// positionEvery is how often a running server notes in the database how far its
// log is: what a crash leaves unsaid is no more than that, twice.
const positionEvery = 10 * time.Second

// unreconciled says what to do where log and database can't be brought together.
func unreconciled(err error) error {
	var behind *audit.Behind
	var not *store.NotReplayed
	var place *store.Unwritable
	switch {
	case errors.As(err, &place):
		return place
	case errors.As(err, &behind):
		if behind.Has == 0 {
			return hinted(err, furtherServer+"; else "+newestLog)
		}
		return hinted(err, newestLog)
	case errors.As(err, &not) && not.Absent:
		return hinted(err, "put that segment back beside the log, or into its folder archive, for this start; or put a newer database back")
	case errors.As(err, &not):
		return hinted(err, "start the version of entry that wrote the log, or put a newer database back")
	}
	return err
}

// followLog notes the log's position until ctx ends. What a change in flight may
// have appended counts as done only a whole beat later. A database that can't be
// written any more, in which nobody's access could be taken away, is an alarm in both
// logs, once until it can: sessions go on, and may be ended one by one.
func (s *state) followLog(ctx context.Context, log *zap.Logger) {
	tick := time.NewTicker(positionEvery)
	defer tick.Stop()
	last, broken := s.log.Position(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.log.Position()
		if now == last {
			continue
		}
		err := s.store.NotePosition(ctx, now, last.Size, time.Now())
		if ctx.Err() != nil {
			return
		}
		last = now
		if broken != (err != nil) {
			broken = err != nil
			s.alarmDatabase(ctx, log, err)
		}
	}
}

func (s *state) alarmDatabase(ctx context.Context, log *zap.Logger, err error) {
	e := audit.Event{Type: audit.AlarmDatabase, Reason: "writable"}
	if err != nil {
		e.Reason, e.Detail = "unwritable", err.Error()
		log.Error("THE DATABASE CAN'T BE WRITTEN: no account can be changed; end sessions by entry sessions kill", zap.Error(err))
	} else {
		log.Info("the database can be written again")
	}
	if err := s.log.Append(ctx, e); err != nil {
		log.Error("append alarm", zap.Error(err))
	}
}
