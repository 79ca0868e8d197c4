// Package policies makes a policy of the text that testkit.PolicyText and
// testkit.Rule write, for tests that decide by a real one. Tests of what a text
// means, or of a bad one, call policy.Parse themselves.
package policies

import (
	"testing"

	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/strict"
)

// FileName is how places in the text are named: "tinker.yaml:7".
const FileName = "tinker.yaml"

// Parse is the policy that text is. A text that is none ends the test.
func Parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(strict.File{Name: FileName, Data: []byte(text)})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// New parses a policy with one lab, tinker: see testkit.PolicyText.
func New(t testing.TB, members, targets []string, rules ...string) *policy.Policy {
	t.Helper()
	return Parse(t, testkit.PolicyText(members, targets, rules...))
}
