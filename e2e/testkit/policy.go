package testkit

import (
	"fmt"
	"slices"
	"strings"
)

// MayAll grants every capability there is. Forwards have to be listed besides.
const MayAll = "may: [shell, exec, upload, download, forward-local, forward-remote, agent, x11]"

// PolicyText is a policy file with one lab, tinker, that has these members,
// targets (TargetLine) and rules (Rule). testkit/policies parses it.
func PolicyText(members, targets []string, rules ...string) string {
	return fmt.Sprintf("labs:\n  tinker:\n    members: [%s]\n    targets:\n%s\nrules:\n%s\n",
		strings.Join(members, ", "), strings.Join(targets, "\n"), strings.Join(rules, "\n"))
}

// TargetLine is one target. A host key of "" leaves it out; extra are more
// fields in YAML's flow form.
func TargetLine(name, addr, hostKey string, extra ...string) string {
	fields := []string{fmt.Sprintf("address: %q", addr)}
	if hostKey != "" {
		fields = append(fields, fmt.Sprintf("host_keys: [%q]", hostKey))
	}
	return fmt.Sprintf("      %s: {%s}", name, strings.Join(append(fields, extra...), ", "))
}

// Rule is one rule with these fields, a line each. Without a who or a where
// among them it is for everybody in lab tinker, and for all its targets.
func Rule(name string, fields ...string) string {
	for _, usual := range []string{"where: {labs: [tinker]}", "who: {labs: [tinker]}"} {
		key, _, _ := strings.Cut(usual, " ")
		if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, key) }) {
			fields = slices.Insert(slices.Clone(fields), 0, usual)
		}
	}
	return "  - name: " + name + "\n    " + strings.Join(fields, "\n    ")
}

// On is the where field of a rule for these targets of lab tinker alone.
func On(targets ...string) string {
	return "where: {targets: [" + strings.Join(targets, ".tinker, ") + ".tinker]}"
}
