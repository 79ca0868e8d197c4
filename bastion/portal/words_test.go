package portal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

func TestLinesAreBrokenAtWords(t *testing.T) {
	t.Parallel()
	key := "ssh-ed25519 " + strings.Repeat("A", 68)
	for name, c := range map[string]struct {
		text  string
		width int
		want  string
	}{
		"short enough":     {"you are in no lab yet", 40, "you are in no lab yet"},
		"not known":        {"you are in no lab yet, ask", 0, "you are in no lab yet, ask"},
		"too narrow":       {"you are in no lab yet, ask", 10, "you are in no lab yet, ask"},
		"a sentence":       {"you are in no lab yet, ask your administrator", 24, "you are in no lab yet,\n  ask your administrator"},
		"a listing":        {"  home.tinker  ssh -J entry home, as worker", 24, "  home.tinker  ssh -J\n    entry home, as\n    worker"},
		"a word too wide":  {"add " + key, 40, "add ssh-ed25519\n  " + strings.Repeat("A", 68)},
		"wide characters":  {"実験室 実験室 実験室 実験室 実験室", 20, "実験室 実験室\n  実験室 実験室\n  実験室"},
		"nothing":          {"", 40, ""},
		"a text of blanks": {strings.Repeat(" ", 50), 40, strings.Repeat(" ", 50)},
	} {
		if got := wrapped(c.text, c.width); got != c.want && strings.TrimSpace(c.want) != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLoginsAreGrouped(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	in := func(days int, source, method string) identity.LoginInfo {
		return identity.LoginInfo{At: now.AddDate(0, 0, -days), Source: source, Method: method}
	}
	for name, c := range map[string]struct {
		logins []identity.LoginInfo
		want   []string
	}{
		"none": {nil, nil},
		"one place": {[]identity.LoginInfo{in(0, "192.0.2.7", "publickey+remembered"), in(1, "192.0.2.7", "publickey+remembered"), in(2, "192.0.2.7", "publickey+otp")},
			[]string{"2026-03-20 12:00 UTC from 192.0.2.7 with publickey+remembered, and 1 time before that", "2026-03-18 12:00 UTC from 192.0.2.7 with publickey+otp"}},
		"a new one": {[]identity.LoginInfo{in(0, "203.0.113.9", "passphrase+otp"), in(1, "192.0.2.7", "passphrase+otp"), in(30, "192.0.2.7", "passphrase+otp")},
			[]string{"2026-03-20 12:00 UTC from 203.0.113.9 with passphrase+otp (new: first seen 2026-03-20 12:00 UTC)", "2026-03-19 12:00 UTC from 192.0.2.7 with passphrase+otp, and 1 time before that"}},
		"two for long": {[]identity.LoginInfo{in(0, "203.0.113.9", "passphrase+otp"), in(9, "203.0.113.9", "passphrase+otp"), in(30, "192.0.2.7", "passphrase+otp")},
			[]string{"2026-03-20 12:00 UTC from 203.0.113.9 with passphrase+otp, and 1 time before that", "2026-02-18 12:00 UTC from 192.0.2.7 with passphrase+otp"}},
	} {
		if got := grouped(c.logins, now); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}
