package bastion_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/strict"
)

// TestPublicKeysAreJudgedAlike: whatever a policy file, a target's check, a .pub
// file or an account may be given as a public key, none takes one that another
// refuses for the same use, and a policy says why in the words of the check.
func TestPublicKeysAreJudgedAlike(t *testing.T) {
	t.Parallel()
	s := testkit.Must(store.OpenSQLite(filepath.Join(t.TempDir(), "entry.db"), time.Now))(t)
	t.Cleanup(func() { testkit.Check(t, s.Close()) })
	auth := testkit.Must(identity.New(identity.Options{
		Config: configs.Default(), Store: s, Secret: make([]byte, 32), Events: func(context.Context, ...audit.Event) error { return nil },
	}))(t)
	t.Cleanup(func() { testkit.Check(t, auth.Close(context.Background())) })

	for i, k := range testkit.PublicKeys(t) {
		_, inPolicy := policy.Parse(strict.File{Name: "p.yaml", Data: []byte(fmt.Sprintf("labs: {lab: {targets: {home: {address: 10.0.0.1, host_keys: [%q]}}}}", k.Line))})
		_, asAuthority := policy.Parse(strict.File{Name: "p.yaml", Data: []byte(fmt.Sprintf("labs: {lab: {targets: {home: {address: 10.0.0.1, host_ca: %q}}}}", k.Line))})
		_, pinned := ca.NewHostVerifier(ca.HostPins{Target: "home.lab", Keys: []string{k.Line}})
		_, authority := ca.NewHostVerifier(ca.HostPins{Target: "home.lab", CAs: []string{k.Line}})
		for what, err := range map[string]error{"host_keys": inPolicy, "host_ca": asAuthority, "a pinned key": pinned, "a pinned CA": authority} {
			if (err == nil) != k.Host {
				t.Errorf("%s as %s: %v", k.Name, what, err)
			}
		}
		if !k.Host && !strings.Contains(withoutUse(inPolicy), reason(pinned)) {
			t.Errorf("%s: the policy says\n%v\nthe check says %v", k.Name, inPolicy, pinned)
		}

		path := filepath.Join(t.TempDir(), "k.pub")
		testkit.WriteFile(t, path, k.Line+"\n")
		_, loaded := ca.LoadPublic(path)
		name := fmt.Sprintf("u%d", i)
		testkit.Must(auth.AddUser(t.Context(), name))(t)
		_, added := auth.AddKey(t.Context(), name, k.Line)
		for what, err := range map[string]error{"a .pub file": loaded, "a first factor": added} {
			if (err == nil) != k.User {
				t.Errorf("%s as %s: %v", k.Name, what, err)
			}
		}
		var refused *identity.KeyRefused
		if added != nil && !errors.As(added, &refused) {
			t.Errorf("%s: its owner hears %v", k.Name, added)
		}
	}
}

// withoutUse is what a policy says, but for what it adds of machines.
func withoutUse(err error) string {
	return strings.NewReplacer(" to vouch for a machine", "", "; name the authority that signed it under host_ca", "").Replace(fmt.Sprint(err))
}

// reason is what the check says of the key alone.
func reason(err error) string {
	_, text, _ := strings.Cut(fmt.Sprint(err), "host key of home.lab: ")
	return strings.TrimPrefix(text, "not a public key: ")
}
