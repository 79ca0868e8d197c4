package admin

import (
	"errors"
	"slices"

	"entry/bastion/identity"
	"entry/bastion/identity/takeover"
	"entry/policy"
)

// ImportPath is where accounts of another system are handed in.
const ImportPath = "/v1/import"

// TakeOver has an account of another system made by call, the operation at ImportPath,
// unless it has to be left; dry changes nothing. The result has all that is to be said of
// it: of what was found, what the server says, and where the policy p leads it nowhere.
func TakeOver(c takeover.Candidate, dry bool, p *policy.Policy, call func(in ImportRequest, out *[]identity.ImportResult) error) (identity.ImportResult, error) {
	if c.Left != "" {
		return identity.ImportResult{Name: c.Name, Notes: slices.Concat([]string{"not added: " + c.Left}, c.Notes)}, nil
	}
	var out []identity.ImportResult
	if err := call(ImportRequest{Users: []identity.Imported{c.Imported}, DryRun: dry}, &out); err != nil {
		return identity.ImportResult{}, err
	}
	if len(out) != 1 {
		return identity.ImportResult{}, errors.New("the server didn't answer; are program and server of one version?")
	}
	r := out[0]
	r.Notes = slices.Concat(c.Notes, r.Notes)
	if r.Added && len(p.LabsOf(r.Name)) == 0 {
		r.Notes = append(r.Notes, "is in no lab yet, so a login leads nowhere")
	}
	return r, nil
}
