package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/session/recording"
)

// sessionFilter is which recorded sessions somebody wants, by flags.
type sessionFilter struct {
	user, target, lab, state, coverage string
	since, until, at, source           string

	from, to, moment time.Time
	network          netip.Prefix
}

func (s *sessionFilter) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.user, "user", "", "only this user's (`NAME`)")
	f.StringVar(&s.target, "target", "", "only on this target (`NAME`, home or home.tinker)")
	f.StringVar(&s.lab, "lab", "", "only in this lab (`NAME`)")
	f.StringVar(&s.source, "source", "", "only from this client `ADDRESS` or network")
	f.StringVar(&s.state, "state", "", "only in this `STATE`: complete, live, aborted, damaged")
	f.StringVar(&s.coverage, "coverage", "", "only those of which so much is kept (`WORD`): recorded, manifest, metadata, partial, refused")
	f.StringVar(&s.since, "since", "", "only those that started since this `TIME`: 2026-03-01, 90m, 24h, 7d")
	f.StringVar(&s.until, "until", "", "only those that started before this `TIME`")
	f.StringVar(&s.at, "at", "", "only those that ran at this `TIME`")
}

// parse reads what the flags say.
func (s *sessionFilter) parse(now time.Time) (err error) {
	if s.from, err = parseWhen(s.since, now); err != nil {
		return failf(exitUsage, "--since %w", err)
	}
	if s.to, err = parseWhen(s.until, now); err != nil {
		return failf(exitUsage, "--until %w", err)
	}
	if s.moment, err = parseWhen(s.at, now); err != nil {
		return failf(exitUsage, "--at %w", err)
	}
	if s.source != "" {
		if s.network, err = audit.ParseSource(s.source); err != nil {
			return failf(exitUsage, "--source %q: want an address or a network such as 192.0.2.0/24", s.source)
		}
	}
	states := []recording.State{recording.Complete, recording.Live, recording.StateAborted, recording.Damaged}
	if s.state != "" && !slices.Contains(states, recording.State(s.state)) {
		return failf(exitUsage, "--state %q: want complete, live, aborted or damaged", s.state)
	}
	if s.coverage != "" && !slices.Contains(recording.Coverages(), recording.Coverage(s.coverage)) {
		return failf(exitUsage, "--coverage %q: want recorded, manifest, metadata, partial or refused", s.coverage)
	}
	return nil
}

func (s *sessionFilter) wants(i recording.Info, c recording.Coverage) bool {
	return (s.user == "" || i.User == s.user) &&
		(s.target == "" || i.Target == s.target || strings.HasPrefix(i.Target, s.target+".")) &&
		(s.lab == "" || i.Lab == s.lab) &&
		(s.state == "" || string(i.State) == s.state) &&
		(s.coverage == "" || string(c) == s.coverage) &&
		!i.Start.Before(s.from) && (s.to.IsZero() || i.Start.Before(s.to)) &&
		(s.moment.IsZero() || !i.Start.After(s.moment) && (i.End.IsZero() || !i.End.Before(s.moment))) &&
		(!s.network.IsValid() || s.comesFrom(i.Source))
}

// comesFrom reports whether a source, "ip:port", is in the network that is wanted.
func (s *sessionFilter) comesFrom(source string) bool {
	a, err := netip.ParseAddrPort(source)
	return err == nil && s.network.Contains(a.Addr().Unmap())
}
