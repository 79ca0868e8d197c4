package policy

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const explainRules = `
rules:
  - {name: work, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell, agent], when: {days: [mon-fri], zone: UTC}, because: daily work}
  - {name: files, who: {users: [alice]}, where: {labs: [tinker]}, may: [upload], approval: {approvers: [carol], for: 1h}, from: [192.0.2.0/24]}
  - {name: no-agent, deny: true, may: [agent], because: keys stay home}
  - {name: tailors, who: {labs: [tailor]}, where: {labs: [tailor]}, may: [shell]}
`

func explained(t *testing.T) Explanation {
	p := parse(t, labsYAML, explainRules)
	s := Supposition{Request: Request{User: "alice", Source: netip.MustParseAddr("192.0.2.7"), Time: at(t, "2026-03-02T09:00:00+01:00"), Method: "passphrase+otp"}}
	s.Target, _ = p.Target("home.tinker")
	return p.Explain(p.Suppose(s)).Relevant()
}

func TestExplanationForPeople(t *testing.T) {
	want := `alice on home.tinker at 2026-03-02 08:00 UTC from 192.0.2.7
  shell           allowed by work (b.yaml:3) until 2026-03-07 00:00 UTC: daily work
  exec            no rule gives it
  upload          files (b.yaml:4) gives it with the approval of carol
  download        allowed by work (b.yaml:3) until 2026-03-07 00:00 UTC: daily work
  forward-local   no rule gives it
  forward-remote  no rule gives it
  agent           denied by no-agent (b.yaml:5): keys stay home
  x11             no rule gives it
recording: full; limits: none
not enforced: that there is no upload, since data can be moved by shell all the same
rules:
  work (b.yaml:3) allows shell, download, agent: matches
  files (b.yaml:4) allows upload: no: approval: needs the approval of carol; given by nobody yet
  no-agent (b.yaml:5) denies agent: matches
  1 rule is for other people or targets (--all shows it)
`
	if got := explained(t).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExplanationForPrograms(t *testing.T) {
	e := explained(t)
	e.Verdicts, e.Rules = slices.Concat(e.Verdicts[:1], e.Verdicts[2:3]), e.Rules[:2]
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"user":"alice","target":"home.tinker","at":"2026-03-02T09:00:00+01:00","allowed":true,"record":"full","unenforced":["upload"],"limits":"none","capabilities":[` +
		`{"capability":"shell","allowed":true,"rule":"work (b.yaml:3)","until":"2026-03-07T00:00:00Z","because":"daily work"},` +
		`{"capability":"upload","allowed":false,"rule":"files (b.yaml:4)","approval":"carol"}],"rules":[` +
		`{"rule":"work (b.yaml:3)","may":"shell, download, agent","matches":true},` +
		`{"rule":"files (b.yaml:4)","may":"upload","matches":false,"failed":{"approval":"needs the approval of carol; given by nobody yet"}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// A request for nothing is explained too.
	if got, err := json.Marshal(parse(t, labsYAML).Explain(Request{User: "alice"})); err != nil || !strings.Contains(string(got), `"denied":"no rule allows this (default deny)"`) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestSuppose(t *testing.T) {
	p := parse(t, labsYAML, explainRules)
	s := Supposition{Request: Request{User: "alice", Source: netip.MustParseAddr("192.0.2.7"), Time: at(t, "2026-03-01T09:00:00Z")}, ApprovedBy: []string{"bob", "carol"}}
	if r := p.Suppose(s); len(r.Approvals) != 0 {
		t.Errorf("approvals without a target: %v", r.Approvals)
	}
	s.Target, _ = p.Target("home.tinker")
	g, err := p.Decide(p.Suppose(s))
	if err != nil || g.Capabilities().String() != "upload" || !g.Until().Equal(at(t, "2026-03-01T10:00:00Z")) {
		t.Errorf("%s until %s, %v", g.Capabilities(), g.Until(), err)
	}
}

func TestFind(t *testing.T) {
	p := parse(t, strings.Replace(labsYAML, "default_lab: {bob: tailor}", "", 1), explainRules)
	for _, tc := range []struct{ user, name, want string }{
		{"", "home.tinker", "home.tinker"},
		{"dave", "home.tinker", "home.tinker"}, // whom it isn't open to
		{"alice", "home", "home.tinker"},
		{"dave", "home", "home.tailor"},
		{"", "bench", "bench.tinker"},
		{"bob", "home", `"home" is ambiguous; ask for home.tailor, home.tinker`},
		{"", "home", `"home" is ambiguous; ask for home.tailor, home.tinker`},
		{"alice", "house", `no target "house"`},
	} {
		target, err := p.Find(tc.user, tc.name, "", Groups{})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = target.FullName()
		}
		if got != tc.want {
			t.Errorf("%q for %q: %s, want %s", tc.name, tc.user, got, tc.want)
		}
		var unknown *UnknownTarget
		if errors.As(err, &unknown) != (tc.name == "house") {
			t.Errorf("%q: error of type %T", tc.name, err)
		}
	}
}

func TestHostPatterns(t *testing.T) {
	if got := strings.Join(parse(t, labsYAML).HostPatterns(), " "); got != "home *.tailor *.tinker" {
		t.Error(got)
	}
	none := parse(t, "rules: []")
	if got := none.HostPatterns(); len(got) != 0 {
		t.Error(got)
	}
	if got := strings.Join(parse(t, labsYAML).NewHostPatterns(none), " "); got != "home *.tailor *.tinker" {
		t.Error(got)
	}
	if got := none.NewHostPatterns(parse(t, labsYAML)); len(got) != 0 {
		t.Error(got)
	}
}
