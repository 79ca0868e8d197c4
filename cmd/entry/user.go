package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"entry/bastion"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
)

func userCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add, list and change users",
		Long: `Users are accounts at entry: a passphrase and an authenticator. What they may
reach is in the policy files, not here.

Changes go to the running server, which writes them to the audit log with your
account; with no server running, this program writes them itself.`,
		Example: `  entry user add alice
  entry user ls
  entry user reset alice`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().Bool("json", false, "one JSON object a line")
	cmd.AddCommand(
		issueCmd("add USER", "Add a user and print the temporary passphrase", ""),
		issueCmd("reset USER", "Give a user a new temporary passphrase; passphrase and authenticators are removed", "/reset"),
		changeCmd("disable USER", "Disable a user and end what they have open", http.MethodPost, "/disable"),
		changeCmd("enable USER", "Enable a disabled user", http.MethodPost, "/enable"),
		changeCmd("rm USER", "Remove a user; their recordings and events stay", http.MethodDelete, ""),
		userLsCmd(), userShowCmd(), userKeyCmd(),
	)
	return cmd
}

// withOperator runs f with the running server, or in its place.
func withOperator(cmd *cobra.Command, f func(cfg *configs.Config, o *operator) error) (err error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	o, err := openOperator(cfg)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := o.Close(); err == nil {
			err = cerr
		}
	}()
	return f(cfg, o)
}

func userPath(name string) (string, error) {
	if err := policy.ValidUser(name); err != nil {
		return "", &exitError{code: exitUsage, err: err}
	}
	return "/v1/users/" + url.PathEscape(name), nil
}

func issueCmd(use, short, suffix string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, o *operator) error {
				var in bastion.Issued
				if err := o.call(cmd.Context(), http.MethodPost, path+suffix, nil, &in); err != nil {
					return err
				}
				if asJSON(cmd) {
					return json.NewEncoder(os.Stdout).Encode(in)
				}
				fmt.Println(in.Passphrase)
				fmt.Fprintf(os.Stderr, "The line above is %s's temporary passphrase, good until %s. It is shown this once.\nAt the first login %s sets a passphrase and enrols an authenticator.\n",
					in.User, in.Until.Local().Format("2006-01-02 15:04"), in.User)
				if suffix == "" {
					warnWithoutLab(cfg, in.User)
				}
				return nil
			})
		}}
}

// warnWithoutLab says when policy leads a new user nowhere.
func warnWithoutLab(cfg *configs.Config, user string) {
	p, err := policy.Load(cfg.Policy)
	if err == nil && len(p.LabsOf(user)) == 0 {
		fmt.Fprintf(os.Stderr, "Note: no lab in %s has %s as a member yet, so a login leads nowhere.\n", cfg.Policy, user)
	}
}

func changeCmd(use, short, method, suffix string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), method, path+suffix, nil, nil)
			})
		}}
}

func userKeyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Add or remove a user's public keys", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		&cobra.Command{Use: "add USER FILE", Short: "Add the public key in FILE as a first factor; the code is still asked", Args: usageArgs(cobra.ExactArgs(2)),
			RunE: func(cmd *cobra.Command, args []string) error {
				path, err := userPath(args[0])
				if err != nil {
					return err
				}
				line, err := readKeyText(args[1])
				if err != nil {
					return &exitError{code: exitUsage, err: err}
				}
				return withOperator(cmd, func(_ *configs.Config, o *operator) error {
					var out struct {
						Fingerprint string `json:"fingerprint"`
					}
					if err := o.call(cmd.Context(), http.MethodPost, path+"/keys", map[string]string{"key": line}, &out); err != nil {
						return err
					}
					fmt.Println(out.Fingerprint)
					return nil
				})
			}},
		&cobra.Command{Use: "rm USER FINGERPRINT", Short: "Remove a public key", Args: usageArgs(cobra.ExactArgs(2)),
			RunE: func(cmd *cobra.Command, args []string) error {
				path, err := userPath(args[0])
				if err != nil {
					return err
				}
				return withOperator(cmd, func(_ *configs.Config, o *operator) error {
					return o.call(cmd.Context(), http.MethodDelete, path+"/keys/"+url.PathEscape(args[1]), nil, nil)
				})
			}},
	)
	return cmd
}

func userLsCmd() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List users", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				var users []identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, "/v1/users", nil, &users); err != nil {
					return err
				}
				if asJSON(cmd) {
					return eachJSON(users)
				}
				w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "USER\tSTATE\tAUTHENTICATORS\tKEYS\tLAST LOGIN")
				for _, u := range users {
					fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", u.Name, userState(u), len(u.Authenticators), len(u.Keys), when(u.LastLogin))
				}
				return w.Flush()
			})
		}}
}

func userShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show USER", Short: "Show one user", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, o *operator) error {
				var u identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, path, nil, &u); err != nil {
					return err
				}
				if asJSON(cmd) {
					return json.NewEncoder(os.Stdout).Encode(u)
				}
				fmt.Printf("user            %s\nstate           %s\nlast login      %s\n", u.Name, userState(u), when(u.LastLogin))
				for _, a := range u.Authenticators {
					fmt.Printf("authenticator   %q, since %s\n", a.Name, when(a.Created))
				}
				for _, k := range u.Keys {
					fmt.Printf("key             %s %q\n", k.Fingerprint, k.Comment)
				}
				fmt.Printf("recovery codes  %d left\n", u.RecoveryLeft)
				if p, err := policy.Load(cfg.Policy); err == nil {
					fmt.Printf("labs            %s\n", strings.Join(p.LabsOf(u.Name), ", "))
				}
				return nil
			})
		}}
}

// userState is the one word that an operator looks for.
func userState(u identity.UserInfo) string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.LockedUntil.After(time.Now()):
		return "locked until " + when(u.LockedUntil)
	case u.TemporaryExpires.IsZero():
		return "active"
	case u.TemporaryExpires.Before(time.Now()):
		return "temporary passphrase expired"
	}
	return "invited until " + when(u.TemporaryExpires)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func asJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// eachJSON prints NDJSON.
func eachJSON[T any](all []T) error {
	enc := json.NewEncoder(os.Stdout)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
