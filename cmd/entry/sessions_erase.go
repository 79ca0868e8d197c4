//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/configs"
)

func sessionsEraseCmd() *cobra.Command {
	var e eraseFlags
	cmd := &cobra.Command{
		Use:   "erase SESSION|--user NAME|--lab NAME --reason TEXT",
		Short: "Remove recordings for good, before their lab's retention is over",
		Long: `Remove a recorded session, or all those of a user or a lab that began until now, for
good: its sealed key first, without which no copy of the recording can be opened, then
the rest. What is to go is counted, and you are asked; --yes doesn't.

What a hold keeps, what still runs, and what is younger than recording.keep_at_least
stays, and so does what isn't what the audit log knows. The order stands for 30 days: what
of it may be removed by then is, within an hour. Each server keeps to its own log: on
others on the database somebody confirms the order there (--confirm ORDER). Copies elsewhere, in backups, are for you to remove, the
key files first; audit verify names a recording that is put back with its key.

Where operators.erase_needs_two is set, nothing happens until a second operator, with an
account and a login of their own, runs it with --confirm ORDER within 7 days; this then ends
with exit code 3. entry sessions erasures lists the orders; --withdraw ORDER takes one
back, as far as it wasn't carried out.

The audit log keeps that the sessions were, who erased what of them, when, and why, and
audit verify holds that against the log. It keeps names and addresses, too: the log isn't
erased.`,
		Example: `  entry sessions erase 01JQ8Z3M6W --reason "request 2026-44"
  entry sessions erase --user alice --reason "request 2026-44"
  entry sessions erase --confirm k7q2mxab`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch given := len(args) > 0 || e.about.User+e.about.Lab != ""; {
			case e.confirm != "" && (given || e.withdraw != "" || e.reason != ""), e.withdraw != "" && (given || e.reason != ""):
				return failf(exitUsage, "--confirm and --withdraw take the ID of an order, with --yes at most: what it is of, and why, is in the order")
			case e.confirm != "":
				return withOperator(cmd, func(_ *configs.Config, o *operator) error { return e.second(cmd, o) })
			case e.withdraw != "":
				return withOperator(cmd, func(_ *configs.Config, o *operator) error { return e.takeBack(cmd, o) })
			}
			return e.order(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.about.User, "user", "", "all recordings of this user until now (`NAME`)")
	f.StringVar(&e.about.Lab, "lab", "", "all recordings of this lab until now (`NAME`)")
	f.StringVar(&e.reason, "reason", "", "why, for the log: one line (`TEXT`)")
	f.StringVar(&e.confirm, "confirm", "", "confirm, as the second operator, this `ORDER`")
	f.StringVar(&e.withdraw, "withdraw", "", "take back this `ORDER`")
	f.BoolVar(&e.yes, "yes", false, "don't ask")
	return cmd
}

type eraseFlags struct {
	about                     aboutFlags
	reason, confirm, withdraw string
	yes                       bool
}

// order has an erasure ordered.
func (f *eraseFlags) order(cmd *cobra.Command, args []string) error {
	if strings.TrimSpace(f.reason) == "" {
		return failf(exitUsage, "say why with --reason TEXT")
	}
	e := evidence.Erasure{Order: evidence.Order{User: f.about.User, Lab: f.about.Lab, Reason: f.reason}}
	switch {
	case len(args) == 0 && (e.User == "") == (e.Lab == ""), len(args) == 1 && e.User+e.Lab != "":
		return failf(exitUsage, "name one of a SESSION, --user NAME and --lab NAME")
	case len(args) == 1:
		_, info, err := findRecording(cmd, args[0])
		if err != nil {
			return err
		}
		e.Session = info.ID
	default:
		if err := f.about.check(cmd, nil); err != nil {
			return err
		}
	}
	return withOperator(cmd, func(_ *configs.Config, o *operator) error {
		var would admin.Erasure
		if err := o.call(cmd.Context(), http.MethodPost, "/v1/erasures/preview", e, &would); err != nil {
			return err
		}
		if err := f.sure(cmd, would); err != nil {
			return err
		}
		return erasing(cmd, o, "/v1/erasures", e)
	})
}

// patience is how long an operator sees nothing of an erasure that goes on.
const patience = 5 * time.Second

// erasing has the server carry out an order, and says what became of it. That may take long:
// what is ordered goes on without whoever ordered it.
func erasing(cmd *cobra.Command, o *operator, path string, in any) error {
	const goesOn = "entry sessions erasures shows what is left of it, and --withdraw ORDER ends it"
	t := time.AfterFunc(patience, func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: recordings are being removed; a running server goes on without this, "+goesOn)
	})
	defer t.Stop()
	var done admin.Erasure
	err := o.call(cmd.Context(), http.MethodPost, path, in, &done)
	if errors.Is(err, admin.ErrUnanswered) {
		return hinted(fmt.Errorf("the server's answer didn't come, and the order may stand: %w", err), "what was ordered is carried out all the same; "+goesOn)
	}
	if err != nil {
		return err
	}
	return sayErased(cmd.OutOrStdout(), done)
}

// second confirms an order.
func (f *eraseFlags) second(cmd *cobra.Command, o *operator) error {
	var all []admin.Erasure
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/erasures", nil, &all); err != nil {
		return err
	}
	for _, e := range all {
		if e.ID != strings.ToLower(f.confirm) {
			continue
		}
		where := ""
		if e.Unheard {
			where = ", and maybe withdrawn since, in records of the audit log that aren't here"
		} else if e.Elsewhere {
			where = " at another server, as the database says; nothing here vouches for that"
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Ordered by %s at %s%s: %s\n", plain.Word(e.By.String()), plain.Time(e.At), where, plain.Said(e.Reason))
		if err := f.sure(cmd, e); err != nil {
			return err
		}
	}
	return erasing(cmd, o, erasurePath(f.confirm), nil) // of one that isn't there the server says so
}

func (f *eraseFlags) takeBack(cmd *cobra.Command, o *operator) error {
	var e evidence.Erasure
	if err := o.call(cmd.Context(), http.MethodDelete, erasurePath(f.withdraw), nil, &e); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Withdrawn: erasure %s of %s. What it removed before is gone.\n", e.ID, e.What())
	return err
}

func erasurePath(id string) string { return "/v1/erasures/" + url.PathEscape(strings.ToLower(id)) }

// sure says what would be removed, and asks.
func (f *eraseFlags) sure(cmd *cobra.Command, e admin.Erasure) error {
	for _, line := range e.Would() {
		fmt.Fprintln(cmd.ErrOrStderr(), line)
	}
	if f.yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return hinted(failf(exitDenied, "nothing was erased: there is no terminal to ask on"), "--yes erases what is counted above")
	}
	if ok, err := asked("Erase them? [y/N] "); err != nil || !ok {
		return failf(exitDenied, "nothing was erased")
	}
	return nil
}

// sayErased says what became of an order.
func sayErased(w io.Writer, e admin.Erasure) error {
	if !e.Stood() {
		return hinted(failf(exitDenied, "%s", e.Text()), "somebody else, with an account and a login of their own, runs: entry sessions erase --confirm "+e.ID)
	}
	_, err := fmt.Fprintln(w, e.Text())
	return err
}

func sessionsErasuresCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "erasures",
		Short: "List the orders to erase that wait or stand",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var all []admin.Erasure
			if err := withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), http.MethodGet, "/v1/erasures", nil, &all)
			}); err != nil {
				return err
			}
			if asJSON(cmd) {
				enc := plain.JSON(cmd.OutOrStdout())
				for _, e := range all {
					if err := enc.Encode(e); err != nil {
						return err
					}
				}
				return nil
			}
			w := plain.NewTable(cmd.OutOrStdout())
			w.Row("ORDER", "SINCE", "BY", "ON", "STATE", "UNTIL", "LEFT HERE", "REASON")
			for _, e := range all {
				w.Row(e.ID, plain.Time(e.At), plain.Word(e.By.Person()), e.What(), e.State(), plain.Time(e.Until), fmt.Sprint(e.Erasable.Recordings+e.Erasable.Left()), plain.Said(e.Reason))
			}
			return w.Flush()
		},
	}
	cmd.Flags().Bool("json", false, "one JSON object a line")
	return cmd
}
