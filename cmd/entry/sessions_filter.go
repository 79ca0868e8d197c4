package main

import (
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/when"
	"entry/session/recording"
)

// sessionFilter is which recorded sessions somebody wants, by flags.
type sessionFilter struct {
	aboutFlags
	state, coverage          string
	since, until, at, source string
	reviewed                 bool

	from, to     time.Time
	atFrom, atTo time.Time // what --at names begins, and is over
	network      netip.Prefix
}

func (s *sessionFilter) flags(cmd *cobra.Command) {
	s.aboutFlags.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.source, "source", "", "only from this client `ADDRESS` or network")
	f.StringVar(&s.state, "state", "", "only in this `STATE`: complete, live, killed, aborted, damaged")
	f.StringVar(&s.coverage, "coverage", "", "only those of which so much is kept (`WORD`): recorded, manifest, metadata, partial, refused")
	f.BoolVar(&s.reviewed, "reviewed", false, "only those marked as reviewed; --reviewed=false: only the others")
	f.StringVar(&s.since, "since", "", "only those that started since this `TIME`: "+when.Forms)
	f.StringVar(&s.until, "until", "", "only those that started before this `TIME`")
	f.StringVar(&s.at, "at", "", "only those that ran at this `TIME`: at a moment of that day, minute or second")
}

// parse reads what the flags say.
func (s *sessionFilter) parse(now time.Time) (err error) {
	if s.from, s.to, err = parseSpan(s.since, s.until, now); err != nil {
		return err
	}
	if s.atFrom, s.atTo, err = when.Span(s.at, now); err != nil {
		return failf(exitUsage, "--at %w", err)
	}
	if s.network, err = parseSource(s.source); err != nil {
		return err
	}
	if s.state != "" && !slices.Contains(evidence.States(), recording.State(s.state)) {
		return failf(exitUsage, "--state %q: want complete, live, killed, aborted or damaged", s.state)
	}
	if s.coverage != "" && !slices.Contains(recording.Coverages(), recording.Coverage(s.coverage)) {
		return failf(exitUsage, "--coverage %q: want recorded, manifest, metadata, partial or refused", s.coverage)
	}
	return nil
}

// ran reports whether a session ran at a moment of what --at names.
func (s *sessionFilter) ran(i recording.Info) bool {
	return (i.Start.Before(s.atTo) || i.Start.Equal(s.atFrom)) && (i.End.IsZero() || !i.End.Before(s.atFrom))
}

func (s *sessionFilter) wants(cmd *cobra.Command, i recording.Info, notes evidence.Notes) bool {
	state, n := notes.Of(i)
	return s.about(i.User, i.Lab, i.Target) &&
		(s.state == "" || string(state) == s.state) &&
		(s.coverage == "" || string(n.Coverage) == s.coverage) &&
		(!cmd.Flags().Changed("reviewed") || s.reviewed == (n.Review != nil)) &&
		!i.Start.Before(s.from) && (s.to.IsZero() || i.Start.Before(s.to)) &&
		(s.at == "" || s.ran(i)) &&
		(!s.network.IsValid() || audit.From(i.Source, s.network))
}
