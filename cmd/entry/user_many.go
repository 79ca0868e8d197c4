//go:build linux

package main

import (
	"context"
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
	"entry/bastion/site"
	"entry/configs"
	"entry/policy"
)

// manyHelp is what add and invite have in common.
const manyHelp = `
Many at once: --from FILE reads a CSV file whose first line names the columns,
name and any of lab, phone, realm, end. All are added in one transaction, or
nobody is: then all problems are named at once, those of the file by their lines,
and what doesn't fit policy or configuration by the user. --out DIR gets a file of its own for
each secret, readable by you alone; with --hand-out the program under
notices.command gets each instead, as a line of JSON, and DIR keeps who was
served. After a failure run the same again: who was served stays as they are, and
the others get theirs. Whoever has logged in already is left alone, and so is whose
invitation, from elsewhere, is still good. An account that
is there keeps its end, phone and realm: where the file has others, that is said, and
the exit status is 1.`

// many adds or invites many people.
type many struct {
	site.Secrets
	from          string
	renew, lapsed bool
}

func (m *many) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.from, "from", "", "add everybody in the CSV `FILE`: name,lab,phone,realm,end")
	cmd.Flags().StringVar(&m.Dir, "out", "", "write the secrets into `DIR`, a file for each")
	cmd.Flags().BoolVar(&m.HandOut, "hand-out", false, "give the secrets to notices.command instead")
}

// wanted tells whether more than one user is asked for, in a way that makes sense.
func (m *many) wanted(cmd *cobra.Command, args []string) (bool, error) {
	switch {
	case m.from == "" && !m.renew:
		switch {
		case m.Dir != "" || m.HandOut || m.lapsed:
			return false, failf(exitUsage, "--out, --hand-out and --expired are for many users: give --from FILE, or --renew with user invite")
		}
		return false, usageArgs(cobra.ExactArgs(1))(cmd, args)
	case len(args) != 0:
		return false, failf(exitUsage, "a USER and many of them exclude each other")
	case m.lapsed && !m.renew:
		return false, failf(exitUsage, "--expired says which invitations --renew renews")
	case m.Dir == "":
		return false, failf(exitUsage, "say where the secrets go: --out DIR")
	}
	return true, nil
}

// run adds them and puts their secrets where they belong.
func (m *many) run(cmd *cobra.Command, cfg *configs.Config, o *operator) error {
	ctx := cmd.Context()
	if err := m.Prepare(cfg); err != nil {
		return err
	}
	people, err := m.fromFile(ctx, o)
	if err != nil {
		return err
	}
	var users []identity.UserInfo
	if err := o.call(ctx, http.MethodGet, "/v1/users", nil, &users); err != nil {
		return err
	}
	if m.from == "" {
		if people = admin.Renewable(users, m.lapsed, time.Now()); len(people) == 0 {
			return failf(exitNotFound, "no invitation is to be renewed; entry user ls --pending shows them")
		}
	}
	begun, err := m.Begun(people, users, m.renew)
	if err != nil {
		return err
	}
	req := admin.ManyRequest{Invite: m.Invite, Leave: m.renew && m.from == ""}
	phones := map[string]string{}
	for _, p := range people {
		phones[p.Name] = p.Phone
		p.Renew = m.Renews(p.Name, begun, m.renew && !(m.lapsed && m.from != ""))
		req.People = append(req.People, p)
	}
	undo, err := m.Begin(begun)
	if err != nil {
		return err
	}
	var made []admin.ManyResult
	if err := o.call(ctx, http.MethodPost, "/v1/users", req, &made); err != nil {
		if refused := (*exitError)(nil); errors.As(err, &refused) {
			undo()
		}
		return err
	}
	for _, r := range made {
		if r.Outcome != admin.Left {
			if err := m.Serve(ctx, r, phones[r.User]); err != nil {
				return hinted(fmt.Errorf("%s: the account is made, but %w", r.User, err), "run the same again: it goes on from there")
			}
		}
		if asJSON(cmd) {
			r.First, r.Second, r.Passphrase = "", "", ""
			if err := printJSON(cmd, r); err != nil {
				return err
			}
			continue
		}
		for _, line := range r.Lines() {
			fmt.Println(line)
		}
	}
	sums := admin.SumMany(made)
	if n := m.Elsewhere(made); n > 0 {
		fmt.Fprintf(os.Stderr, "note: %s already and not into %s: those invitations stay good; entry user invite --renew --from FILE makes new ones in their place\n", plain.Count(n, "user")+" invited", m.Dir)
	}
	fmt.Fprintf(os.Stderr, "%s. Secrets are in %s%s.\n", sums, m.Dir, map[bool]string{true: " no more: they were handed out"}[m.HandOut])
	if n := numbers(phones); n > 0 && cfg.SMS == nil && m.from != "" {
		fmt.Fprintf(os.Stderr, "note: %s kept, and no code is sent there: entry.yaml has no gateway (sms)\n", plain.Count(n, "phone number"))
	}
	warnWithoutLabs(cfg, made)
	return sums.Err()
}

// warnWithoutLabs says once whom of those who were added policy leads nowhere.
func warnWithoutLabs(cfg *configs.Config, made []admin.ManyResult) {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return
	}
	if nowhere := admin.AddedNowhere(made, p); len(nowhere) > 0 {
		fmt.Fprintf(os.Stderr, "warning: in no lab, so a login leads nowhere: %s; add them to a lab's members in %s\n", plain.List(nowhere, admin.MostStrays), cfg.Policy)
	}
}

// numbers is how many people have a phone number.
func numbers(phones map[string]string) (n int) {
	for _, number := range phones {
		if number != "" {
			n++
		}
	}
	return n
}

// mostWrong is how many problems are shown.
const mostWrong = 50

// fromFile are those of the file; nobody without one. What is wrong with it comes at once: what the file
// tells, and what only the server knows of those whom it names.
func (m *many) fromFile(ctx context.Context, o *operator) ([]admin.NewPerson, error) {
	if m.from == "" {
		return nil, nil
	}
	all, wrong, err := admin.ReadPeople(m.from, time.Now())
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	if len(wrong) == 0 {
		return all, nil
	}
	if more := len(wrong) - mostWrong; more > 0 {
		wrong = append(wrong[:mostWrong], fmt.Sprintf("and %d more", more))
	}
	said := "nobody was added:\n" + strings.Join(wrong, "\n")
	var refused *exitError
	switch err := o.call(ctx, http.MethodPost, "/v1/users", admin.ManyRequest{People: all, Invite: m.Invite, Check: true}, nil); {
	case errors.As(err, &refused):
		said += "\n" + strings.TrimPrefix(refused.Error(), "nobody was added:\n")
	case err != nil:
		said += "\nwhat policy and configuration say to the others could not be asked: " + err.Error()
	}
	return nil, failf(exitUsage, "%s", said)
}
