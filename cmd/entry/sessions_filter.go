package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/when"
	"entry/session/recording"
)

// sessionFilter is which recorded sessions somebody wants, by flags.
type sessionFilter struct {
	aboutFlags
	catalog.Filter
	state, coverage          string
	since, until, at, source string
	reviewed                 bool
}

func (s *sessionFilter) flags(cmd *cobra.Command) {
	s.aboutFlags.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.source, "source", "", "only from this client `ADDRESS` or network")
	f.StringVar(&s.state, "state", "", "only in this `STATE`: complete, live, killed, aborted, damaged; erased, removed, missing")
	f.StringVar(&s.coverage, "coverage", "", "only those of which so much is kept (`WORD`): recorded, manifest, metadata, partial, refused")
	f.BoolVar(&s.reviewed, "reviewed", false, "only those marked as reviewed; --reviewed=false: only the others")
	f.StringVar(&s.since, "since", "", "only those that started since this `TIME`: "+when.Forms)
	f.StringVar(&s.until, "until", "", "only those that started before this `TIME`")
	f.StringVar(&s.at, "at", "", "only those that ran at this `TIME`: at a moment of that day, minute or second")
}

// parse reads what the flags say.
func (s *sessionFilter) parse(cmd *cobra.Command, now time.Time) (err error) {
	f := &s.Filter
	f.About, f.State, f.Coverage = s.aboutFlags.About, recording.State(s.state), recording.Coverage(s.coverage)
	if f.Since, f.Until, err = parseSpan(s.since, s.until, now); err != nil {
		return err
	}
	if f.At, f.AtEnd, err = when.Span(s.at, now); err != nil {
		return failf(exitUsage, "--at %w", err)
	}
	if f.Source, err = parseSource(s.source); err != nil {
		return err
	}
	if cmd.Flags().Changed("reviewed") {
		f.Reviewed = &s.reviewed
	}
	if s.state != "" && !slices.Contains(evidence.States(), f.State) {
		return failf(exitUsage, "--state %q: want complete, live, killed, aborted, damaged, erased, removed or missing", s.state)
	}
	if s.coverage != "" && !slices.Contains(recording.Coverages(), f.Coverage) {
		return failf(exitUsage, "--coverage %q: want recorded, manifest, metadata, partial or refused", s.coverage)
	}
	return nil
}
