package admin

import (
	"net/http"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/policy"
)

// maxManyBody bounds a request that makes many accounts: some 10,000 of them.
const maxManyBody = 2 << 20 // bytes

// manyPath is where such a request goes.
const manyPath = "/v1/users"

// mostProblems bounds what one answer says is wrong.
const mostProblems = 50

// NewPerson is somebody who is to have an account.
type NewPerson struct {
	identity.Person
	Lab string `json:"lab,omitempty"` // that the policy has to make them a member of
}

// ManyRequest are accounts to be made in one transaction. With Invite each temporary
// passphrase comes in two halves, and everybody has to be in some lab.
type ManyRequest struct {
	People []NewPerson `json:"people"`
	Invite bool        `json:"invite,omitempty"`
	// Leave leaves those out with whom something is wrong, where else nobody would
	// be served: they may be others than whoever asks has in mind.
	Leave bool `json:"leave,omitempty"`
	// Check says what is wrong with the request, and makes nothing.
	Check bool `json:"check,omitempty"`
}

// Left is the outcome for somebody who was left out, with the reason.
const Left identity.Outcome = "left out"

// ManyResult is what became of one of them. Secrets are shown only now.
type ManyResult struct {
	User       string           `json:"user"`
	Outcome    identity.Outcome `json:"outcome"`
	Passphrase string           `json:"temporary_passphrase,omitempty"` // without Invite
	First      string           `json:"first_half,omitempty"`
	Second     string           `json:"second_half,omitempty"`
	Until      time.Time        `json:"until,omitzero"`
	Reason     string           `json:"reason,omitempty"` // of Left
	// Differs is what the account, which was there already, keeps otherwise than it
	// was asked for: any of "end", "phone" and "realm".
	Differs []string `json:"differs,omitempty"`
}

// addMany makes accounts for many, all or none.
func (a *Server) addMany(r *http.Request) (any, error) {
	var in ManyRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	people := make([]identity.Person, 0, len(in.People))
	var faults faults
	out := []ManyResult{}
	seen := map[string]bool{}
	for _, p := range in.People {
		wrong := a.misfits(p, in.Invite)
		if len(wrong) > 0 && in.Leave {
			out = append(out, ManyResult{User: p.Name, Outcome: Left, Reason: strings.Join(wrong, "; ")})
			continue
		}
		for _, w := range wrong {
			faults.add(p.Name, w)
		}
		if seen[p.Name] {
			faults.add(p.Name, plain.Line(p.Name)+" stands there twice")
		}
		seen[p.Name] = true
		people = append(people, p.Person)
	}
	if wrong := faults.lines(); len(wrong) > 0 {
		if more := len(wrong) - mostProblems; more > 0 {
			wrong = append(wrong[:mostProblems], "and "+plain.Count(more, "more problem"))
		}
		return nil, &Error{http.StatusForbidden, "nobody was added:\n" + strings.Join(wrong, "\n")}
	}
	if in.Check {
		return out, nil
	}
	if a.Gate != nil { // what ends by this operation ends with its reason
		for _, p := range people {
			defer a.Gate.Changing(p.Name)()
		}
	}
	made, err := a.Auth.AddAll(r.Context(), people, in.Invite)
	if err != nil {
		return nil, said(err)
	}
	for _, m := range made {
		res := ManyResult{User: m.Name, Outcome: m.Outcome, Until: m.Until, Differs: m.Differs}
		switch {
		case m.Temporary == "":
		case in.Invite:
			res.First, res.Second = identity.Halves(m.Temporary)
		default:
			res.Passphrase = m.Temporary
		}
		if m.Outcome == identity.Renewed {
			a.endUser(m.Name, "invitation-renewed")
		}
		out = append(out, res)
	}
	return out, nil
}

// mostNamed is how many people a problem that they have in common names.
const mostNamed = 5

// faults are what is wrong with people, each problem once: "alice, bob and 26 more:
// the policy has no lab x".
type faults struct {
	order []string            // what is said behind the name, as it came
	names map[string][]string // with whom it is so
}

// add notes a problem, which begins with the name.
func (f *faults) add(name, problem string) {
	what, ok := strings.CutPrefix(problem, name)
	if !ok {
		name, what = "", problem
	}
	if f.names == nil {
		f.names = map[string][]string{}
	}
	if f.names[what] == nil {
		f.order = append(f.order, what)
	}
	f.names[what] = append(f.names[what], name)
}

// lines are the problems.
func (f *faults) lines() (out []string) {
	for _, what := range f.order {
		names := f.names[what]
		if rest, ok := strings.CutPrefix(what, " is "); ok && len(names) > 1 {
			what = " are " + rest
		}
		out = append(out, plain.List(names, mostNamed)+what)
	}
	return out
}

// misfits says all that is wrong with one of them.
func (a *Server) misfits(p NewPerson, invited bool) []string {
	wrong := a.Auth.PersonProblems(p.Person)
	if p.Lab == "" && !invited || policy.ValidUser(p.Name) != nil {
		return wrong
	}
	if _, err := a.labsOf(p.Name, p.Lab); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}
