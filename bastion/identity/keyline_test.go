package identity

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

// FuzzParseKey: what was accepted of a line that a user gave reads back as the
// same key, and holds nothing that a terminal acts on.
func FuzzParseKey(f *testing.F) {
	const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"
	for _, s := range []string{line, line + " alice@laptop", line + " \x1b[31m\u202e", `from="::1" ` + line, line + "\n" + line, line[:40], "ssh-rsa AAAA", "# " + line} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseKey(s)
		var refused *KeyRefused
		if err != nil {
			if !errors.As(err, &refused) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if len(k.Comment) > maxComment || strings.ContainsFunc(k.Comment, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.ContainsAny(k.Line, "\r\n") {
			t.Errorf("%q: %+v", s, k)
		}
		if again, err := parseKey(k.Line); err != nil || again.Fingerprint != k.Fingerprint || again.Line != k.Line {
			t.Errorf("%q: %+v becomes %+v, %v", s, k, again, err)
		}
	})
}
