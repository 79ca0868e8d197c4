//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
	"entry/policy/pubkey"
)

func userCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add, list and change users",
		Long: `Users are accounts at entry: a passphrase and an authenticator. What they may
reach is in the policy files, not here.

Run these as root or as the account of the server. Changes go to the running
server, which writes them to the audit log with your name. With no server
running, this program writes them itself: then run it as the server's account,
or the server can't open the files that it leaves.

Times are UTC.`,
		Example: `  entry user invite alice --lab tinker
  entry user invite --from course.csv --out course
  entry user ls
  entry user reset alice             lost the passphrase or the device
  entry user unlock alice            locked out after failed logins
  entry user end alice 2027-06-30    leaves on that day
  entry user disable alice           has left`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().Bool("json", false, "one JSON object a line")
	cmd.AddCommand(
		addCmd(),
		inviteCmd(), importCmd(),
		resetCmd(), confirmCmd(),
		disableCmd(),
		enableCmd(), unlockCmd(),
		changeCmd("rm USER", "Remove a user, end what they have open; recordings and events stay", http.MethodDelete, "", "removed; recordings and events stay"),
		changeCmd("reset-step USER", "Accept codes again after this machine's clock was ahead", http.MethodPost, "/reset-step", "codes are accepted again"),
		endCmd(), phoneCmd(), realmCmd(),
		userLsCmd(), userShowCmd(), userKeyCmd(),
	)
	others := map[string][]string{ // what other programs call it
		"rm": {"delete", "delet", "del", "remove", "userdel"}, "end": {"expire", "expiry", "until"}, "disable": {"lock", "block", "suspend"},
		"enable": {"activate"}, "add": {"create", "new", "useradd"}, "reset": {"passwd", "password"}, "show": {"info", "get"}, "ls": {"list"},
	}
	for _, verb := range cmd.Commands() {
		verb.SuggestFor = others[verb.Name()]
	}
	return cmd
}

func userPath(name string) (string, error) {
	if err := policy.ValidUser(name); err != nil {
		return "", &exitError{code: exitUsage, err: err}
	}
	return "/v1/users/" + url.PathEscape(name), nil
}

func addCmd() *cobra.Command {
	var m many
	cmd := &cobra.Command{Use: "add USER", Short: "Add a user and print a temporary passphrase, or add many",
		Long: `Add a user and print a temporary passphrase: alone on standard output, and with
what to do with it on standard error. Give it to the user over a way that others
can't read. At the first login the user chooses a passphrase and enrols an
authenticator.
` + manyHelp,
		Example: "  entry user add alice\n  entry user add --from course.csv --out course", Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all, err := m.wanted(cmd, args); err != nil {
				return err
			} else if all {
				return withOperator(cmd, func(cfg *configs.Config, o *operator) error { return m.run(cmd, cfg, o) })
			}
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, o *operator) error {
				user, err := issue(cmd, o, path, nil)
				if err == nil && !asJSON(cmd) {
					sayFirstLogin(user)
					warnWithoutLab(cfg, user)
				}
				return err
			})
		}}
	m.flags(cmd)
	return cmd
}

// issue has a temporary passphrase made by the operation at path and prints it.
func issue(cmd *cobra.Command, o *operator, path string, in any) (user string, err error) {
	var out admin.Issued
	if err := o.call(cmd.Context(), http.MethodPost, path, in, &out); err != nil {
		return "", err
	}
	if asJSON(cmd) {
		return out.User, printJSON(cmd, out)
	}
	fmt.Println(out.Passphrase)
	fmt.Fprintf(os.Stderr, "This is %s's temporary passphrase, shown only now and good until %s.\n", out.User, plain.Moment(out.Until))
	return out.User, nil
}

func sayFirstLogin(user string) {
	fmt.Fprintf(os.Stderr, "At the first login %s chooses a passphrase and enrols an authenticator.\n", user)
}

// warnWithoutLab says when policy leads a new user nowhere.
func warnWithoutLab(cfg *configs.Config, user string) {
	p, err := policy.Load(cfg.Policy)
	if err == nil && len(p.LabsOf(user)) == 0 {
		fmt.Fprintf(os.Stderr, "warning: %s is in no lab, so a login leads nowhere: add them to a lab's members in %s\n", user, cfg.Policy)
	}
}

// changeCmd is a verb that changes USER, and says done to whom it is for.
func changeCmd(use, short, method, suffix, done string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return saysDone(o.call(cmd.Context(), method, path+suffix, nil, nil), args[0], done)
			})
		}}
}

func disableCmd() *cobra.Command {
	return &cobra.Command{Use: "disable USER", Short: "Refuse a user from now on and end what they have open", Args: usageArgs(cobra.ExactArgs(1)),
		Long: `Refuse a user from now on and end what they have open, at every server on the
database. Where that can't be noted, because the database or the log can't be
written, it fails and nothing has changed: then end what the user has open by entry
sessions kill, or stop the server, and disable them once that is mended.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				done := "disabled; what they had open has ended"
				var before identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, path, nil, &before); err == nil && before.Disabled {
					done = "was disabled already"
				}
				err := o.call(cmd.Context(), http.MethodPost, path+"/disable", nil, nil)
				if err != nil && exitCode(err) == exitFailure {
					return hinted(err, args[0]+" isn't disabled; until that is mended, end what they have open by entry sessions kill, or stop the server")
				}
				return saysDone(err, args[0], done)
			})
		}}
}

func userKeyAddCmd() *cobra.Command {
	shared, reason := false, ""
	cmd := &cobra.Command{Use: "add USER FILE", Short: "Let a public key, FILE, stand for the passphrase, not for the code",
		Long: `Let a public key, FILE, stand for the passphrase; the code is still asked.

A key belongs to one account. One that somebody has logged in with, or signed
with in ssh entry keys add, is refused for every other account; one that nobody
has shown yet goes to whoever shows it first. Where one person has two accounts,
--shared --reason gives the key to this one, too, and is needed for every further
one; entry check lists such keys.`,
		Example: `  entry user key add alice alice.pub
  entry user key add alice-admin alice.pub --shared --reason "alice's other one"`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			if shared != (reason != "") {
				return failf(exitUsage, "--shared and --reason go together: say why two accounts have one key")
			}
			line, err := os.ReadFile(args[1])
			if err != nil {
				return hinted(failf(exitUsage, "read public key: %w", err), "name the file that has it, such as alice.pub")
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				var out admin.AddedKey
				in := map[string]string{"key": strings.TrimSpace(pubkey.UTF8(line)), "shared": reason}
				if err := o.call(cmd.Context(), http.MethodPost, path+"/keys", in, &out); err != nil {
					return err
				}
				fmt.Println(out.Fingerprint)
				if out.Also != "" {
					fmt.Fprintln(os.Stderr, "note:", out.Also)
				}
				return nil
			})
		}}
	cmd.Flags().BoolVar(&shared, "shared", false, "let this account have a key that is another's, too")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log and entry check")
	return cmd
}

// saysDone tells that user was changed, unless err is why not.
func saysDone(err error, user, done string) error {
	if err == nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", user, done)
	}
	return err
}

func userKeyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Add or remove a user's public keys", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		userKeyAddCmd(),
		&cobra.Command{Use: "rm USER FINGERPRINT", Short: "Remove a public key; entry user show lists them", Args: usageArgs(cobra.ExactArgs(2)),
			RunE: func(cmd *cobra.Command, args []string) error {
				path, err := userPath(args[0])
				if err != nil {
					return err
				}
				return withOperator(cmd, func(_ *configs.Config, o *operator) error {
					return saysDone(o.call(cmd.Context(), http.MethodDelete, path+"/keys/"+url.PathEscape(args[1]), nil, nil), args[0], "the key is removed")
				})
			}},
	)
	return cmd
}
