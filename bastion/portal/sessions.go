package portal

import (
	"context"
	"iter"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/guide"
)

const (
	// historyEvents bounds what one look into the log reads: its newest events,
	// some megabytes.
	historyEvents = 20_000
	// historyShown bounds the list.
	historyShown = 50
)

// History yields the newest n events of the audit log, oldest first. It reads
// from the log's end, so that its cost doesn't grow with the log.
type History func(ctx context.Context, n int) iter.Seq2[audit.Event, error]

// verbTargets lists where the user may go.
func (v *visit) verbTargets(_ context.Context, d *desk, args []string) uint32 {
	if len(args) > 0 {
		return v.misused(d, "targets")
	}
	v.targets(d.out, nil)
	return exitOK
}

// targets lists the user's targets, how each is reached and what is recorded there,
// or why one isn't. failed hears of those to which the last way failed.
func (v *visit) targets(out lines, failed func(target string, x access.Failure)) {
	all := Targets(v.login.Places(), v.contact())
	if why := v.login.GroupsUnknown(); why != "" {
		out.printf("  What is yours by a group isn't known: %s.", v.contact().In(why))
	} else if len(all) == 0 {
		out.printf("  You are in no lab yet. Ask %s to add you.", v.contact())
		return
	}
	for _, t := range all {
		how := "ssh -J " + v.p.o.Name + " " + t.Name
		switch {
		case t.Denied != "":
			how = strings.TrimPrefix(t.Denied, t.Full+" ")
		case t.Kind == guide.TCP:
			how = t.Forward(v.p.o.Name)
		}
		if t.Approval != "" {
			how += " (asks for the approval of " + t.Approval + ")"
		}
		out.printf("  %-24s %s", t.Full, how)
		if x, ok := v.login.Failed(t.Full); failed != nil && ok && t.Denied == "" {
			failed(t.Full, x)
		}
		if t.Denied == "" && t.Approval == "" { // who transfers files sees no notice there
			out.printf("      %s", t.Recorded)
		}
	}
}

// pastSession is one of the user's sessions as the log tells it.
type pastSession struct {
	id, target, source, end string
	started, ended          time.Time
}

// verbSessions lists the user's own sessions: those that live, and what the
// newest part of the audit log knows of others.
func (v *visit) verbSessions(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) > 0 {
		return v.misused(d, "sessions")
	}
	live, turnover := map[string]bool{}, v.p.o.Gate.Turnover(v.login.Who().User())
	for _, s := range v.p.o.Gate.Sessions() {
		if s.User == v.login.Who().User() {
			live[s.ID] = true
			d.out.printf("live   %s  %-20s from %s, ID %s", plain.Moment(s.Started), s.Target, s.Source, s.ID)
		}
	}
	var past []pastSession
	if v.p.o.History != nil {
		var err error
		past, err = v.p.pasts.sessions(ctx, v.login.Who().User(), turnover, v.p.o.Now, func() ([]pastSession, error) { return v.readPast(ctx) })
		if err != nil {
			return v.failed(d, "sessions", err)
		}
	}
	shown := 0
	for i := len(past) - 1; i >= 0 && shown < historyShown; i-- {
		p := past[i]
		if live[p.id] {
			continue
		}
		shown++
		lasted := "its end isn't in the log"
		if !p.ended.IsZero() {
			lasted = "lasted " + p.ended.Sub(p.started).Round(time.Second).String() + ", " + p.end
		}
		d.out.printf("ended  %s  %-20s from %s, %s, ID %s", plain.Moment(p.started), p.target, p.source, lasted, p.id)
	}
	if len(live) == 0 && shown == 0 {
		d.out.printf("No session of yours in the newest part of the log.")
	}
	return exitOK
}
