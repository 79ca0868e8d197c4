package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/strict"
)

// userHandlers are what operators do to accounts beyond adding and removing
// them.
func (a *Server) userHandlers(handle func(string, func(*http.Request) (any, error))) {
	handle("POST /v1/users/{name}/invite", a.inviteUser)
	handle("DELETE /v1/users/{name}/invite", a.revokeInvitation)
	handle("POST /v1/users/{name}/reset", a.resetUser)
	handle("POST /v1/users/{name}/confirm", a.confirmReset)
	handle("POST /v1/users/{name}/reset-step", a.change("", a.Auth.ResetStep))
	handle("POST /v1/users/{name}/end", a.endAccount)
	handle("GET /v1/users/{name}/failures", a.failures)
	handle("POST /v1/users/{name}/unlock", a.unlockUser)
	handle("POST /v1/users/{name}/enable", a.enableUser)
	handle("POST /v1/users/{name}/realm", a.setRealm)
	handle("POST /v1/users/{name}/phone", a.setPhone)
	handle("POST "+ImportPath, a.importUsers)
	handle("POST "+manyPath, a.addMany)
}

// Invitation is a temporary passphrase in two halves, for two channels, as the
// operator gets it, once. It is typed as one, First before Second.
type Invitation struct {
	User   string    `json:"user"`
	First  string    `json:"first_half"`
	Second string    `json:"second_half"`
	Until  time.Time `json:"until"`
	Labs   []string  `json:"labs"` // that the policy in force makes the user a member of
}

// inviteUser makes or renews an account that nobody has used, for a member of
// some lab, or of the lab that the request names. It never writes policy.
func (a *Server) inviteUser(r *http.Request) (any, error) {
	name := r.PathValue("name")
	var in struct {
		Lab string `json:"lab"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := policy.ValidUser(name); err != nil {
		return nil, &Error{http.StatusBadRequest, err.Error()}
	}
	labs, err := a.labsOf(name, in.Lab)
	if err != nil {
		return nil, err
	}
	first, second, until, err := a.Auth.Invite(r.Context(), name)
	if errors.Is(err, identity.ErrExists) {
		return nil, &Error{http.StatusConflict, "the user has logged in already; entry user reset makes a new start"}
	}
	if err != nil {
		return nil, said(err)
	}
	a.endUser(name, "invitation-renewed") // the halves of the old one may be in wrong hands
	return Invitation{User: name, First: first, Second: second, Until: until, Labs: labs}, nil
}

// labsOf are the user's labs by the policy in force, lab among them if it is
// named.
func (a *Server) labsOf(user, lab string) ([]string, error) {
	p := a.Policy
	if a.Gate != nil {
		p = a.Gate.Policy()
	}
	if p == nil {
		return nil, errors.New("invite: there is no policy to ask")
	}
	const then = "add them to its members in the policy, then entry check and, if a server runs, a reload"
	labs := p.LabsOf(user)
	if len(labs) == 0 && lab == "" {
		return nil, &Error{http.StatusForbidden, user + " is in no lab, so a login would lead nowhere: " + strings.Replace(then, "its", "a lab's", 1)}
	}
	for _, l := range labs {
		if l == lab {
			return labs, nil
		}
	}
	if lab != "" {
		var known []string
		for _, l := range p.Labs() {
			known = append(known, l.Name)
		}
		if !slices.Contains(known, lab) {
			return nil, &Error{http.StatusNotFound, fmt.Sprintf("%s: the policy has no lab %s%s", user, plain.Quote(plain.Clip(lab, maxPeer)), strict.DidYouMean(lab, known))}
		}
		return nil, &Error{http.StatusForbidden, fmt.Sprintf("%s is not in lab %s: %s", user, plain.Clip(lab, maxPeer), then)}
	}
	return labs, nil
}

// revokeInvitation disables an account that nobody has used yet.
func (a *Server) revokeInvitation(r *http.Request) (any, error) {
	name := r.PathValue("name")
	u, err := a.Auth.User(r.Context(), name)
	switch {
	case err != nil:
		return nil, err
	case u.TemporaryExpires.IsZero() || !u.PassphraseSet.IsZero() || !u.LastLogin.IsZero() || len(u.Authenticators) > 0:
		return nil, &Error{http.StatusConflict, "the user has logged in already, so there is no invitation to revoke; entry user disable takes the access away"}
	}
	return a.change("user-disabled", a.Auth.Disable)(r)
}

// resetUser gives a user a new start, or notes that this operator wants it.
func (a *Server) resetUser(r *http.Request) (any, error) {
	var in struct {
		PassphraseOnly bool `json:"passphrase_only"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	reset := a.Auth.Reset
	if in.PassphraseOnly {
		reset = a.Auth.ResetPassphrase
	}
	v, err := a.issued(r, reset)
	if no := secondOperator(err, r.PathValue("name")); no != nil {
		return nil, no // nothing was taken away, so nothing ends
	}
	a.endUser(r.PathValue("name"), "user-reset")
	return v, err
}

// confirmReset carries out what another operator asked for.
func (a *Server) confirmReset(r *http.Request) (any, error) {
	v, err := a.issued(r, a.Auth.ConfirmReset)
	if no := secondOperator(err, r.PathValue("name")); no != nil {
		return nil, no
	}
	a.endUser(r.PathValue("name"), "user-reset")
	return v, err
}

// secondOperator is the answer to a reset that one operator can't carry out; nil
// for every other outcome.
func secondOperator(err error, name string) error {
	switch {
	case errors.Is(err, identity.ErrNeedsSecond):
		return &Error{http.StatusForbidden, "the reset is noted and waits for a second operator: within 24 hours, somebody else runs entry user confirm " + name}
	case errors.Is(err, identity.ErrSameOperator):
		return &Error{http.StatusForbidden, "a reset needs two operators here, each with an account and a login of their own (sudo from their own SSH session, not a shared one)"}
	case errors.Is(err, identity.ErrNothingPending):
		return &Error{http.StatusNotFound, "no reset waits to be confirmed, or its 24 hours are over; entry user reset asks for one"}
	}
	return nil
}

// endAccount sets or takes away the last moment of an account.
func (a *Server) endAccount(r *http.Request) (any, error) {
	var in struct {
		Ends time.Time `json:"ends,omitzero"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	err := a.Auth.SetEnd(r.Context(), name, in.Ends)
	if a.Gate != nil && !in.Ends.IsZero() && !a.Gate.Now().Before(in.Ends) {
		a.endUser(name, "account-ended")
	}
	return struct{}{}, err
}

// setRealm says who judges the user's passphrase. What the user has open ends: it
// was opened under another one.
func (a *Server) setRealm(r *http.Request) (any, error) {
	var in struct {
		Realm string `json:"realm"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return a.unlessRefused(r, "realm-changed", func(ctx context.Context, name string) error { return a.Auth.SetRealm(ctx, name, in.Realm) })
}

// setPhone says where codes for the user go by SMS; an empty number stops them.
// What the user has open ends: it was opened under another second factor.
func (a *Server) setPhone(r *http.Request) (any, error) {
	var in struct {
		Number string `json:"number"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return a.unlessRefused(r, "phone-changed", func(ctx context.Context, name string) error {
		return a.Auth.SetPhone(ctx, name, in.Number, in.Number != "")
	})
}

// unlessRefused is change for what identity may refuse in words: then nothing
// was changed, and nothing ends.
func (a *Server) unlessRefused(r *http.Request, ends refusal.Code, f func(context.Context, string) error) (any, error) {
	err := f(r.Context(), r.PathValue("name"))
	var refused *identity.Refusal
	if !errors.As(err, &refused) {
		a.endUser(r.PathValue("name"), ends)
	}
	return struct{}{}, said(err)
}

// said makes an answer of what identity refuses in words.
func said(err error) error {
	var refused *identity.Refusal
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Misused:
		return &Error{http.StatusBadRequest, refused.Text}
	case refused.Unknown:
		return &Error{http.StatusNotFound, refused.Text}
	}
	return &Error{http.StatusConflict, refused.Text}
}

// ImportRequest are accounts of another system. With DryRun nothing is changed.
type ImportRequest struct {
	Users  []identity.Imported `json:"users"`
	DryRun bool                `json:"dry_run"`
}

func (a *Server) importUsers(r *http.Request) (any, error) {
	var in ImportRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.DryRun {
		return a.Auth.CheckImport(r.Context(), in.Users)
	}
	return a.Auth.Import(r.Context(), in.Users)
}

// decode reads a request's JSON body; an empty body is an empty object.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	var tooLong *http.MaxBytesError
	switch err := d.Decode(v); {
	case errors.As(err, &tooLong):
		return &Error{http.StatusBadRequest, fmt.Sprintf("the request is longer than %d KiB", tooLong.Limit>>10)}
	case err != nil && r.ContentLength != 0:
		return &Error{http.StatusBadRequest, "the request isn't what this server expects; are program and server of one version?"}
	}
	return nil
}
