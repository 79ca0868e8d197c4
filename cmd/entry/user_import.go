//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/identity/takeover"
	"entry/configs"
	"entry/policy"
)

func importCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [DIR]",
		Short: "Take accounts over from another system, so that nobody enrols anew",
		Long: `Take accounts over: authenticators from .google_authenticator, passphrases from
lines of a shadow file ($6$, $5$ and $y$ hashes), and public keys from
authorized_keys. Users log in as before; the first login replaces the old hash
by entry's own.

DIR has a folder for each user, such as /home or a copy of it:
  DIR/USER/.google_authenticator  or DIR/USER/google_authenticator
  DIR/USER/.ssh/authorized_keys   (and authorized_keys2),
                                  or DIR/USER/authorized_keys
A folder may be a link, as long as that leads to a place in DIR.
--shadow names a file with lines such as /etc/shadow, for all of them. For one
user, --user with the other flags name the files themselves.

Nobody gets in who couldn't before. With --shadow, an account is left that is
locked (! or *), whose hash fits no passphrase (something was put into it, or cut
off), that has ended, whose passphrase is older than it may be, or that has no
line. An account's end is taken over, and that its passphrase has to be
changed. Keys with options (from, command, cert-authority, …) are left out, and
files in DIR that others than their owner may write to, or read if they hold a
seed. What else was restricted there is named. With --passwd, accounts whose shell
lets nobody in (nologin, false, …) are left too. The settings of sshd and PAM
aren't read.

Everybody with one of the files or with a hash in the shadow file is reported, as
added, with what was left out, or as not added, with the reason. An account that
exists is left alone. With --dry-run the report is all that happens. The exit
status is 1 if somebody wasn't added.`,
		Example: "  entry user import /old/home --shadow shadow --passwd passwd --dry-run\n  entry user import --user alice --google-authenticator alice.ga --shadow shadow",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, passed, err := o.read(args)
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, op *operator) error { return o.run(cmd, cfg, op, users, passed) })
		},
	}
	cmd.Flags().StringVar(&o.user, "user", "", "import this `USER` alone, from the files that other flags name")
	cmd.Flags().StringVar(&o.google, "google-authenticator", "", "the user's .google_authenticator `FILE`")
	cmd.Flags().StringVar(&o.keys, "authorized-keys", "", "the user's authorized_keys `FILE`")
	cmd.Flags().StringVar(&o.shadow, "shadow", "", "`FILE` with lines of /etc/shadow")
	cmd.Flags().StringVar(&o.passwd, "passwd", "", "`FILE` with lines of /etc/passwd")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "say what would happen, and change nothing")
	return cmd
}

type importOptions struct {
	user, google, keys, shadow, passwd string
	dry                                bool
}

// read collects what is to be taken over, and the folders that hold nothing of it.
func (o *importOptions) read(args []string) (all []takeover.Candidate, passed []string, err error) {
	from := takeover.Sources{User: o.user, GoogleAuthenticator: o.google, AuthorizedKeys: o.keys, Shadow: o.shadow, Passwd: o.passwd, Now: time.Now()}
	switch {
	case len(args) == 0 && o.user == "":
		return nil, nil, failf(exitUsage, "name a DIR with a folder for each user, or one --user")
	case len(args) == 1 && (o.user != "" || o.google != "" || o.keys != ""):
		return nil, nil, failf(exitUsage, "a DIR and the files of one user exclude each other")
	case len(args) == 1:
		from.Homes = args[0]
	}
	all, passed, err = takeover.Read(from)
	var input *takeover.InputError
	switch {
	case errors.Is(err, takeover.ErrNothing) && o.user != "":
		return nil, nil, failf(exitUsage, "there is nothing of %s to import: give --google-authenticator, --authorized-keys or a --shadow with a line for them", o.user)
	case errors.Is(err, takeover.ErrNothing):
		return nil, nil, hinted(failf(exitUsage, "%s has no folder with anything to import", from.Homes), "see entry user import --help for what it should look like")
	case errors.As(err, &input):
		return nil, nil, &exitError{code: exitUsage, err: err}
	}
	return all, passed, err
}

// run imports the users one by one and reports each.
func (o *importOptions) run(cmd *cobra.Command, cfg *configs.Config, op *operator, users []takeover.Candidate, passed []string) error {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	added, left := 0, 0
	for _, c := range users {
		r, err := admin.TakeOver(c, o.dry, p, func(in admin.ImportRequest, out *[]identity.ImportResult) error {
			return op.call(cmd.Context(), http.MethodPost, admin.ImportPath, in, out)
		})
		if err != nil {
			return fmt.Errorf("import stopped at %s after %s: %w", plain.Name(c.Name), plain.Count(added, "user"), err)
		}
		if r.Added {
			added++
		} else {
			left++
		}
		if err := o.report(cmd, r); err != nil {
			return err
		}
	}
	if len(passed) > 0 {
		names := make([]string, 0, len(passed))
		for _, n := range passed {
			names = append(names, plain.Name(n))
		}
		fmt.Fprintf(os.Stderr, "Nothing to import is in: %s.\n", strings.Join(names, ", "))
	}
	verb := "imported"
	if o.dry {
		verb = "would be imported"
	}
	fmt.Fprintf(os.Stderr, "%s %s, %d not.\n", plain.Count(added, "user"), verb, left)
	if added > 0 && !o.dry {
		fmt.Fprintln(os.Stderr, "note: codes from before don't count again, so whose authenticator was taken over gets in from a minute on.")
	}
	if left > 0 {
		return fmt.Errorf("%s could not be taken over", plain.Count(left, "user"))
	}
	return nil
}

// report prints what became of one user.
func (o *importOptions) report(cmd *cobra.Command, r identity.ImportResult) error {
	if asJSON(cmd) {
		return printJSON(cmd, r)
	}
	word := "not added"
	switch {
	case r.Added && o.dry:
		word = "would be added"
	case r.Added:
		word = "added"
	}
	name := r.Name
	if policy.ValidUser(name) != nil {
		name = plain.Said(name) // a folder's, which may hold anything
	}
	fmt.Printf("%s: %s\n", name, word)
	for _, n := range r.Notes {
		fmt.Printf("  %s\n", strings.TrimPrefix(n, "not added: "))
	}
	return nil
}
