package access

import (
	"net/netip"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/strict"
)

const grants = `
labs:
  tinker:
    members: [alice]
    targets:
      home: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
      vault: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
      workbench: {kind: tcp, address: "127.0.0.1:1", ports: [8888]}
  shared:
    targets:
      home: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
rules:
  - {name: shell, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell], mfa: {methods: [otp]}}
  - {name: touch, who: {labs: [tinker]}, where: {targets: [vault.tinker]}, may: [shell], mfa: {methods: [sk]}}
  - {name: web, who: {labs: [tinker]}, where: {targets: [workbench.tinker]}, may: [forward-local], record: metadata, from: [192.0.2.0/24]}
  - {name: uni, who: {realms: [uni]}, where: {targets: [home.shared]}, may: [shell]}
`

// Places says of each target what deciding on it says, and leaves out none that
// a rule for the user's realm opens.
func TestPlacesAreDecisions(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse(strict.File{Name: "t.yaml", Data: []byte(grants)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	office := netip.MustParseAddr("192.0.2.7")
	for name, c := range map[string]struct {
		who  Subject
		want map[string]bool // full name: opens
	}{
		"a code": {Subject{User: "alice", Method: "publickey+otp", CodeAt: now},
			map[string]bool{"home.tinker": true, "vault.tinker": false, "workbench.tinker": false}},
		"a touch, from the office": {Subject{User: "alice", Method: "passphrase+sk", CodeAt: now, Source: office},
			map[string]bool{"home.tinker": false, "vault.tinker": true, "workbench.tinker": true}},
		"a member whom a realm vouches for": {Subject{User: "alice", Realm: "uni", Method: "passphrase+otp", CodeAt: now},
			map[string]bool{"home.tinker": true, "vault.tinker": false, "workbench.tinker": false, "home.shared": true}},
		"nobody but a realm's":        {Subject{User: "erin", Realm: "uni", Method: "passphrase+otp", CodeAt: now}, map[string]bool{"home.shared": true}},
		"nobody":                      {Subject{User: "erin", Method: "passphrase+otp", CodeAt: now}, map[string]bool{}},
		"an account as it's expected": {Expected(identity.UserInfo{Name: "alice"}, now), map[string]bool{"home.tinker": true, "vault.tinker": false, "workbench.tinker": false}},
		"a realm's, expected":         {Expected(identity.UserInfo{Name: "erin", Realm: "uni"}, now), map[string]bool{"home.shared": true}},
		"codes by SMS, expected":      {Expected(identity.UserInfo{Name: "alice", CodeBySMS: true}, now), map[string]bool{"home.tinker": false, "vault.tinker": false, "workbench.tinker": false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]bool{}
			for _, x := range Places(p, c.who, now) {
				got[x.Target.FullName()] = x.Denied == nil
				if x.Grant.Valid() != (x.Denied == nil) {
					t.Errorf("%s has grant and refusal, or neither", x.Target.FullName())
				}
				named, err := p.Resolve(c.who.User, x.Name, c.who.Realm, c.who.Groups)
				if err != nil || named != x.Target {
					t.Errorf("%q leads to %v, %v; want %s", x.Name, named, err, x.Target.FullName())
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			for full, opens := range c.want {
				if is, listed := got[full]; !listed || is != opens {
					t.Errorf("%s: listed %v, opens %v; want %v", full, listed, is, opens)
				}
			}
		})
	}
}
