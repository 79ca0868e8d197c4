//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/configs"
)

func doctorCmd() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "doctor USER",
		Short: "Show what stands in a user's way",
		Long: `Show in one screen how a user's account stands, what went wrong for them lately,
what they may reach now and why not, and whether those machines answer with the
host key on record. The same failure is one line, with how often it came and from
how many addresses.

Rules about networks are judged for the address that --from names; without it
they may show as refusals. What only a login tells (a directory's groups) isn't
known here. Targets are tried only while a server runs, from where it runs; no
login is made. Exit status 1 says that something stands in the way: of logins, of
which locks elsewhere are no part once --from says where, or at a target that policy
opens. 3 says that only the policy does: no target opens.`,
		Example: "  entry doctor alice\n  entry doctor alice --from 192.0.2.7",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			if from != "" {
				from = "?from=" + url.QueryEscape(from)
			}
			return withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				var d admin.Diagnosis
				if err := o.call(cmd.Context(), http.MethodGet, path+"/doctor"+from, nil, &d); err != nil {
					return err
				}
				if asJSON(cmd) {
					return json.NewEncoder(os.Stdout).Encode(d)
				}
				if printDiagnosis(os.Stdout, d) {
					return failf(exitFailure, "something stands in %s's way", d.User.Name)
				}
				if !slices.ContainsFunc(d.Places, func(p admin.Place) bool { return p.Denied == "" }) {
					return failf(exitDenied, "no target opens for %s%s", d.User.Name, map[bool]string{true: " from " + d.From}[d.From != ""])
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `ADDRESS` that the user comes from")
	cmd.Flags().Bool("json", false, "one JSON object")
	return cmd
}

// printDiagnosis writes d in words and tells whether something stands in the
// user's way.
func printDiagnosis(w io.Writer, d admin.Diagnosis) (sick bool) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // a pipe that closed early
	problem := func(format string, args ...any) { sick = true; say("problem: "+format, args...) }
	u := d.User
	switch state := userState(u); {
	case u.Disabled:
		problem("the account is disabled: entry user enable %s", u.Name)
	case !d.Fit:
		problem("the account: %s", state)
	default:
		how := ""
		if d.Good != nil {
			how = fmt.Sprintf(" from %s with %s", d.Good.Source, d.Good.Method)
		}
		say("account: %s, last login %s%s", state, plain.Moment(u.LastLogin), how)
	}
	if len(u.Authenticators) == 0 && !u.CodeBySMS && u.TemporaryExpires.IsZero() {
		problem("no authenticator and no temporary passphrase: entry user reset %s", u.Name)
	}
	if u.TermsWait && !u.LastLogin.IsZero() {
		problem("the terms are new since the last login, and a client that can't ask is refused: %s has to log in once on a terminal", u.Name)
	}
	if u.WrongCodes > 0 {
		problem("%d wrong codes behind the right passphrase%s; %s", u.WrongCodes, codesLock(u), somebodyHasIt(u))
	}
	if u.WrongRecovery > 0 {
		problem("%s", beforeRecovery(u))
	}
	if u.WrongUnseen > 0 {
		say("note: %s", unseenCodes(u))
	}
	for _, l := range d.Locks {
		switch {
		case l.Until.IsZero():
		case l.Whole:
			problem("everybody is locked out from %s until %s: entry user unlock %s --source %s", l.Source, plain.Moment(l.Until), u.Name, l.Source)
		default:
			problem("locked from %s until %s: entry user unlock %s", l.Source, plain.Moment(l.Until), u.Name)
		}
	}
	for _, l := range d.Elsewhere {
		if !l.Until.IsZero() {
			say("note: locked from %s, which is elsewhere, until %s", l.Source, plain.Moment(l.Until))
		}
	}
	for _, s := range d.Live {
		say("live: %s since %s, from %s, ID %s", s.Target, plain.Moment(s.Started), s.Source, s.ID)
	}
	if len(d.Trouble) > 0 {
		say("lately:")
	}
	for _, t := range d.Trouble {
		line := fmt.Sprintf("  %s %s: %s", plain.Moment(t.Time), t.Type, t.Reason)
		for _, x := range [][2]string{{" on ", t.Target}, {" from ", t.Source}, {", ref ", t.Ref}, {": ", t.Detail}} {
			if x[1] != "" {
				line += x[0] + plain.Line(x[1])
			}
		}
		if t.Times > 1 {
			line += fmt.Sprintf("; %d times since %s", t.Times, plain.Moment(t.Since))
		}
		if t.Addresses > 1 {
			line += fmt.Sprintf(", from %d addresses", t.Addresses)
		}
		say("%s", line)
	}
	if d.LeftOut != "" {
		say("at the last program: %s; env in a rule lets clients set them", plain.Line(d.LeftOut))
	}
	if len(d.Places) == 0 {
		problem("in no lab, so a login leads nowhere: add them to a lab's members in the policy")
		return sick
	}
	say("targets%s:", map[bool]string{true: ", from " + d.From, false: ", from anywhere"}[d.From != ""])
	for _, p := range d.Places {
		switch {
		case p.Denied != "":
			say("  %s: denied: %s", p.Target, p.Denied)
		case p.Wrong != "":
			sick = true
			say("  %s: problem: %s", p.Target, plain.Line(p.Wrong))
		case p.Probed:
			say("  %s: opens by rule %s, as %s; it answers with its host key", p.Target, p.Rule, orNone([]string{p.Login}))
		default:
			say("  %s: opens by rule %s", p.Target, p.Rule)
		}
	}
	return sick
}
