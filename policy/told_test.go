package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"entry/audit/refusal"
)

// What users read says what isn't open to them, when it will be, and whom to ask. Rules and
// their files are the operators': they stay in what the log has.
func TestUsersReadNoRules(t *testing.T) {
	const who = "who: {labs: [tinker]}, where: {labs: [tinker]}"
	whole := func(Grant) *Denied { return nil }
	lacks := func(c Capability) func(Grant) *Denied { return func(g Grant) *Denied { return g.Refusal(c) } }
	for name, c := range map[string]struct {
		rules, target string
		no            func(Grant) *Denied // of a grant; whole where there is none
		want          string
	}{
		"nothing":       {"", "home.tailor", whole, "home.tailor isn't open to you; ask your lab's administrator"},
		"nowhere":       {"", "", whole, "this isn't open to you; ask your lab's administrator"},
		"closed":        {"{name: a, deny: true}", "home.tinker", whole, "home.tinker isn't open to you; ask your lab's administrator"},
		"closed, a why": {"{name: a, deny: true, because: moved to new-home}", "home.tinker", whole, "home.tinker isn't open to you: moved to new-home"},
		"from a date":   {"{name: a, " + who + ", may: [shell], valid: {from: 2031-01-01T09:30:00Z}}", "home.tinker", whole, "home.tinker isn't open to you now; it opens on 2031-01-01 09:30 UTC"},
		"over":          {"{name: a, " + who + ", may: [shell], valid: {until: 2020-01-01T09:30:00Z}}", "home.tinker", whole, "home.tinker isn't open to you any more; ask your lab's administrator"},
		"by day": {"{name: a, " + who + ", may: [shell], when: {days: [mon-fri], hours: \"08:00-18:00\", zone: Europe/Oslo}}", "home.tinker", whole,
			"home.tinker isn't open to you now; it opens on 2026-03-02 07:00 UTC"},
		"by day, until before": {"{name: a, " + who + ", may: [shell], valid: {until: 2026-03-01T20:00:00Z}, when: {days: [mon-fri], hours: \"08:00-18:00\", zone: Europe/Oslo}}", "home.tinker", whole,
			"home.tinker isn't open to you any more; ask your lab's administrator"},
		"elsewhere":        {"{name: a, " + who + ", may: [shell], from: [192.0.2.0/24]}", "home.tinker", whole, "home.tinker isn't open to you from where you are, only from certain networks; ask your lab's administrator"},
		"a fresher login":  {"{name: a, " + who + ", may: [shell], mfa: {max_age: 1h}}", "home.tinker", whole, "home.tinker needs a new login (code at most 1h old): end your connection to entry, a shared one too, and connect again"},
		"an approval":      {"{name: a, " + who + ", may: [shell], approval: {approvers: [bob], need: 1, for: 8h}}", "home.tinker", whole, "home.tinker needs the approval of bob"},
		"an approval more": {"{name: a, " + who + ", may: [shell]}\n- {name: b, " + who + ", may: [upload], approval: {approvers: [bob], need: 1, for: 8h}}", "home.tinker", lacks(Upload), "you may not upload files to home.tinker without the approval of bob"},
		"an approval of their own": {"{name: a, " + who + ", may: [shell], approval: {approvers: [alice], need: 1, for: 8h}}", "home.tinker", whole,
			"home.tinker isn't open to you: it needs an approval, which nobody but you may give; ask your lab's administrator"},
		"an approval of too few": {"{name: a, " + who + ", may: [shell], approval: {approvers: [alice, bob], need: 2, for: 8h}}", "home.tinker", whole,
			"home.tinker isn't open to you: it needs an approval, which takes 2 others, of whom only 1 may be asked; ask your lab's administrator"},
		"no X11":          {"{name: a, " + who + ", may: [shell]}", "home.tinker", lacks(X11), "you may not use X11 on home.tinker (ssh -X, -Y); ask your lab's administrator"},
		"taken away":      {"{name: a, " + who + ", may: [shell]}\n- {name: b, deny: true, may: [agent], because: keys stay home}", "home.tinker", lacks(Agent), "you may not use your ssh agent on home.tinker (ssh -A): keys stay home"},
		"another command": {"{name: a, " + who + ", may: [exec], exec: [id]}", "home.tinker", lacks(Exec), "you may not run that command on home.tinker; ask your lab's administrator"},
		"another port": {"{name: a, " + who + ", may: [forward-local], forward_local: [\"localhost:80\"]}", "home.tinker",
			func(g Grant) *Denied { return g.Refusal(ForwardLocal).To("localhost:9999") }, "you may not reach localhost:9999 through home.tinker; ask your lab's administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := "rules: []"
			if c.rules != "" {
				rules = "rules:\n- " + c.rules
			}
			g, no := ask(t, parse(t, labsYAML, rules), Request{User: "alice", Time: at(t, "2026-03-01T12:00:00Z"), Source: netip.MustParseAddr("203.0.113.7")}, c.target)
			if no == nil {
				no = c.no(g)
			}
			var told *refusal.Error
			if !errors.As(no, &told) || told.Text != c.want {
				t.Fatalf("%q, want %q", no.Told(), c.want)
			}
			told.Text = "the policy changed: " + told.Text
			if got := Logged(told); got != "the policy changed: "+no.Error() || c.rules != "" && no.Error() == no.Told() {
				t.Errorf("the log has %q of %q", got, no.Error())
			}
		})
	}
	for _, c := range AllCapabilities.List() {
		if s := (&Denied{User: "alice", Target: "home.tinker", Capability: c}).Told(); !strings.HasPrefix(s, "you may not ") || !strings.Contains(s, " home.tinker") || strings.Contains(s, "%") {
			t.Errorf("%s: %q", c, s)
		}
	}
}
