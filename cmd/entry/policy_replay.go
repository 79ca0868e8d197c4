package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/plain"
	"entry/policy"
)

func policyReplayCmd() *cobra.Command {
	var since, until, log, realm string
	cmd := &cobra.Command{
		Use:   "replay NEW",
		Short: "Decide the accesses in the audit log anew, under another policy",
		Long: `Decide every access in the audit log anew under NEW, a directory or a file, and
show what would have been different: sessions that would have been refused, or
would have had fewer or more capabilities, and refusals that would have been
sessions. What is alike is counted together.

Logins, codes and approvals are taken from the log as far as it has them; a
login that it hasn't counts as one with passphrase and code. The log doesn't say
realms: --realm takes all users to be of one.`,
		Example: "  entry policy replay --since 30d new\n  entry policy replay --since 2026-03-01 --log copy/audit new --json",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			from, err := parseWhen(since, now)
			if err != nil {
				return failf(exitUsage, "--since %w", err)
			}
			to, err := parseWhen(until, now)
			if err != nil {
				return failf(exitUsage, "--until %w", err)
			}
			p, err := policyOf(cmd, args)
			if err != nil {
				return err
			}
			dir := log
			if dir == "" {
				if dir, _, _, err = auditDirs(cmd); err != nil {
					return err
				}
			}
			r := newReplay(p, realm, from, to)
			damaged, err := r.read(dir)
			if err != nil {
				return err
			}
			if err := r.write(cmd); err != nil {
				return err
			}
			if damaged > 0 {
				return hinted(failf(exitFailure, "%d lines of the log are not events", damaged), "entry audit verify says more")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "30d", "from this `TIME` on")
	f.StringVar(&until, "until", "", "before this `TIME`")
	f.StringVar(&log, "log", "", "`DIR` that holds the log or a copy of it, instead of the configuration's")
	f.StringVar(&realm, "realm", "", "`REALM` of all users")
	return cmd
}

// replay decides anew what a log tells of, event by event. It remembers every
// login, a hundred bytes each, and what is different by kind.
type replay struct {
	policy      *policy.Policy
	realm       string
	from, until time.Time

	logins    map[string]login // by connection
	codes     map[string]time.Time
	approvals map[[2]string][]policy.Approval // by user and target

	accesses, different int
	found               map[difference]*tally
}

type login struct {
	method string
	codeAt time.Time
}

// difference is what is counted together.
type difference struct {
	what         string // "would be refused"
	user, target string
	why          string
}

type tally struct {
	difference
	count       int
	first, last time.Time
}

func newReplay(p *policy.Policy, realm string, from, until time.Time) *replay {
	return &replay{policy: p, realm: realm, from: from, until: until, logins: map[string]login{}, codes: map[string]time.Time{},
		approvals: map[[2]string][]policy.Approval{}, found: map[difference]*tally{}}
}

// read goes through the log in dir; damaged is how many lines weren't events.
func (r *replay) read(dir string) (damaged int, err error) {
	for e, err := range audit.Scan(dir, audit.LoginSucceeded, audit.ApprovalGiven, audit.SessionStarted, audit.AccessRefused) {
		var bad *audit.BadRecord
		switch {
		case errors.As(err, &bad):
			damaged++
		case errors.Is(err, fs.ErrNotExist):
			return damaged, hinted(&exitError{code: exitNotFound, err: err}, "the log is made when entry serve first starts")
		case err != nil:
			return damaged, err
		default:
			r.event(e)
		}
	}
	return damaged, nil
}

func (r *replay) event(e audit.Event) {
	switch e.Type {
	case audit.LoginSucceeded:
		at := e.Time
		// A remembered key is as old as the code it was remembered by.
		if strings.Contains(e.Method, "remembered") {
			at = r.codes[e.User]
		} else {
			r.codes[e.User] = at
		}
		r.logins[e.Conn] = login{e.Method, at}
	case audit.ApprovalGiven:
		if e.Until != nil {
			name, _, _ := strings.Cut(e.Rule, " ")
			key := [2]string{e.User, e.Target}
			r.approvals[key] = append(slices.DeleteFunc(r.approvals[key], func(a policy.Approval) bool { return !e.Time.Before(a.Until) }),
				policy.Approval{By: e.Approver, Rule: name, At: e.Time, Until: *e.Until})
		}
	case audit.SessionStarted:
		if r.within(e) {
			r.accesses++
			r.started(e)
		}
	case audit.AccessRefused:
		// Other refusals weren't the policy's.
		if r.within(e) && e.Target != "" && e.Reason == "denied" {
			r.accesses++
			r.refused(e)
		}
	}
}

func (r *replay) within(e audit.Event) bool {
	return !e.Time.Before(r.from) && (r.until.IsZero() || e.Time.Before(r.until))
}

// decide asks the new policy what e was about.
func (r *replay) decide(e audit.Event) (policy.Grant, error) {
	q := policy.Request{User: e.User, Realm: r.realm, Time: e.Time, Method: "passphrase+otp", CodeAt: e.Time, Approvals: r.approvals[[2]string{e.User, e.Target}]}
	if l, ok := r.logins[e.Conn]; ok {
		q.Method, q.CodeAt = l.method, l.codeAt
	}
	if source, err := netip.ParseAddrPort(e.Source); err == nil {
		q.Source = source.Addr()
	}
	t, ok := r.policy.Target(e.Target)
	if !ok {
		return policy.Grant{}, fmt.Errorf("the policy has no target %s", e.Target)
	}
	q.Target = t
	return r.policy.Decide(q)
}

func (r *replay) started(e audit.Event) {
	g, err := r.decide(e)
	var no *policy.Denied
	switch {
	case errors.As(err, &no) && no.Approval != nil:
		r.note(e, "would wait for approval", no.Error())
	case err != nil:
		r.note(e, "would be refused", err.Error())
	default:
		had, has := e.Capability, g.Capabilities().String()
		if had == "" || had == has {
			return
		}
		lost, gained := missing(had, has), missing(has, had)
		if lost != "" {
			r.note(e, "would be without "+lost, "rule "+g.Rule().String())
		} else if gained != "" {
			r.note(e, "would also have "+gained, "rule "+g.Rule().String())
		}
	}
}

// missing are the words of a list that another one hasn't got.
func missing(list, other string) string {
	has := strings.Split(other, ", ")
	return strings.Join(slices.DeleteFunc(strings.Split(list, ", "), func(s string) bool { return slices.Contains(has, s) }), ", ")
}

func (r *replay) refused(e audit.Event) {
	if g, err := r.decide(e); err == nil {
		c, ok := policy.ParseCapability(e.Capability)
		if !ok || g.Allows(c) {
			r.note(e, "would be allowed", "rule "+g.Rule().String())
		}
	}
}

func (r *replay) note(e audit.Event, what, why string) {
	r.different++
	d := difference{what, e.User, e.Target, why}
	t := r.found[d]
	if t == nil {
		t = &tally{difference: d, first: e.Time}
		r.found[d] = t
	}
	t.count++
	t.last = e.Time
}

// replayLine is replay's --json line; the last one has the sums only.
type replayLine struct {
	What      string     `json:"what,omitempty"`
	User      string     `json:"user,omitempty"`
	Target    string     `json:"target,omitempty"`
	Why       string     `json:"why,omitempty"`
	Count     int        `json:"count,omitempty"`
	First     *time.Time `json:"first,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Accesses  *int       `json:"accesses,omitempty"`
	Different *int       `json:"different,omitempty"`
}

func (r *replay) write(cmd *cobra.Command) error {
	lines, err := jsonLines(cmd)
	if err != nil {
		return err
	}
	list := make([]*tally, 0, len(r.found))
	for _, t := range r.found {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *tally) int {
		return cmp.Or(b.count-a.count, cmp.Compare(a.user, b.user), cmp.Compare(a.target, b.target), cmp.Compare(a.what, b.what), cmp.Compare(a.why, b.why))
	})
	out := cmd.OutOrStdout()
	for _, t := range list {
		if lines != nil {
			err = lines.Encode(replayLine{What: t.what, User: t.user, Target: t.target, Why: t.why, Count: t.count, First: moment(t.first), Last: moment(t.last)})
		} else {
			_, err = fmt.Fprintf(out, "%7d × %s on %s %s: %s (last %s)\n", t.count, plain.Word(t.user), plain.Word(t.target), t.what, t.why, plain.Time(t.last))
		}
		if err != nil {
			return err
		}
	}
	if lines != nil {
		return lines.Encode(replayLine{Accesses: &r.accesses, Different: &r.different})
	}
	_, err = fmt.Fprintf(out, "%d accesses since %s, %d of them different\n", r.accesses, plain.Time(r.from), r.different)
	return err
}
