package identity

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/matching"

	"entry/bastion/identity/secret"
)

const (
	minCharacters = 12
	minScore      = 3 // of zxcvbn's 0 to 4
	// scoredRunes bounds zxcvbn, whose matching grows with the square of the
	// length.
	scoredRunes = 64
)

// refusePassphrase names the rule that p breaks as a new passphrase of user, as
// a sentence for the prompt, or returns "". Lengths are in characters (code
// points) except for the upper bound.
func refusePassphrase(p, user, issuer string, old *Temporary) string {
	if len(p) > secret.MaxPassphrase {
		return fmt.Sprintf("Refused: it is longer than %d bytes.", secret.MaxPassphrase)
	}
	if !utf8.ValidString(p) {
		return "Refused: your client did not send it as UTF-8, so other clients could not repeat it; use plain letters, digits and signs."
	}
	if strings.ContainsFunc(p, unicode.IsControl) {
		return "Refused: it holds a control character (a tab, or an arrow key?)."
	}
	text, err := secret.Prepare(p)
	if err != nil && p != "" {
		return "Refused: it holds a character that not every client can send; use plain letters, digits and signs."
	}
	p = text
	if old != nil && secret.HashTemporary(p) == old.Hash {
		return "Refused: it is the temporary passphrase."
	}
	if secret.FormOf(p) != secret.NotTemporary {
		return "Refused: it looks like a temporary passphrase."
	}
	low := strings.ToLower(p)
	rest := strings.ReplaceAll(low, strings.ToLower(user), "")
	if low == strings.ToLower(user) || (len(user) >= 3 && rest != low && utf8.RuneCountInString(rest) < minCharacters-4) {
		return "Refused: it is your user name, or little more than that."
	}
	if n := utf8.RuneCountInString(p); n < minCharacters {
		return fmt.Sprintf("Refused: it has %d characters, and %d are needed.", n, minCharacters)
	}
	if strength(p, user, issuer) < minScore {
		return "Refused: it is too easy to guess; use several unrelated words."
	}
	return ""
}

// sameText tells whether two passphrases are the same once prepared.
func sameText(a, b string) bool {
	one, _ := secret.Prepare(a) // what can't be prepared is itself
	other, _ := secret.Prepare(b)
	return one == other
}

// strength is zxcvbn's score of p, 0 to 4, with two corrections. zxcvbn sees
// repeated characters but not repeated words: a repetition is worth its unit. And
// its search through l33t spellings is exponential in their kinds (seconds for
// 64 characters), so the plain spellings are scored instead and the worst counts.
func strength(p, user, issuer string) int {
	r := unit([]rune(p))
	s := string(r[:min(len(r), scoredRunes)])
	score := 4
	for _, form := range []string{s, plainI.Replace(strings.ToLower(s)), plainL.Replace(strings.ToLower(s))} {
		score = min(score, zxcvbn.PasswordStrength(form, []string{user, issuer, "entry", "home"}, matching.FilterL33tMatcher).Score)
	}
	return score
}

var (
	plainI    = strings.NewReplacer(append([]string{"1", "i", "!", "i", "|", "i"}, spellings...)...)
	plainL    = strings.NewReplacer(append([]string{"1", "l", "!", "l", "|", "l"}, spellings...)...)
	spellings = []string{
		"4", "a", "@", "a", "8", "b", "(", "c", "[", "c", "{", "c", "<", "c", "3", "e", "6", "g", "9", "g",
		"0", "o", "5", "s", "$", "s", "7", "t", "+", "t", "%", "x", "2", "z",
	}
)

// unit is the shortest part of r whose repetition is r, the last one perhaps cut.
func unit(r []rune) []rune {
	for n := 1; n <= len(r)/2; n++ {
		if slices.Equal(r[n:], r[:len(r)-n]) {
			return r[:n]
		}
	}
	return r
}
