package access

import (
	"strings"
	"testing"
	"time"

	"entry/policy"
	"entry/policy/strict"
)

// The notice reads as one sentence, whatever its rule records.
func TestNoticeReads(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"record: full":                     "shows here, scripts that",
		"record: full, record_input: true": "shows here AND ALL YOU TYPE, passwords too unless their prompt is known, scripts that",
		"record: manifest":                 "which files you move, with their names",
		"record: metadata":                 "not what you do there.",
	} {
		p, err := policy.Parse(strict.File{Name: "t.yaml", Data: []byte(strings.Replace(grants, "may: [shell], mfa: {methods: [otp]}", "may: [shell], "+rule, 1))})
		if err != nil {
			t.Fatal(err)
		}
		target, _ := p.Target("home.tinker")
		g, err := p.Decide(policy.Request{User: "alice", Target: target, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if got := Notice(g); !strings.Contains(got, want) || strings.Contains(got, ",,") || strings.Contains(got, ", ,") || strings.Contains(got, "  ") {
			t.Errorf("%s: %s", rule, got)
		}
	}
}
