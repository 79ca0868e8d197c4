package takeover

import (
	"slices"
	"strings"
	"testing"
)

func TestParseGoogleAuthenticator(t *testing.T) {
	t.Parallel()
	const seedText = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for name, c := range map[string]struct {
		text, refused string
		notes         []string
	}{
		"as the tool writes it": {text: seedText + "\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n87654321\n", notes: []string{"17 codes (WINDOW_SIZE)"}},
		"lower case, grouped":   {text: strings.ToLower("gezd gnbv gy3t qojq gezd gnbv gy3t qojq") + "\r\n\" TOTP_AUTH\r\n"},
		"step of 30":            {text: seedText + "\n\" STEP_SIZE 30\n\" TOTP_AUTH"},
		"step of 60":            {text: seedText + "\n\" TOTP_AUTH\n\" STEP_SIZE 60\n", refused: "30 seconds"},
		"counted":               {text: seedText + "\n\" HOTP_COUNTER 1\n", refused: "HOTP"},
		"neither":               {text: seedText + "\n12345678\n", refused: "TOTP_AUTH"},
		"empty":                 {text: "", refused: "first line"},
		"short":                 {text: "GEZDGNBV\n\" TOTP_AUTH\n", refused: "first line"},
		"long":                  {text: strings.Repeat(seedText, 4) + "\n\" TOTP_AUTH\n", refused: "first line"},
		"the usual window":      {text: seedText + "\n\" TOTP_AUTH\n\" WINDOW_SIZE 3\n\" DISALLOW_REUSE 1 2 3\n\" LAST0 10.0.0.1 1700000000\n\" RESETTING_TIME_SKEW 1+2 2+2\n"},
		"one code at a time":    {text: seedText + "\n\" TOTP_AUTH\n\" WINDOW_SIZE 1\n", notes: []string{"one code (WINDOW_SIZE)"}},
		"a window of words":     {text: seedText + "\n\" TOTP_AUTH\n\" WINDOW_SIZE all\n", refused: "WINDOW_SIZE"},
		"a clock that is wrong": {text: seedText + "\n\" TOTP_AUTH\n\" TIME_SKEW -4\n", notes: []string{"wrong by -4 steps"}},
		"a clock that is right": {text: seedText + "\n\" TOTP_AUTH\n\" TIME_SKEW 0\n"},
		"a clock of words":      {text: seedText + "\n\" TOTP_AUTH\n\" TIME_SKEW much\n", refused: "TIME_SKEW"},
		"a step of nothing":     {text: seedText + "\n\" TOTP_AUTH\n\" STEP_SIZE\n", refused: "30 seconds"},
		"an unknown option":     {text: seedText + "\n\" TOTP_AUTH\n\" DIGITS 8\n", refused: "it has the option DIGITS that is unknown here"},
		"an unknown key":        {text: seedText + "\n\" TOTP_AUTH\n\" JBSWY3DPEHPK3PXP 8\n", refused: "it has an option that is unknown here"},
		"and without a space":   {text: seedText + "\n\" TOTP_AUTH\n\"DIGITS 8\n", refused: "unknown here"},
		"timed without a space": {text: seedText + "\n\"TOTP_AUTH\n", refused: "no space stands behind its quote"},
		"a seed read off":       {text: "GEZDGNBV-GY3TQOJQ-GEZDGNBV-GY3TQ0JQ\n\" TOTP_AUTH\n"},
		"no base32":             {text: "0189" + seedText + "\n\" TOTP_AUTH\n", refused: "first line"},
	} {
		got, notes, err := parseGoogleAuthenticator(c.text)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) || strings.Contains(err.Error(), seedText[:8]) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || string(got) != seed || !slices.EqualFunc(notes, c.notes, strings.Contains) {
			t.Errorf("%s: %q %q %v", name, got, notes, err)
		}
	}
}

func FuzzParseGoogleAuthenticator(f *testing.F) {
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" STEP_SIZE 30\n\" TOTP_AUTH\n12345678\n")
	f.Add("\n\" \n\"")
	f.Fuzz(func(t *testing.T, s string) {
		seed, _, err := parseGoogleAuthenticator(s)
		if (err == nil) != (len(seed) >= 10 && len(seed) <= 64) {
			t.Errorf("%q: %x %v", s, seed, err)
		}
	})
}
