package policy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"entry/e2e/testkit/world"
	"entry/policy"
	"entry/policy/strict"
)

// model is a policy in the plainest form there is: rules are asked one by one.
// The properties below hold Decide, with its index, against it.
type model struct {
	deny               bool
	users, labs        []string // who
	group              bool     // who: one/stewards
	targets, whereLabs []string
	from               string
	may                []policy.Capability
	metadata           bool
	wildcard           bool // forwards anywhere
}

var (
	modelUsers   = []string{"ann", "ben", "cid", "dot", "eve"}
	modelMembers = map[string][]string{"one": {"ann", "ben"}, "two": {"ben", "cid"}}
	modelTargets = []string{"home.one", "tool.one", "home.two"}
	modelSources = []string{"192.0.2.1", "198.51.100.1"}
)

func drawRule(t *rapid.T, deny bool) model {
	some := func(label string, of []string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID[string]).Draw(t, label)
	}
	m := model{
		deny:  deny,
		users: some("users", modelUsers), labs: some("labs", []string{"one", "two"}),
		group:   rapid.Bool().Draw(t, "group"),
		targets: some("targets", modelTargets), whereLabs: some("where", []string{"one", "two"}),
		from:     rapid.SampledFrom([]string{"", "", "192.0.2.0/24"}).Draw(t, "from"),
		may:      rapid.SliceOfNDistinct(rapid.SampledFrom(policy.AllCapabilities.List()), 1, 4, rapid.ID[policy.Capability]).Draw(t, "may"),
		metadata: rapid.Bool().Draw(t, "metadata"),
	}
	m.wildcard = m.metadata && rapid.Bool().Draw(t, "wildcard")
	if len(m.users)+len(m.labs) == 0 {
		m.users = []string{"ann"}
	}
	if len(m.targets)+len(m.whereLabs) == 0 {
		m.targets = []string{"home.one"}
	}
	if !deny && slices.Contains(m.targets, "tool.one") {
		m.metadata = true
		if !slices.Contains(m.may, policy.ForwardLocal) {
			m.may = append(m.may, policy.ForwardLocal)
		}
	}
	return m
}

func (m model) yaml(i int) string {
	flow := func(names []string) string { return "[" + strings.Join(names, ", ") + "]" }
	may := strings.ReplaceAll(capabilitiesOf(m.may...).String(), ", ", ",")
	groups := ""
	if m.group {
		groups = ", groups: [one/stewards]"
	}
	s := fmt.Sprintf("- {name: r%d, deny: %v, who: {users: %s, labs: %s%s}, where: {targets: %s, labs: %s}, may: [%s]",
		i, m.deny, flow(m.users), flow(m.labs), groups, flow(m.targets), flow(m.whereLabs), may)
	if m.from != "" {
		s += ", from: [" + m.from + "]"
	}
	if !m.deny {
		if m.metadata {
			s += ", record: metadata"
		}
		if slices.Contains(m.may, policy.ForwardLocal) && !m.wildcard {
			s += fmt.Sprintf(", forward_local: [\"localhost:%d\"]", 8000+i)
		}
		if slices.Contains(m.may, policy.ForwardRemote) {
			s += fmt.Sprintf(", forward_remote: [%d]", 9000+i)
		}
	}
	return s + "}\n"
}

func capabilitiesOf(list ...policy.Capability) policy.Capabilities {
	var set policy.Capabilities
	for _, c := range list {
		set = set.With(c)
	}
	return set
}

func (m model) matches(user, target, source string) bool {
	_, lab, _ := strings.Cut(target, ".")
	who := slices.Contains(m.users, user) || m.group && user == "ben" ||
		slices.ContainsFunc(m.labs, func(l string) bool { return slices.Contains(modelMembers[l], user) })
	where := slices.Contains(m.targets, target) || slices.Contains(m.whereLabs, lab)
	if !m.deny && target == "tool.one" && !(m.metadata && slices.Contains(m.may, policy.ForwardLocal)) {
		where = false
	}
	return who && where && (m.from == "" || source == "192.0.2.1")
}

// expected are the capabilities by the law in doc.go.
func expected(rules []model, user, target, source string) policy.Capabilities {
	var allow, deny policy.Capabilities
	for _, m := range rules {
		if !m.matches(user, target, source) {
			continue
		}
		if m.deny {
			deny |= capabilitiesOf(m.may...)
		} else {
			may := capabilitiesOf(m.may...)
			if may.Has(policy.Shell) || may.Has(policy.Exec) {
				may = may.With(policy.Download)
			}
			allow |= may
		}
	}
	if target == "tool.one" {
		allow &= capabilitiesOf(policy.ForwardLocal)
	}
	return allow &^ deny
}

func modelPolicy(rules []model) (*policy.Policy, error) {
	text := world.Labs + "rules:\n"
	for i, m := range rules {
		text += m.yaml(i)
	}
	if len(rules) == 0 {
		text = world.Labs
	}
	return policy.Parse(strict.File{Name: "m.yaml", Data: []byte(text)})
}

func drawRules(t *rapid.T) []model {
	var rules []model
	for range rapid.IntRange(0, 6).Draw(t, "rules") {
		rules = append(rules, drawRule(t, rapid.IntRange(0, 3).Draw(t, "deny") == 0))
	}
	return rules
}

// every calls f for all requests of the model's world.
func every(t *rapid.T, p *policy.Policy, f func(user, target, source string, g policy.Grant, err error)) {
	for _, user := range modelUsers {
		for _, name := range modelTargets {
			target, ok := p.Target(name)
			if !ok {
				t.Fatalf("no target %s", name)
			}
			for _, source := range modelSources {
				g, err := p.Decide(policy.Request{User: user, Target: target, Source: netip.MustParseAddr(source)})
				f(user, name, source, g, err)
			}
		}
	}
}

// legal parses rules; nil where the loader refuses the combination, of which a
// wildcard beside a full recording is the only one that may occur here.
func legal(t *rapid.T, rules []model) *policy.Policy {
	p, err := modelPolicy(rules)
	if problems := (strict.Problems)(nil); errors.As(err, &problems) {
		for _, q := range problems.Fatal() {
			if q.Code != "P015" {
				t.Fatalf("%v", err)
			}
		}
		return nil
	}
	return p
}

func TestDecideIsItsLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p, again := legal(t, rules), legal(t, rules)
		if p == nil {
			return
		}
		every(t, p, func(user, target, source string, g policy.Grant, err error) {
			want := expected(rules, user, target, source)
			if g.Capabilities() != want || (err == nil) != (want != 0) {
				t.Fatalf("%s on %s from %s: %s (%v), want %s", user, target, source, g.Capabilities(), err, want)
			}
			tg, _ := again.Target(target)
			same, sameErr := again.Decide(policy.Request{User: user, Target: tg, Source: netip.MustParseAddr(source)})
			if fmt.Sprint(err) != fmt.Sprint(sameErr) || g.Rule() != same.Rule() || g.Capabilities() != same.Capabilities() {
				t.Fatalf("two loads decide differently: %v and %v", err, sameErr)
			}
			for _, c := range policy.AllCapabilities.List() {
				if no := g.Refusal(c); err == nil && !g.Allows(c) && no.Rule == (policy.RuleRef{}) {
					t.Fatalf("refusal of %s names no rule", c)
				}
				if g.Allows(c) != (g.RuleFor(c) != policy.RuleRef{}) {
					t.Fatalf("%s is allowed by %s", c, g.RuleFor(c))
				}
			}
		})
	})
}

func TestDenyAlwaysWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		deny := drawRule(t, true)
		at := rapid.IntRange(0, len(rules)).Draw(t, "at")
		p := legal(t, slices.Insert(slices.Clone(rules), at, deny))
		if p == nil {
			return
		}
		every(t, p, func(user, target, source string, g policy.Grant, err error) {
			if deny.matches(user, target, source) && g.Capabilities()&capabilitiesOf(deny.may...) != 0 {
				t.Fatalf("%s on %s has %s in spite of a rule that denies %s", user, target, g.Capabilities(), capabilitiesOf(deny.may...))
			}
		})
	})
}

func TestAnAllowRuleNeverRemovesAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		before := legal(t, rules)
		after := legal(t, append(slices.Clone(rules), drawRule(t, false)))
		if before == nil || after == nil {
			return
		}
		grants := map[string]policy.Grant{}
		every(t, before, func(user, target, source string, g policy.Grant, _ error) { grants[user+target+source] = g })
		every(t, after, func(user, target, source string, g policy.Grant, _ error) {
			old := grants[user+target+source]
			if lost := old.Capabilities() &^ g.Capabilities(); lost != 0 {
				t.Fatalf("%s lost %s on %s", user, lost, target)
			}
			if old.Valid() && g.Record() < old.Record() {
				t.Fatalf("%s on %s is recorded less: %s, was %s", user, target, g.Record(), old.Record())
			}
			for port := 8000; port < 8010; port++ {
				if old.AllowsForward("localhost", port) && !g.AllowsForward("localhost", port) ||
					old.AllowsListen(port+1000) && !g.AllowsListen(port+1000) {
					t.Fatalf("%s lost the forward of port %d on %s", user, port, target)
				}
			}
		})
	})
}
