package admin

import (
	"strings"
	"testing"
	"time"
)

// What is said of a key's change has what to do next, by the key, and who is missing.
func TestRotationInWords(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name string
		said string
		want []string
	}{
		{"the log's next key", Rotation{What: "audit", Next: "NEXT"}.TodoText(), []string{"\nNEXT\n", "entry keys rotate audit --finish", "Back up the audit log's key once"}},
		{"the next host CA, offline", Rotation{What: "host-ca", KnownHosts: []string{"one\n", "two\n"}, Certificates: []string{"home.pub"}}.TodoText(), []string{"one\ntwo\n", "sign these anew: home.pub"}},
		{"the next secret", Rotation{What: "secret", NextPrivate: "secret.next"}.TodoText(), []string{"entry keys rotate secret --finish seals all by it"}},
		{"the next secret of several servers", Rotation{What: "secret", NextPrivate: "secret.next", Servers: []string{"b", "c"}}.TodoText(), []string{"Copy secret.next to", "(SIGHUP): b, c"}},
		{"the next user CA", Rotation{What: "user-ca", Now: "NOW", Next: "NEXT"}.TodoText(), []string{"\nNOW\nNEXT\n", "TrustedUserCAKeys", "--abort takes it back"}},

		{"none under way", Rotation{What: "user-ca", Now: "NOW"}.Text(), []string{"No change of the user CA is under way. It is:\nNOW\n"}},
		{"the log's key changed", Rotation{What: "audit", Now: "NOW", Before: "OLD", Finished: true}.Text(), []string{"The audit log's key is changed; back the new one up. It is now:\nNOW\n", "Before that it was", "\nOLD\n"}},
		{"the user CA changed", Rotation{What: "user-ca", Now: "NOW", Finished: true}.Text(), []string{"Take the line of the one before out of the targets' TrustedUserCAKeys"}},
		{"the host CA changed", Rotation{What: "host-ca", Now: "NOW", Finished: true}.Text(), []string{"Have users take the line of the one before out of known_hosts"}},
		{"every witness is ready", Rotation{What: "audit", Begun: &at, Now: "NOW", Next: "NEXT"}.Text(), []string{"takes the next one: entry keys rotate audit --finish\n"}},
		{"the secret changed", Rotation{What: "secret", Now: "NOW", Finished: true}.Text(), []string{"The secret is changed", "in .old, is the one before"}},
		{"who is missing", Rotation{What: "user-ca", Begun: &at, Now: "NOW", Next: "NEXT", Unready: map[string]string{"w2": "no\x1b", "w1": "down"}, Targets: []TargetTakes{
			{Target: "home.tinker", Takes: TakesNext, At: &at, Address: "192.0.2.7"}, {Target: "home.kestrel", Takes: TakesNever}}}.Text(),
			[]string{"begun at 2026-03-02T12:00:00Z.\nnow:  NOW\nnext: NEXT\n", "the witness w1 doesn't take the next one: down\nthe witness w2", "home.tinker", "the next CA", "192.0.2.7", "nobody went there yet"}},
	} {
		for _, want := range tc.want {
			if !strings.Contains(tc.said, want) {
				t.Errorf("%s: no %q in\n%s", tc.name, want, tc.said)
			}
		}
		if strings.Contains(tc.said, "\x1b") {
			t.Errorf("%s: %q", tc.name, tc.said)
		}
	}
}
