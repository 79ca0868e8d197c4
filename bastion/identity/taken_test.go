package identity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// What a change takes fits into a record, whole: where not each thing has a place, all
// of its kind are named.
func TestTakenFitsIntoARecord(t *testing.T) {
	var before identity.Account
	for i := range identity.MaxKeys {
		before.Keys = append(before.Keys, identity.Key{Fingerprint: fmt.Sprintf("SHA256:%043d", i)})
		before.Authenticators = append(before.Authenticators, identity.EnrolledAuthenticator{ID: fmt.Sprintf("d%025d", i)})
	}
	next := identity.Account{Epoch: 1, Keys: before.Keys[:1]}
	if got := identity.Taken(before, next); got != "proven device: key:" {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	few := before
	few.Keys, few.Authenticators = before.Keys[:3], nil
	if got := identity.Taken(few, next); got != "proven key:"+few.Keys[1].Fingerprint+" key:"+few.Keys[2].Fingerprint || len(got) > audit.MaxDetail {
		t.Errorf("%q", got)
	}
	end := identity.Account{Ends: time.Unix(200, 0)}
	if got := identity.Taken(identity.Account{Ends: time.Unix(100, 0)}, end); strings.TrimSpace(got) != "after:200" {
		t.Errorf("an end that is put off: %q", got)
	}
	if got := identity.Taken(end, end); got != "" {
		t.Errorf("nothing: %q", got)
	}
}
