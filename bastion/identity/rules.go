package identity

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
)

const (
	minCharacters = 12
	minScore      = 3 // of zxcvbn's 0 to 4
	// scoredRunes bounds zxcvbn, whose matching grows with the square of the
	// length. What is strong in its first part is strong as a whole.
	scoredRunes = 100
)

// refusePassphrase names the rule that p breaks as a new passphrase of user, as
// a sentence for the prompt, or returns "". Lengths are in characters (code
// points) except for the upper bound.
func refusePassphrase(p, user, issuer string, old *Temporary) string {
	if len(p) > maxPassphrase {
		return fmt.Sprintf("Refused: longer than %d bytes.", maxPassphrase)
	}
	if !utf8.ValidString(p) {
		return "Refused: your client did not send it as UTF-8, so other clients could not repeat it; use plain letters, digits and signs."
	}
	if strings.ContainsFunc(p, unicode.IsControl) {
		return "Refused: it holds a control character (a tab, or an arrow key?)."
	}
	if old != nil && hashTemporary(p) == old.Hash {
		return "Refused: it is the temporary passphrase."
	}
	low := strings.ToLower(p)
	rest := strings.ReplaceAll(low, strings.ToLower(user), "")
	if low == strings.ToLower(user) || (len(user) >= 3 && rest != low && utf8.RuneCountInString(rest) < minCharacters-4) {
		return "Refused: it is your user name, or little more than that."
	}
	if n := utf8.RuneCountInString(p); n < minCharacters {
		return fmt.Sprintf("Refused: it has %d characters, and %d are needed.", n, minCharacters)
	}
	scored := p
	if r := []rune(p); len(r) > scoredRunes {
		scored = string(r[:scoredRunes])
	}
	if s := zxcvbn.PasswordStrength(scored, []string{user, issuer, "entry", "home"}).Score; s < minScore {
		return fmt.Sprintf("Refused: too easy to guess (strength %d of 4, and %d is needed); use several unrelated words.", s, minScore)
	}
	return ""
}
