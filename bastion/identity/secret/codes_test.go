package secret

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"golang.org/x/text/unicode/norm"
)

// TestCodeAt against the test vectors of RFC 6238 appendix B (SHA-1, the last
// six digits) and against the library's own time handling.
func TestCodeAt(t *testing.T) {
	seed := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		when := time.Unix(at, 0)
		got, err := codeAt(seed, stepAt(when))
		if err != nil || got != want {
			t.Errorf("at %d: %s, %v; want %s", at, got, err, want)
		}
		other, err := totp.GenerateCodeCustom(seedText.EncodeToString(seed), when, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
		if err != nil || other != want {
			t.Errorf("totp at %d: %s %v", at, other, err)
		}
	}
	if _, err := codeAt(seed, -1); err == nil {
		t.Error("a code from before 1970")
	}
}

func TestFindStep(t *testing.T) {
	seed, now := []byte("12345678901234567890"), time.Unix(1_700_000_000, 0)
	centre := stepAt(now)
	for d := int64(-12); d <= 12; d++ {
		code, err := codeAt(seed, centre+d)
		if err != nil {
			t.Fatal(err)
		}
		m, err := FindStep(seed, code, now, 0)
		if err != nil || m.Found != (-10 <= d && d <= 10) || m.Acceptable() != (-1 <= d && d <= 1) || (m.Found && m.Drift != time.Duration(d)*30*time.Second) {
			t.Errorf("drift %d: %+v %v", d, m, err)
		}
	}
	if m, err := FindStep(seed, "", now, 0); err != nil || m.Found {
		t.Errorf("empty code: %+v %v", m, err)
	}
	if m, err := FindStep(seed, "123456", time.Unix(0, 0), 0); err != nil || m.Found {
		t.Errorf("1970: %+v %v", m, err)
	}
}

func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"123456", "123 456", " 123456 ", "12345", "１２３４５６", "123\n456", "123-456", "\ufeff123\u00a0456\r", "123\xff456", "1234567", "passphrase123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := ParseCode(s)
		// Its digits in their order, and nothing that means anything beside them.
		var digits strings.Builder
		for _, r := range norm.NFKC.String(s) {
			if unicode.IsLetter(r) || unicode.IsNumber(r) {
				digits.WriteRune(r)
			}
		}
		if ok != isCode(c) || ok && digits.String() != c {
			t.Errorf("%q: %q %v", s, c, ok)
		}
		p, c, ok := SplitAnswer(s)
		if ok && (p+c != s || !isCode(c) || p == "") {
			t.Errorf("%q: %q %q", s, p, c)
		}
	})
}
