package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/when"
	"entry/policy"
	"entry/policy/strict"
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
		Short: "Say what a user may do on a target, by which rule, why not more",
		Long: `Decide as the server would, and show every rule that speaks of the user and the
target: which matches, and which clause of the others fails. --all shows every
rule there is.

It is asked for now and for a login with passphrase and one-time code, unless
the flags say otherwise; without --from the source is in no network. The exit
code is 3 where access, or the capability named by --may, is denied.`,
		Example: `  entry policy explain alice home
  entry policy explain alice home.tinker --may download --from 192.0.2.7
  entry policy explain alice home --at "2026-03-02 09:00" --code-age 2h
  entry policy explain alice home --method publickey+otp
  entry policy explain alice home --approved-by carol`,
		Args: usageArgs(cobra.ExactArgs(2)),
	}
	dir := policyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := policyOf(cmd, flagPaths(*dir))
		if err != nil {
			return err
		}
		q, want, err := s.suppose(p, args[0], args[1])
		if err != nil {
			return err
		}
		e := p.Explain(p.Suppose(q))
		if !all {
			e = e.Relevant()
		}
		if users := p.Users(); e.Denied != nil && s.realm == "" && !slices.Contains(users, args[0]) {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: the policy names no user %q%s\n", args[0], strict.DidYouMean(args[0], users))
		}
		err = printEach(cmd, []policy.Explanation{e}, func(e policy.Explanation) string { return strings.TrimSuffix(e.String(), "\n") })
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
	f.StringVar(&s.at, "at", "", "`TIME` of the access instead of now: "+when.Forms)
	f.StringVar(&s.from, "from", "", "client `ADDRESS`")
	f.StringVar(&s.method, "method", "passphrase+otp", "`FACTORS` of the login, joined by +")
	f.DurationVar(&s.codeAge, "code-age", 0, "`AGE` of the last one-time code")
	f.StringVar(&s.realm, "realm", "", "`REALM` that vouches for the user")
	f.StringArrayVar(&s.groups, "group", nil, "`GROUP` of the user in the realm; may be repeated")
	f.StringSliceVar(&s.approvedBy, "approved-by", nil, "`USERS` who have approved, whatever rule asks")
	f.BoolVar(&all, "all", false, "show the rules for other people and targets too")
	return cmd
}

// suppose is what the flags ask. want is the capability of --may, zero without
// it.
func (s situation) suppose(p *policy.Policy, user, target string) (q policy.Supposition, want policy.Capability, err error) {
	if err := policy.ValidUser(user); err != nil {
		return q, 0, failf(exitUsage, "user %q: %w", user, err)
	}
	if s.may != "" {
		if want, err = capabilityOf(s.may); err != nil {
			return q, 0, err
		}
	}
	q = policy.Supposition{Request: policy.Request{User: user, Realm: s.realm, Groups: policy.GroupsNamed(s.groups...), Method: s.method}, CodeAge: s.codeAge, ApprovedBy: s.approvedBy}
	if q.Time, q.Source, err = s.place(); err != nil {
		return q, 0, err
	}
	q.Target, err = findTarget(p, user, target, q.Realm, q.Groups)
	return q, want, err
}

func (s situation) place() (at time.Time, from netip.Addr, err error) {
	at = time.Now()
	if s.at != "" {
		if at, err = when.Parse(s.at, at); err != nil {
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
		return 0, failf(exitUsage, "%q is no capability: want one of %s", name, policy.AllCapabilities)
	}
	return c, nil
}

// findTarget finds what an operator means by name; see [policy.Policy.Find].
func findTarget(p *policy.Policy, user, name, realm string, groups policy.Groups) (*policy.Target, error) {
	t, err := p.Find(user, name, realm, groups)
	var unknown *policy.UnknownTarget
	switch {
	case errors.As(err, &unknown):
		return nil, failf(exitNotFound, "the policy has no target %q", name)
	case err != nil:
		return nil, &exitError{code: exitUsage, err: err}
	}
	return t, nil
}
