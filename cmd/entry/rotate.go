//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
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
			say := tellRotation
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
					say = tellBegun
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
			return say(cmd.OutOrStdout(), r)
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

// calledKey is what a key is called in a sentence.
func calledKey(what string) string {
	switch what {
	case "audit":
		return "the audit log's key"
	case "host-ca":
		return "the host CA"
	case "secret":
		return "the secret"
	}
	return "the user CA"
}

// tellBegun says what to do once the next key is there.
func tellBegun(w io.Writer, r admin.Rotation) error {
	switch r.What {
	case "audit":
		fmt.Fprintf(w, `The next key of the audit log is made; the log is signed by the present one until --finish.
  1. Give the operators of each witness elsewhere this line, to put beside the present
     one (for entry audit witness: into its file logs, then SIGHUP):

%s

  2. entry keys rotate audit --finish
`, r.Next)
	case "host-ca":
		fmt.Fprintf(w, `The next host CA is there. The present one vouches for this server and its targets until
--finish; entry check, guides and the portal's config name both from now on.
  1. Give every user both lines for known_hosts, in the place of the one that they have
     (ssh entry config known_hosts prints them as well):

%s
  2. In a month, or when all have them: entry keys rotate host-ca --finish. Who hasn't is
     asked about a host key then, or refused; nobody sees one that has changed.
`, strings.Join(r.KnownHosts, ""))
		if len(r.Certificates) > 0 {
			fmt.Fprintf(w, "     Before that, have it sign these anew: %s\n", plain.List(r.Certificates, 20))
		}
	case "secret":
		fmt.Fprintf(w, "The next secret is made, and opens what it will seal. Nothing is sealed by it yet.\n")
		if len(r.Servers) > 0 {
			fmt.Fprintf(w, "Copy %s to the same place on each other server of the database, and\nreload it (SIGHUP): %s\n", r.NextPrivate, plain.List(r.Servers, 5))
		}
		fmt.Fprintf(w, "Then: entry keys rotate secret --finish seals all by it.\n")
	default:
		fmt.Fprintf(w, `The next user CA is made. Sessions offer a certificate by it, and where a target doesn't
take that, one by the present CA.
  1. On each target, put both lines into the file of its TrustedUserCAKeys (such as
     /etc/ssh/entry_user_ca.pub), which its sshd reads at each login:

%s
%s

  2. entry keys rotate user-ca --status says which targets take it; each has to be
     logged in to once.
  3. entry keys rotate user-ca --finish, then take the first of the two lines out again.
`, r.Now, r.Next)
	}
	_, err := fmt.Fprintf(w, "Until then --abort takes it back. Back up %s once it is in its place.\n", calledKey(r.What))
	return err
}

// tellRotation says how it stands.
func tellRotation(w io.Writer, r admin.Rotation) error {
	called := calledKey(r.What)
	if r.Begun == nil {
		if r.Finished {
			_, err := fmt.Fprintf(w, "%s is changed; back the new one up. It is now:\n%s\n", capital(called), r.Now)
			if err == nil {
				err = tellBefore(w, r)
			}
			if r.What == "secret" && err == nil {
				_, err = fmt.Fprintln(w, "Beside it, in .old, is the one before: recovery codes that aren't used yet are good by it,\nand audit search finds by it what it has hashed. Back that up, too.")
			}
			return err
		}
		_, err := fmt.Fprintf(w, "No change of %s is under way. It is:\n%s\n", called, r.Now)
		if err == nil {
			err = tellBefore(w, r)
		}
		return err
	}
	fmt.Fprintf(w, "The change of %s was begun at %s.\nnow:  %s\nnext: %s\n", called, plain.Time(*r.Begun), r.Now, r.Next)
	for _, name := range slices.Sorted(maps.Keys(r.Unready)) {
		fmt.Fprintf(w, "the witness %s doesn't take the next one: %s\n", plain.Word(name), plain.Text(r.Unready[name]))
	}
	if len(r.Servers) > 0 {
		fmt.Fprintf(w, "other servers on the database, which need the next one too: %s\n", plain.List(r.Servers, 5))
	}
	if r.Ready != nil {
		fmt.Fprintf(w, "users have both lines for known_hosts by %s:\n%s", plain.Time(*r.Ready), strings.Join(r.KnownHosts, ""))
	}
	if len(r.Certificates) > 0 {
		fmt.Fprintf(w, "host certificates that aren't by the next one yet: %s\n", plain.List(r.Certificates, 20))
	}
	if len(r.Targets) == 0 {
		return nil
	}
	t := plain.NewTable(w)
	t.Row("TARGET", "TAKES", "SINCE", "AT")
	for _, c := range r.Targets {
		at, address := "-", "-"
		if c.At != nil {
			at, address = plain.Time(*c.At), plain.Word(c.Address)
		}
		t.Row(c.Target, map[string]string{admin.TakesNext: "the next CA", admin.TakesNow: "only the present CA", admin.TakesNever: "nobody went there yet"}[c.Takes], at, address)
	}
	return t.Flush()
}

// tellBefore says what to do about a log's key that was changed, so that nobody who has it goes
// on with it.
func tellBefore(w io.Writer, r admin.Rotation) error {
	if r.Before == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, `Before that it was the one below. Take its line out at each witness elsewhere once that has
cosigned by the new one (entry's own does no more by this one from then on, others may), and
where it was stolen, give auditors the new key at once: who knows only this one can't tell.
%s
`, r.Before)
	return err
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
