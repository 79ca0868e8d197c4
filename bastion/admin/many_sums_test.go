package admin

import (
	"slices"
	"testing"

	"entry/bastion/identity"
)

// The gravest of what became of many is the failure, and each is told of what isn't as asked.
func TestSumsOfMany(t *testing.T) {
	t.Parallel()
	differs := ManyResult{User: "bob", Outcome: identity.InUse, Differs: []string{"end", "phone"}}
	left := ManyResult{User: "carol", Outcome: Left, Reason: "in no lab"}
	barred := ManyResult{User: "dave", Outcome: identity.Barred}
	for _, c := range []struct {
		all  []ManyResult
		want string
	}{
		{[]ManyResult{{Outcome: identity.Added}, {Outcome: identity.Renewed}, {Outcome: identity.Waits}}, ""},
		{[]ManyResult{differs}, "the accounts of 1 user are not as the file has them"},
		{[]ManyResult{differs, left, left}, "2 users could not be invited anew"},
		{[]ManyResult{left, barred, differs}, "1 user could not be added"},
	} {
		said := ""
		if err := SumMany(c.all).Err(); err != nil {
			said = err.Error()
		}
		if said != c.want {
			t.Errorf("%+v: %q, want %q", c.all, said, c.want)
		}
	}
	if got, want := SumMany([]ManyResult{differs, barred, {Outcome: identity.Added}}).String(), "1 added, 0 renewed, 0 invited before, 1 in use, 1 disabled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := differs.Lines(); len(got) != 2 || got[1] != "bob: the account was there already, and keeps its phone, which is not the file's; entry user phone bob changes it" {
		t.Errorf("%q", got)
	}
	if got := slices.Concat(left.Lines(), barred.Lines(), ManyResult{User: "eve", Outcome: identity.Added}.Lines()); !slices.Equal(got, []string{"carol: left out: in no lab", "dave: the account is disabled, and stays so"}) {
		t.Errorf("%q", got)
	}
}
