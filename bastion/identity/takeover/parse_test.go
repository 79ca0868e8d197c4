package takeover

import (
	"maps"
	"strings"
	"testing"
)

func TestParseGoogleAuthenticator(t *testing.T) {
	t.Parallel()
	const seedText = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for name, c := range map[string]struct{ text, refused string }{
		"as the tool writes it": {text: seedText + "\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n87654321\n"},
		"lower case, grouped":   {text: strings.ToLower("gezd gnbv gy3t qojq gezd gnbv gy3t qojq") + "\r\n\" TOTP_AUTH\r\n"},
		"step of 30":            {text: seedText + "\n\" STEP_SIZE 30\n\" TOTP_AUTH"},
		"step of 60":            {seedText + "\n\" TOTP_AUTH\n\" STEP_SIZE 60\n", "30 seconds"},
		"counted":               {seedText + "\n\" HOTP_COUNTER 1\n", "HOTP"},
		"neither":               {seedText + "\n12345678\n", "TOTP_AUTH"},
		"empty":                 {"", "first line"},
		"short":                 {"GEZDGNBV\n\" TOTP_AUTH\n", "first line"},
		"long":                  {strings.Repeat(seedText, 4) + "\n\" TOTP_AUTH\n", "first line"},
		"no base32":             {"0189" + seedText + "\n\" TOTP_AUTH\n", "first line"},
	} {
		got, err := parseGoogleAuthenticator(c.text)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) || strings.Contains(err.Error(), seedText[:8]) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || string(got) != seed {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func FuzzParseGoogleAuthenticator(f *testing.F) {
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" STEP_SIZE 30\n\" TOTP_AUTH\n12345678\n")
	f.Add("\n\" \n\"")
	f.Fuzz(func(t *testing.T, s string) {
		seed, err := parseGoogleAuthenticator(s)
		if (err == nil) != (len(seed) >= 10 && len(seed) <= 64) {
			t.Errorf("%q: %x %v", s, seed, err)
		}
	})
}

func TestParseShadow(t *testing.T) {
	t.Parallel()
	const hash = "$6$abcdefgh$A30nuHQHAaSxDEaG3fe3yHSsP"
	for name, c := range map[string]struct {
		text    string
		want    map[string]string
		refused string
	}{
		"whole":          {text: "alice:" + hash + ":19000:0:99999:7:::\n", want: map[string]string{"alice": hash}},
		"short, no end":  {text: "alice:" + hash, want: map[string]string{"alice": hash}},
		"Windows' lines": {text: "# old\r\n\r\nalice:" + hash + ":1\r\nbob:" + hash + "\r\n", want: map[string]string{"alice": hash, "bob": hash}},
		"locked":         {text: "a:!:1\nb:*:1\nc:!!:1\nd:!" + hash + ":1\ne::1\n"},
		"twice":          {text: "alice:" + hash + "\nalice:other\n", want: map[string]string{"alice": "other"}},
		"empty":          {},
		"another file":   {text: "# a comment\n\nlabs\n", refused: "line 3 is none of a shadow file: want NAME:HASH:…"},
	} {
		got, err := parseShadow(c.text)
		if (c.refused == "") != (err == nil) || (err != nil && err.Error() != c.refused) || !maps.Equal(got, c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func FuzzParseShadow(f *testing.F) {
	f.Add("root:!:19000:0:99999:7:::\nalice:$6$abc$def:19000\n# x\n")
	f.Add("a:b\r\n:c\n\x00:\xff")
	f.Fuzz(func(t *testing.T, s string) {
		hashes, err := parseShadow(s)
		if err != nil {
			if strings.Contains(s, ":") && strings.Contains(err.Error(), s) {
				t.Errorf("the error quotes %q", s)
			}
			return
		}
		for name, hash := range hashes {
			if hash == "" || hash[0] == '!' || hash[0] == '*' || strings.ContainsAny(name+hash, ":\n") || strings.HasPrefix(name, "#") ||
				!strings.Contains(s, name+":"+hash) {
				t.Errorf("%q: %q has %q", s, name, hash)
			}
		}
	})
}
