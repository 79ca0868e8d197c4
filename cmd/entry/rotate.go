//go:build linux

package main

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/configs"
)

func keysCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Change the server's keys"}
	cmd.AddCommand(keysRotateCmd())
	return cmd
}

func keysRotateCmd() *cobra.Command {
	var how admin.RotateHow
	var status, finish, abort bool
	var next string
	cmd := &cobra.Command{
		Use:   "rotate " + strings.Join(admin.Rotatable, "|"),
		Short: "Change a key, with an overlap in which both are good",
		Long: `Change a key of the server's in two steps, so that nobody is locked out between
them. The first makes the next key beside the present one, and says who has to
know it; --status says who doesn't yet; --finish puts it in the place of the
present one, which is gone then; --abort takes it away again. A running server
needs no restart and no reload; without one the verb works as well. Each step is
an event with who did it, and one that was cut off is finished by the same again,
or by the next start. entry check says of what isn't finished, and since when.

audit    The key that signs the audit log. From --finish on the log is signed by
         the next one: a record that both sign says so, and entry audit verify
         and entry verify-bundle follow it from whichever of the keys they are
         given. Witnesses have to know the next one before: they are asked. Have
         their operators take the one before out afterwards.
host-ca  The CA by which clients know this server and its targets. From the
         first step on users are given both lines for known_hosts; --finish is
         refused for a month. The host keys stay: who pins those sees nothing.
secret   By which the database's seeds of authenticators are sealed. --finish
         seals all of them by the next one, in one transaction. The one before
         stays beside it (.old), for recovery codes that aren't used yet and for
         what it has hashed in the log: audit search finds by all of them.
user-ca  The CA whose certificates targets take. From the first step on, each
         session offers the target a certificate by the next one, and where that
         isn't taken one by the present one, which costs one of its sshd's
         MaxAuthTries. Which one each target took is noted, so that --finish
         names those that would be closed.

Where a key is in an ssh-agent, make the next one there, and name its public
half with --next FILE.pub.`,
		Example: `  entry keys rotate user-ca --reason "yearly"
  entry keys rotate user-ca --status
  entry keys rotate user-ca --finish`,
		Args:      usageArgs(cobra.ExactArgs(1)),
		ValidArgs: admin.Rotatable,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			what := args[0]
			if !slices.Contains(admin.Rotatable, what) {
				return failf(exitUsage, "%s is no key of the server's that can be changed so: %s", plain.Quote(what), strings.Join(admin.Rotatable, ", "))
			}
			if how.Force && !finish || next != "" && (status || finish || abort) {
				return failf(exitUsage, "--force goes with --finish, and --next with the first step")
			}
			if how.Force && how.Reason == "" {
				return failf(exitUsage, "say why with --reason TEXT")
			}
			if next != "" {
				line, err := configs.ReadFile(next, 64<<10)
				if err != nil {
					return &exitError{code: exitUsage, err: err}
				}
				how.Next = strings.TrimSpace(string(line))
			}
			path := "/v1/keys/" + url.PathEscape(what)
			var r admin.Rotation
			say := admin.Rotation.Text
			if status {
				err = withAnswers(cmd, func(_ *configs.Config, o *operator) error {
					return o.call(cmd.Context(), http.MethodGet, path, nil, &r)
				})
			} else {
				step := "begin"
				switch {
				case finish:
					step = "finish"
				case abort:
					step = "abort"
				default:
					say = admin.Rotation.TodoText
				}
				err = withOperator(cmd, func(_ *configs.Config, o *operator) error {
					return o.call(cmd.Context(), http.MethodPost, path+"/"+step, how, &r)
				})
			}
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return plain.JSON(cmd.OutOrStdout()).Encode(r)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), say(r))
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&status, "status", false, "say how it stands, and change nothing")
	f.BoolVar(&finish, "finish", false, "put the next key in the place of the present one")
	f.BoolVar(&abort, "abort", false, "take the next key away again")
	f.BoolVar(&how.Force, "force", false, "with --finish: whoever doesn't know the next key yet")
	f.StringVar(&how.Reason, "reason", "", "why, for the log: one line (`TEXT`)")
	f.StringVar(&next, "next", "", "`FILE` with the public half of the next key, of one that an agent holds")
	f.Bool("json", false, "one JSON object")
	cmd.MarkFlagsMutuallyExclusive("status", "finish", "abort")
	return cmd
}
