package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"entry/bastion/identity/secret"
)

func TestPassphraseRules(t *testing.T) {
	old := &Temporary{Hash: secret.HashTemporary("abcd-efgh-jkmn-pqrs")}
	for _, tc := range []struct{ p, want string }{
		{"three quiet otters paddle north", ""},
		{"kX9#mQ2$vL7!", ""},
		{"tre stille otere padler nordover ø", ""},
		{"日本語の合言葉は長いほうが良い", ""},
		{strings.Repeat("a", 11), "11 characters"},
		{"øøøøøøøøøøø", "11 characters"},
		{"", "0 characters"},
		{strings.Repeat("a", 1025), "longer than 1024 bytes"},
		{"ABCDEFGHJKMNPQRS", "temporary"},
		{"alice", "user name"},
		{"ALICE1234567", "user name"},
		{"alicealicealice", "user name"},
		{"quiet\x00otters paddle", "control character"},
		{"quiet\x1b[Aotters paddle", "control character"},
		{"quiet \xe5tters paddle north", "UTF-8"},
		{"quiet otters \u0378 paddle north", "a character that not every client can send"},
		{"aaaaaaaaaaaaaaaa", "too easy"},
		{"passwordpassword", "too easy"},
		{"p4$$w0rdp4$$w0rd", "too easy"},
		{"P@ssw0rd!234", "too easy"},
		{"qwertyuiop123", "too easy"},
		{strings.Repeat("1234567890", 10), "too easy"},
		{strings.Repeat("aB3", 40), "too easy"},
		{strings.Repeat("qwertyuiop", 9) + "qwe", "too easy"},
		{"19991231 19991231", "too easy"},
	} {
		got := refusePassphrase(tc.p, "alice", "entry", old)
		if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%q: %q, want %q", tc.p, got, tc.want)
		}
	}
}

func FuzzRefusePassphrase(f *testing.F) {
	for _, s := range []string{"three quiet otters paddle north", "password1234", "\xff\xfe", strings.Repeat("aB3", 400), "日本語のパスフレーズです十二", "ẞẞẞẞẞẞẞẞẞẞẞẞ"} {
		f.Add(s, "alice")
	}
	f.Fuzz(func(t *testing.T, p, user string) {
		why := refusePassphrase(p, user, "entry", nil)
		if why == "" && (len(p) > secret.MaxPassphrase || utf8.RuneCountInString(p) < minCharacters || !utf8.ValidString(p)) {
			t.Errorf("%q was accepted", p)
		}
		if strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("not ASCII: %q", why)
		}
	})
}

// BenchmarkRefusePassphrase has the input that costs zxcvbn's own search for
// l33t spellings seconds.
func BenchmarkRefusePassphrase(b *testing.B) {
	for b.Loop() {
		refusePassphrase(strings.Repeat("a4@8({[<369!1|0$57+%2z", 46)+"x", "alice", "entry", nil)
	}
}
