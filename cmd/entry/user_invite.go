//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/site"
	"entry/configs"
)

func inviteCmd() *cobra.Command {
	var lab, guideDir string
	var revoke bool
	m := many{Secrets: site.Secrets{Invite: true}}
	cmd := &cobra.Command{
		Use:   "invite USER",
		Short: "Invite a user: a passphrase in two halves, and a personal guide",
		Long: `Invite a user whom the policy makes a member of a lab; --lab says of which. The
policy isn't changed.

Printed once: a temporary passphrase in two halves. Send each over a channel of
its own, such as mail and Signal; the user types them as one, the first half
first. Whoever has one half has nothing.

The guide is a page (and the same as plain text) with the user's one command,
their client's files and the fingerprints, and no secret. It goes to --guide DIR,
or to guides.directory of the configuration under a name that can't be guessed,
for a web server to serve.

Run it again to make a new invitation in place of the old one, as long as the
user hasn't logged in. --revoke takes it back.
` + manyHelp + `

--renew makes new invitations for all who haven't logged in yet, or for those of
them in --from FILE; with --expired for those whose invitation is no longer good.`,
		Example: "  entry user invite alice --lab tinker\n  entry user invite --from course.csv --out course\n  entry user invite --renew --expired --out again\n  entry user invite alice --lab tinker --guide .\n  entry user invite alice --revoke",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all, err := m.wanted(cmd, args); err != nil {
				return err
			} else if all && (revoke || lab != "") {
				return failf(exitUsage, "--lab and --revoke are for one user; the file has a column lab")
			} else if all {
				m.Guides = guideDir
				return withOperator(cmd, func(cfg *configs.Config, o *operator) error { return m.run(cmd, cfg, o) })
			}
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			if revoke && (lab != "" || guideDir != "") {
				return failf(exitUsage, "--revoke takes the invitation back as a whole: leave --lab and --guide out")
			}
			return withOperator(cmd, func(cfg *configs.Config, o *operator) error {
				if revoke {
					if err := o.call(cmd.Context(), http.MethodDelete, path+"/invite", nil, nil); err != nil {
						return err
					}
					return saysDone(site.WithdrawGuide(cfg.Guides.Directory, args[0]), args[0], "the invitation is taken back, and the account disabled")
				}
				return invite(cmd, cfg, o, path, args[0], lab, guideDir)
			})
		},
	}
	m.flags(cmd)
	cmd.Flags().BoolVar(&m.renew, "renew", false, "make new invitations for all who haven't logged in yet")
	cmd.Flags().BoolVar(&m.lapsed, "expired", false, "with --renew: only in place of those that are no longer good")
	cmd.Flags().StringVar(&lab, "lab", "", "the `LAB` that the user has to be a member of")
	cmd.Flags().StringVar(&guideDir, "guide", "", "write the guide to `DIR`")
	cmd.Flags().BoolVar(&revoke, "revoke", false, "take the invitation back; the account is disabled")
	return cmd
}

// invited is what an invitation prints as JSON.
type invited struct {
	admin.Invitation
	Guides []string `json:"guides"`
}

// invite makes the guide first: what can't be written is known before the halves
// are shown, which are shown only once.
func invite(cmd *cobra.Command, cfg *configs.Config, o *operator, path, user, lab, guideDir string) error {
	var u identity.UserInfo // of nobody, where the invitation makes the account
	var none *exitError
	if err := o.call(cmd.Context(), http.MethodGet, path, nil, &u); err != nil && !(errors.As(err, &none) && none.code == exitNotFound) {
		return err
	}
	u.Name = user
	pages, err := site.Guide(cfg, u)
	if err != nil {
		return err
	}
	var in admin.Invitation
	if err := o.call(cmd.Context(), http.MethodPost, path+"/invite", map[string]string{"lab": lab}, &in); err != nil {
		return err
	}
	files, failed := putGuide(cfg, user, guideDir, pages)
	if asJSON(cmd) {
		return errors.Join(printJSON(cmd, invited{in, files}), failed)
	}
	fmt.Printf("first half, by mail:     %s\nsecond half, by Signal:  %s\n", in.First, in.Second)
	for _, f := range files {
		fmt.Printf("guide:                   %s\n", f)
	}
	fmt.Fprintf(os.Stderr, `These are the halves of %[1]s's temporary passphrase, shown only now and good
until %[2]s. Send each over its own channel; %[1]s types both as one, the
first half first. The guide holds no secret and may go with either.
`, in.User, plain.Moment(in.Until))
	return failed
}

// putGuide writes the guide to dir, or in place of the user's older one to the
// configuration's folder, and returns its files. Without either there is nothing
// to do.
func putGuide(cfg *configs.Config, user, dir string, pages *site.Pages) (files []string, err error) {
	switch {
	case dir != "":
		files, err = pages.Put(dir, user)
	case cfg.Guides.Directory != "":
		files, err = pages.Publish(cfg.Guides.Directory, user)
	default:
		files = []string{} // never null in JSON
	}
	if err != nil {
		err = hinted(fmt.Errorf("the invitation stands, but its guide can't be written: %w", err),
			"give another folder: entry user invite "+user+" --guide DIR makes a new invitation")
	}
	return files, err
}
