//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
)

// bySMS tells whether the user's codes go by SMS: whoever has an authenticator has
// moved to it.
func bySMS(u identity.UserInfo) bool { return u.CodeBySMS && len(u.Authenticators) == 0 }

func listTexted(users []identity.UserInfo) error {
	w := plain.NewTable(os.Stdout)
	w.Row("USER", "NUMBER", "UNTIL", "LAST LOGIN")
	for _, u := range users {
		w.Row(u.Name, u.Phone, plain.Minute(u.SMSUntil), plain.Minute(u.LastLogin))
	}
	return w.Flush()
}

func userLsCmd() *cobra.Command {
	waiting, texted := false, false
	cmd := &cobra.Command{Use: "ls", Short: "List users", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				var users []identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, "/v1/users", nil, &users); err != nil {
					return err
				}
				if waiting {
					users = slices.DeleteFunc(users, func(u identity.UserInfo) bool { return !pending(u) })
				}
				if texted {
					users = slices.DeleteFunc(users, func(u identity.UserInfo) bool { return !bySMS(u) })
				}
				if asJSON(cmd) {
					return eachJSON(users)
				}
				if texted {
					return listTexted(users)
				}
				w := plain.NewTable(os.Stdout)
				w.Row("USER", "STATE", "AUTHENTICATORS", "KEYS", "LAST LOGIN", "ENDS", "REALM")
				for _, u := range users {
					w.Row(u.Name, userState(u), devices(u), fmt.Sprint(len(u.Keys)), plain.Minute(u.LastLogin), plain.Minute(u.Ends), orNone(realmOf(u)))
				}
				return w.Flush()
			})
		}}
	cmd.Flags().BoolVar(&waiting, "pending", false, "only those who have yet to log in for the first time")
	cmd.Flags().BoolVar(&texted, "sms", false, "only those whose codes go by SMS: to which number, and until when")
	return cmd
}

func userShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show USER", Short: "Show one user, locks and failed logins, and what they wait for",
		Long: `Show one user, their locks and failed logins, and what they wait for. Failures and
locks of an address are known to the server that saw them alone: where several have
one database, ask at each (--config). What counts by account or key is the same at all.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withAnswers(cmd, func(cfg *configs.Config, o *operator) error {
				var u identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, path, nil, &u); err != nil {
					return err
				}
				var f admin.Failures
				if err := o.call(cmd.Context(), http.MethodGet, path+"/failures", nil, &f); err != nil {
					return err
				}
				if asJSON(cmd) {
					return json.NewEncoder(os.Stdout).Encode(struct {
						identity.UserInfo
						admin.Failures
					}{u, f})
				}
				fmt.Printf("user            %s\nstate           %s\ncreated         %s\nlast login      %s\n", u.Name, userState(u), plain.Minute(u.Created), plain.Minute(u.LastLogin))
				for _, a := range u.Authenticators {
					fmt.Printf("authenticator   %q, since %s\n", a.Name, plain.Minute(a.Created))
				}
				for _, k := range u.Keys {
					fmt.Printf("key             %s %q%s\n", k.Fingerprint, k.Comment, suspension(k))
				}
				if u.WrongCodes > 0 {
					fmt.Printf("wrong codes     %d behind the right passphrase, in 30 days%s\n", u.WrongCodes, codesLock(u))
					fmt.Printf("                %s\n", somebodyHasIt(u))
				}
				if u.WrongInside > 0 {
					fmt.Printf("codes inside    %s inside open connections, in 30 days%s\n", plain.Count(u.WrongInside, "wrong code"), insideLock(u))
				}
				if u.WrongRecovery > 0 {
					fmt.Printf("before recovery %s\n", beforeRecovery(u))
				}
				if u.WrongUnseen > 0 {
					fmt.Printf("unseen codes    %s\n", unseenCodes(u))
				}
				if u.Failures > 0 {
					fmt.Printf("failures        %s behind a right code\n", plain.Count(u.Failures, "wrong passphrase"))
				}
				printFailures(f)
				fmt.Printf("recovery codes  %d left\n", u.RecoveryLeft)
				if u.Phone != "" {
					fmt.Printf("phone           %s, %s\n", u.Phone, phoneUse(u))
				}
				if u.Realm != "" {
					fmt.Printf("passphrase      judged by the directory %s\n", u.Realm)
				}
				showDates(u)
				if p, err := policy.Load(cfg.Policy); err == nil {
					fmt.Printf("labs            %s\n", orNone(p.LabsOf(u.Name)))
				}
				return nil
			})
		}}
}

// suspension says since when a key opens nothing.
func suspension(k identity.Key) string {
	if k.Suspended.IsZero() {
		return ""
	}
	return ", suspended " + plain.Minute(k.Suspended) + " after wrong codes; its owner can enable it, by another factor"
}

// somebodyHasIt says what wrong codes behind the right passphrase mean.
func somebodyHasIt(u identity.UserInfo) string {
	return fmt.Sprintf("the first on %s, beyond five a day from where %s logs in, or from elsewhere: unless it was mistyping, somebody has the passphrase; ssh entry passwd there, or entry user reset --keep-authenticators, makes another", plain.Minute(u.WrongSince), u.Name)
}

// beforeRecovery says what wrong passphrases with right recovery codes mean.
func beforeRecovery(u identity.UserInfo) string {
	return fmt.Sprintf("%s with right recovery codes, in 30 days: unless it was mistyping, somebody has the list, and %s needs another, by ssh entry recovery", plain.Count(u.WrongRecovery, "wrong passphrase"), u.Name)
}

// unseenCodes says what is known of wrong codes that nobody could place.
func unseenCodes(u identity.UserInfo) string {
	also := ""
	if u.WrongCodes > 0 {
		also = " more"
	}
	return plain.Count(u.WrongUnseen, "wrong code") + also + ", in 30 days, that came while the server was too busy to tell what passphrase they were behind"
}

// insideLock says until when codes that are asked inside connections open nothing.
func insideLock(u identity.UserInfo) string {
	if u.InsideLockUntil.IsZero() {
		return ""
	}
	return "; until " + plain.Minute(u.InsideLockUntil) + " none opens anything there, unless a key opened the connection"
}

// codesLock says until when the passphrase opens nothing from an unknown network.
func codesLock(u identity.UserInfo) string {
	if u.CodesLockUntil.IsZero() {
		return ""
	}
	return "; from networks without a login before it opens nothing until " + plain.Minute(u.CodesLockUntil) + " (entry user unlock ends that)"
}

// devices is how many authenticators there are, or that codes go by SMS.
func devices(u identity.UserInfo) string {
	if u.CodeBySMS && len(u.Authenticators) == 0 {
		return "SMS"
	}
	return fmt.Sprint(len(u.Authenticators))
}

func realmOf(u identity.UserInfo) []string {
	if u.Realm == "" {
		return nil
	}
	return []string{u.Realm}
}

// phoneUse says whether codes go to the user's number.
func phoneUse(u identity.UserInfo) string {
	if u.CodeBySMS && len(u.Authenticators) == 0 {
		if !u.SMSUntil.IsZero() {
			return "where codes go by SMS until " + plain.Minute(u.SMSUntil)
		}
		return "where codes go by SMS"
	}
	return "not used: codes come from an authenticator"
}

// showDates prints what is known of an account's future.
func showDates(u identity.UserInfo) {
	line := func(name string, t time.Time) {
		if !t.IsZero() {
			fmt.Printf("%-15s %s\n", name, plain.Minute(t))
		}
	}
	line("passphrase set", u.PassphraseSet)
	line("terms accepted", u.TermsAccepted)
	if u.TermsWait {
		fmt.Println("terms           asked for at the next login")
	}
	line("ends", u.Ends)
	line("expires unused", u.InactiveAfter)
	if p := u.PendingReset; p != nil {
		fmt.Printf("reset           asked for by %s on %s; entry user confirm %s carries it out\n", actorName(p.By), plain.Minute(p.Asked), u.Name)
	}
}

// actorName is an operator's account.
func actorName(a audit.Actor) string {
	if a.Name != "" {
		return a.Name
	}
	return fmt.Sprintf("uid %d", a.UID)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// userState is the one word that an operator looks for.
func userState(u identity.UserInfo) string {
	now := time.Now()
	switch {
	case u.Disabled:
		return "disabled"
	case !u.Ends.IsZero() && !now.Before(u.Ends):
		return "ended on " + plain.Minute(u.Ends)
	case !u.InactiveAfter.IsZero() && !now.Before(u.InactiveAfter):
		return "expired unused on " + plain.Minute(u.InactiveAfter)
	case u.LockedUntil.After(now):
		return "locked until " + plain.Minute(u.LockedUntil)
	case u.PendingReset != nil:
		return "reset waits for a second operator"
	case u.MustChange && u.TemporaryExpires.IsZero():
		return "has to change the passphrase at the next login"
	case u.TemporaryExpires.IsZero() && u.PassphraseSet.IsZero() && u.Realm == "":
		return "no passphrase: entry user reset gives one"
	case u.TemporaryExpires.IsZero():
		return "active"
	case u.TemporaryExpires.Before(now):
		return "temporary passphrase expired on " + plain.Minute(u.TemporaryExpires)
	}
	return "temporary passphrase until " + plain.Minute(u.TemporaryExpires)
}
