package policy

import (
	"strings"
	"testing"
)

func TestNamesThatSomebodyOpensTwice(t *testing.T) {
	const rules = `
rules:
  - {name: tinker, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}
`
	nobodys := strings.Replace(labsYAML, "default_lab: {bob: tailor}", "", 1)
	tailor := `  - {name: tailor, who: {labs: [tailor]}, where: {targets: [home.tailor]}, may: [shell]}` + "\n"
	realm := `  - {name: physics, who: {realms: [uni/Physics]}, where: {labs: [tinker, tailor]}, may: [shell]}` + "\n"
	const why = `, by this rule or with others: for them "home" alone is refused as ambiguous, in scripts and configurations too; give them a default_lab, or have them ask for the full names [P112]`
	for name, c := range map[string]struct{ labs, rules, want string }{
		"two labs' machines, opened to nobody twice": {nobodys, rules, ""},
		"to bob, of both labs":                       {nobodys, rules + tailor, "b.yaml:3:5: warning: bob may open home.tailor, home.tinker" + why},
		"to bob, who has a default":                  {labsYAML, rules + tailor, ""},
		"to strangers": {nobodys, rules + `  - {name: all, who: {users: [erin, frank, gus, hal]}, where: {targets: [home.tailor, home.tinker]}, may: [shell]}` + "\n",
			"b.yaml:4:5: warning: erin, frank, gus and 1 more may open home.tailor, home.tinker" + why},
		"to a directory's group": {nobodys, rules + realm, "b.yaml:4:5: warning: realm uni/Physics may open home.tailor, home.tinker" + why},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, w := range parse(t, c.labs, c.rules).Warnings() {
				if w.Code == codeAmbiguous {
					got = append(got, w.Error())
				}
			}
			if text := strings.Join(got, "\n"); !strings.HasPrefix(text, c.want) || (text == "") != (c.want == "") || len(got) > 1 {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestApprovalsThatOnlyTheAskerCouldGive(t *testing.T) {
	for approval, want := range map[string]string{
		"approvers: [carol]":                      "",
		"approvers: [alice, bob]":                 "",
		"approvers: [alice, carol, bob], need: 2": "",
		"approvers: [bob]":                        "rule r opens nothing to bob: nobody approves what they ask for themselves, and there are too few other approvers; name more of them [P113]",
		"approvers: [tinker/stewards]":            "rule r opens nothing to bob: nobody",
		"approvers: [alice, bob, carol], need: 3": "rule r opens nothing to alice, bob: nobody",
	} {
		p := parse(t, labsYAML, "rules: [{name: r, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell], approval: {for: 1h, "+approval+"}}]")
		var got string
		for _, w := range p.Warnings() {
			if w.Code == codeOwnApproval {
				got += w.Error()
			}
		}
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", approval, got, want)
		}
	}
}
