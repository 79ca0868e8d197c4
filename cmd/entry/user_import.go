//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

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
  DIR/USER/.google_authenticator     or DIR/USER/google_authenticator
  DIR/USER/.ssh/authorized_keys      or DIR/USER/authorized_keys
--shadow names a file with lines such as /etc/shadow, for all of them. For one
user, --user with the other flags name the files themselves.

Folders without any of these, and accounts of the shadow file without a folder,
are passed over. An account that exists is left alone. Each user is reported in a
line; with --dry-run that is all that happens. The exit code is 1 if somebody
couldn't be taken over.`,
		Example: "  entry user import /mnt/old/home --shadow /mnt/old/etc/shadow --dry-run\n  entry user import --user alice --google-authenticator alice.ga --shadow shadow",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := o.read(args)
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, op *operator) error { return o.run(cmd, cfg, op, users) })
		},
	}
	cmd.Flags().StringVar(&o.user, "user", "", "import this `USER` alone, from the files that other flags name")
	cmd.Flags().StringVar(&o.google, "google-authenticator", "", "the user's .google_authenticator `FILE`")
	cmd.Flags().StringVar(&o.keys, "authorized-keys", "", "the user's authorized_keys `FILE`")
	cmd.Flags().StringVar(&o.shadow, "shadow", "", "`FILE` with lines of /etc/shadow")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "say what would happen, and change nothing")
	return cmd
}

type importOptions struct {
	user, google, keys, shadow string
	dry                        bool
}

// read collects what is to be taken over.
func (o *importOptions) read(args []string) ([]takeover.Candidate, error) {
	from := takeover.Sources{User: o.user, GoogleAuthenticator: o.google, AuthorizedKeys: o.keys, Shadow: o.shadow}
	switch {
	case len(args) == 0 && o.user == "":
		return nil, failf(exitUsage, "name a DIR with a folder for each user, or one --user")
	case len(args) == 1 && (o.user != "" || o.google != "" || o.keys != ""):
		return nil, failf(exitUsage, "a DIR and the files of one user exclude each other")
	case len(args) == 1:
		from.Homes = args[0]
	}
	all, err := takeover.Read(from)
	var input *takeover.InputError
	switch {
	case errors.Is(err, takeover.ErrNothing) && o.user != "":
		return nil, failf(exitUsage, "there is nothing of %s to import: give --google-authenticator, --authorized-keys or a --shadow with a line for them", o.user)
	case errors.Is(err, takeover.ErrNothing):
		return nil, hinted(failf(exitUsage, "%s has no folder with anything to import", from.Homes), "see entry user import --help for what it should look like")
	case errors.As(err, &input):
		return nil, &exitError{code: exitUsage, err: err}
	}
	return all, err
}

// run imports the users one by one and reports each.
func (o *importOptions) run(cmd *cobra.Command, cfg *configs.Config, op *operator, users []takeover.Candidate) error {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	added, left := 0, 0
	for _, c := range users {
		var out []identity.ImportResult
		if err := op.call(cmd.Context(), http.MethodPost, "/v1/import", admin.ImportRequest{Users: []identity.Imported{c.Imported}, DryRun: o.dry}, &out); err != nil {
			return fmt.Errorf("import stopped at %s after %s: %w", c.Name, plain.Count(added, "user"), err)
		}
		for _, r := range out {
			if r.Added {
				added++
			} else {
				left++
			}
			r.Notes = slices.Concat(c.Notes, r.Notes)
			if r.Added && len(p.LabsOf(r.Name)) == 0 {
				r.Notes = append(r.Notes, "is in no lab yet, so a login leads nowhere")
			}
			if err := o.report(cmd, r); err != nil {
				return err
			}
		}
	}
	verb := "imported"
	if o.dry {
		verb = "would be imported"
	}
	fmt.Fprintf(os.Stderr, "%s %s, %d not.\n", plain.Count(added, "user"), verb, left)
	if left > 0 {
		return fmt.Errorf("%s could not be taken over", plain.Count(left, "user"))
	}
	return nil
}

// report prints what became of one user.
func (o *importOptions) report(cmd *cobra.Command, r identity.ImportResult) error {
	if asJSON(cmd) {
		return json.NewEncoder(os.Stdout).Encode(r)
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
		name = plain.Quote(name) // a folder's, which may hold anything
	}
	fmt.Printf("%s: %s\n", name, word)
	for _, n := range r.Notes {
		fmt.Printf("  %s\n", strings.TrimPrefix(n, "not added: "))
	}
	return nil
}
