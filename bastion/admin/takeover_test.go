package admin

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"entry/bastion/identity"
	"entry/bastion/identity/takeover"
	"entry/e2e/testkit"
	"entry/policy"
)

// Who has to be left is asked for nowhere; of the others all is said that is known.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.yaml")
	testkit.WriteFile(t, file, "labs:\n  tinker:\n    members: [alice]\n")
	p := testkit.Must(policy.LoadFiles([]string{file}))(t)
	call := func(in ImportRequest, out *[]identity.ImportResult) error {
		if len(in.Users) != 1 || !in.DryRun {
			t.Errorf("asked %+v", in)
		}
		*out = []identity.ImportResult{{Name: in.Users[0].Name, Added: true, Notes: []string{"the server's"}}}
		return nil
	}
	for name, notes := range map[string][]string{"alice": {"a key left out", "the server's"}, "bob": {"a key left out", "the server's", "is in no lab yet, so a login leads nowhere"}} {
		r, err := TakeOver(takeover.Candidate{Imported: identity.Imported{Name: name}, Notes: []string{"a key left out"}}, true, p, call)
		if err != nil || !r.Added || !slices.Equal(r.Notes, notes) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	left := takeover.Candidate{Imported: identity.Imported{Name: "eve"}, Left: "it is locked", Notes: []string{"a key left out"}}
	if r, err := TakeOver(left, true, p, nil); err != nil || r.Added || r.Name != "eve" || !slices.Equal(r.Notes, []string{"not added: it is locked", "a key left out"}) {
		t.Errorf("%+v, %v", r, err)
	}
	broken := errors.New("no server")
	carol := takeover.Candidate{Imported: identity.Imported{Name: "carol"}}
	if _, err := TakeOver(carol, true, p, func(ImportRequest, *[]identity.ImportResult) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := TakeOver(carol, true, p, func(ImportRequest, *[]identity.ImportResult) error { return nil }); err == nil {
		t.Error("no answer is one")
	}
}
