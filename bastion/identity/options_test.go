package identity

import (
	"strings"
	"testing"
)

func TestNewChecksOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing": {},
		"issuer":  {Issuer: "a:b"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for _, s := range []string{"a:b", "näme", "x\n", strings.Repeat("x", 33)} {
		if validIssuer(s) == nil {
			t.Errorf("issuer %q", s)
		}
	}
}
