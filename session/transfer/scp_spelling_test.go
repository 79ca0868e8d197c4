package transfer

import "testing"

// What a target's scp makes of a name with a line feed, as OpenSSH's strnvis has it.
func TestScpSpelling(t *testing.T) {
	for name, text := range map[string]string{
		"new\nline": `new\^Jline`, "a\\b\n \tc\x1b\x7f": `a\\b\^J ` + "\t" + `c\^[\^?`, "å\n\xa0\x80\xff": `\M-C\M-%\^J\240\M^@\M^?`,
	} {
		if got := scpSpells(name); got != text {
			t.Errorf("%q is spelt %q, want %q", name, got, text)
		}
		if got, ok := scpSpelt(text); !ok || got != name {
			t.Errorf("%q is read as %q, %v, want %q", text, got, ok, name)
		}
	}
	for _, text := range []string{`\^Ja\`, `\^J\x`, `\^J\M`, `\^J\M\`, `a\b`, `\\^J`, `\^J\040`, `\^J\-a`, "å\\^J", ""} {
		if name, ok := scpSpelt(text); ok {
			t.Errorf("%q is read as %q", text, name)
		}
	}
}

func FuzzScpSpelling(f *testing.F) {
	f.Add("new\nline")
	f.Fuzz(func(t *testing.T, name string) {
		if got, ok := scpSpelt(scpSpells("\n" + name)); !ok || got != "\n"+name {
			t.Errorf("%q is read as %q, %v", name, got, ok)
		}
		_, _ = scpSpelt(name) // whatever a target says
	})
}
