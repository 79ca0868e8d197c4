package e2e

import (
	"testing"

	"golang.org/x/text/unicode/norm"

	"entry/e2e/testkit"
)

// TestPassphraseInOtherBytes: OpenSSH on one system sends the letters of a passphrase
// composed, on another decomposed, and it is the same passphrase.
func TestPassphraseInOtherBytes(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	const composed = "blåbær på brød åtte"
	for name, order := range map[string][2]string{"alice": {composed, norm.NFD.String(composed)}, "bob": {norm.NFD.String(composed), composed}} {
		p := s.add(name)
		p.answering(func(prompt string) (string, bool) {
			if askNew.MatchString(prompt) || askRepeat.MatchString(prompt) {
				return order[0], true
			}
			return p.rightAnswer(prompt)
		})
		c := s.client(p)
		testkit.MustRun(t, c.exec("true"))
		p.answering(nil)
		p.passphrase = order[1]
		p.asked()
		if r := testkit.MustRun(t, c.exec("echo in")); r.Stdout != "in\n" {
			t.Errorf("%s", r)
		}
		if asked := p.asked(); len(asked) != 2 {
			t.Errorf("set as %q, typed as %q: asked %q", order[0], order[1], asked)
		}
	}
}
