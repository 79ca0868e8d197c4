package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/policy"
)

// situation is what a request says besides its user and target, from flags.
type situation struct {
	at, from, may, method, realm string
	groups, approvedBy           []string
	codeAge                      time.Duration
}

func policyExplainCmd() *cobra.Command {
	var s situation
	var all bool
	cmd := &cobra.Command{
		Use:   "explain USER TARGET",
		Short: "Say what a user may do on a target, by which rule, and why not more",
		Long: `Decide as the server would, and show every rule that speaks of the user and the
target: which matches, and which clause of the others fails. --all shows every
rule there is.

It is asked for now and for a login with passphrase and one-time code, unless
the flags say otherwise; without --from the source is in no network. The exit
code is 3 where access, or the capability named by --may, is denied.`,
		Example: `  entry policy explain alice home
  entry policy explain alice home.tinker --may download --from 192.0.2.7
  entry policy explain alice home --at "2026-03-02 09:00" --method publickey+otp --code-age 2h
  entry policy explain alice home --approved-by carol`,
		Args: usageArgs(cobra.ExactArgs(2)),
	}
	dir := policyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := policyOf(cmd, flagPaths(*dir))
		if err != nil {
			return err
		}
		r, want, err := s.request(p, args[0], args[1])
		if err != nil {
			return err
		}
		e := p.Explain(r)
		lines, err := jsonLines(cmd)
		if err != nil {
			return err
		}
		if lines != nil {
			err = lines.Encode(explanationLine(r, e, all))
		} else {
			err = writeExplanation(cmd.OutOrStdout(), r, e, all)
		}
		switch {
		case err != nil:
			return err
		case e.Denied != nil:
			return &exitError{code: exitDenied, err: e.Denied}
		case want != 0 && !e.Grant.Allows(want):
			return &exitError{code: exitDenied, err: e.Grant.Refusal(want)}
		}
		return nil
	}
	f := cmd.Flags()
	f.StringVar(&s.may, "may", "", "`CAPABILITY` that the exit code is about")
	f.StringVar(&s.at, "at", "", "`TIME` of the access instead of now; UTC unless it says otherwise")
	f.StringVar(&s.from, "from", "", "client `ADDRESS`")
	f.StringVar(&s.method, "method", "passphrase+otp", "`FACTORS` of the login, joined by +")
	f.DurationVar(&s.codeAge, "code-age", 0, "`AGE` of the last one-time code")
	f.StringVar(&s.realm, "realm", "", "`REALM` that vouches for the user")
	f.StringArrayVar(&s.groups, "group", nil, "`GROUP` of the user in the realm; may be repeated")
	f.StringSliceVar(&s.approvedBy, "approved-by", nil, "`USERS` who have approved, whatever rule asks")
	f.BoolVar(&all, "all", false, "show the rules for other people and targets too")
	return cmd
}

// request makes a request of the flags. want is the capability of --may, zero
// without it.
func (s situation) request(p *policy.Policy, user, target string) (r policy.Request, want policy.Capability, err error) {
	if err := policy.ValidUser(user); err != nil {
		return r, 0, failf(exitUsage, "user %q: %w", user, err)
	}
	if s.may != "" {
		if want, err = capabilityOf(s.may); err != nil {
			return r, 0, err
		}
	}
	if r.Time, r.Source, err = s.place(); err != nil {
		return r, 0, err
	}
	r.User, r.Realm, r.Groups, r.Method = user, s.realm, s.groups, s.method
	r.CodeAt = r.Time.Add(-s.codeAge)
	if r.Target, err = findTarget(p, user, target, append([]string{s.realm}, s.groups...)...); err != nil {
		return r, 0, err
	}
	r.Approvals = p.Supposed(r, s.approvedBy...)
	return r, want, nil
}

func (s situation) place() (at time.Time, from netip.Addr, err error) {
	at = time.Now()
	if s.at != "" {
		if at, err = parseWhen(s.at, at); err != nil {
			return at, from, failf(exitUsage, "--at %w", err)
		}
	}
	if s.from != "" {
		if from, err = netip.ParseAddr(s.from); err != nil {
			return at, from, failf(exitUsage, "--from %q: want an address", s.from)
		}
	}
	return at, from, nil
}

func capabilityOf(name string) (policy.Capability, error) {
	c, ok := policy.ParseCapability(name)
	if !ok {
		return 0, failf(exitUsage, "%q is no capability: want shell, exec, upload, download, forward-local, forward-remote, agent or x11", name)
	}
	return c, nil
}

// findTarget finds a target by its full name, by what the user would call it,
// or by a bare name that only one lab has.
func findTarget(p *policy.Policy, user, name string, realm ...string) (*policy.Target, error) {
	if t, ok := p.Target(name); ok {
		return t, nil
	}
	t, err := p.Resolve(user, name, realm...)
	if err == nil {
		return t, nil
	}
	var found []*policy.Target
	for _, t := range p.Targets() {
		if t.Name == name {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return nil, failf(exitNotFound, "the policy has no target %q", name)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, t := range found {
		names = append(names, t.FullName())
	}
	return nil, failf(exitUsage, "%q is ambiguous: want one of %s", name, strings.Join(names, ", "))
}

// speaks reports whether a rule is about the user and the target of the
// request.
func speaks(c policy.Considered) bool {
	for _, f := range c.Failed {
		if f.Clause == policy.ClauseWho || f.Clause == policy.ClauseWhere {
			return false
		}
	}
	return true
}

func writeExplanation(w io.Writer, r policy.Request, e policy.Explanation, all bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s at %s", r.User, r.Target.FullName(), plain.Moment(r.Time))
	if r.Source.IsValid() {
		fmt.Fprintf(&b, " from %s", r.Source)
	}
	b.WriteString("\n")
	for _, v := range e.Verdicts {
		fmt.Fprintf(&b, "  %-15s %s\n", v.Capability, verdictWords(v))
	}
	if g := e.Grant; g.Valid() {
		record := g.Record().String()
		if g.RecordInput() {
			record += ", with input"
		}
		fmt.Fprintf(&b, "recording: %s; limits: %s\n", record, g.Limits())
	}
	others := 0
	b.WriteString("rules:\n")
	for _, c := range e.Rules {
		if !all && !speaks(c) {
			others++
			continue
		}
		verb := "allows"
		if c.Deny {
			verb = "denies"
		}
		outcome := "matches"
		if len(c.Failed) > 0 {
			var why []string
			for _, f := range c.Failed {
				why = append(why, f.Clause.String()+": "+f.Why)
			}
			outcome = "no: " + strings.Join(why, "; ")
		}
		fmt.Fprintf(&b, "  %s %s %s: %s\n", c.Rule, verb, c.May, outcome)
	}
	if others > 0 {
		fmt.Fprintf(&b, "  %d rules are for other people or targets (--all shows them)\n", others)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func verdictWords(v policy.Verdict) string {
	s := "no rule gives it"
	switch {
	case v.Allowed:
		s = "allowed by " + v.Rule.String()
		if !v.Until.IsZero() {
			s += " until " + plain.Moment(v.Until)
		}
	case v.Approval != nil:
		s = fmt.Sprintf("%s gives it with the approval of %s", v.Approval.Rule, v.Approval)
	case v.Rule != policy.RuleRef{}:
		s = "denied by " + v.Rule.String()
	}
	if v.Because != "" {
		s += ": " + v.Because
	}
	return s
}
