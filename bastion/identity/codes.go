package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	codeDigits = 6
	stepLength = 30 * time.Second // RFC 6238 §4.1, what every app assumes
	// acceptedDrift is how many steps a code may be early or late; diagnosedDrift
	// is how far a wrong clock is recognised and named, never accepted.
	acceptedDrift  = 1
	diagnosedDrift = 10
	seedSize       = 20 // bytes; RFC 4226 §4 R6 recommends 160 bits
)

var seedText = base32.StdEncoding.WithPadding(base32.NoPadding)

func newSeed() []byte {
	b := make([]byte, seedSize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// stepAt is the TOTP step of t.
func stepAt(t time.Time) int64 { return t.Unix() / int64(stepLength/time.Second) }

// codeAt is the code that an authenticator with seed shows in step.
func codeAt(seed []byte, step int64) (string, error) {
	if step < 0 {
		return "", fmt.Errorf("code of step %d: before 1970", step)
	}
	return hotp.GenerateCodeCustom(seedText.EncodeToString(seed), uint64(step), hotp.ValidateOpts{
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
}

// parseCode returns the six digits of an answer. Around them, and once between
// the third and the fourth (as apps show them), a space is tolerated; replay is
// kept out by steps, not by comparing strings.
func parseCode(answer string) (string, bool) {
	s := strings.Trim(answer, " ")
	if len(s) == codeDigits+1 && s[3] == ' ' {
		s = s[:3] + s[4:]
	}
	return s, isCode(s)
}

func isCode(s string) bool {
	if len(s) != codeDigits {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseRecovery returns the bare symbols of a recovery code xxxx-xxxx-xxxx.
func parseRecovery(answer string) (string, bool) {
	return canonicalSymbols(answer, recoverySymbols)
}

// splitAnswer cuts an answer of the form passphrase123456. Both parts are
// non-empty.
func splitAnswer(answer string) (passphrase, code string, ok bool) {
	n := len(answer) - codeDigits
	if n < 1 || !isCode(answer[n:]) {
		return "", "", false
	}
	return answer[:n], answer[n:], true
}

// match is how a code relates to one authenticator.
type match struct {
	found bool
	step  int64
	drift int64 // steps ahead of the clock; within acceptedDrift it may be accepted
}

func (m match) acceptable() bool {
	return m.found && -acceptedDrift <= m.drift && m.drift <= acceptedDrift
}

// findStep looks for code in the diagnosed window around now, and at kept, a
// step that this connection has spent already (negative for none; it may have
// left the window while its owner typed). Of several steps with the same code it
// prefers a kept one, then an acceptable unspent one, then an acceptable one. It
// does the same work whatever it finds.
func findStep(seed []byte, code string, now time.Time, lastStep, kept int64) (match, error) {
	centre := stepAt(now)
	best, rank := match{}, 0
	try := func(step, drift int64, r int) error {
		if step < 0 {
			return nil
		}
		want, err := codeAt(seed, step)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && r > rank {
			best, rank = match{found: true, step: step, drift: drift}, r
		}
		return nil
	}
	for d := int64(-diagnosedDrift); d <= diagnosedDrift; d++ {
		r := 1
		if -acceptedDrift <= d && d <= acceptedDrift {
			if r = 2; centre+d > lastStep {
				r = 3
			}
		}
		if err := try(centre+d, d, r); err != nil {
			return match{}, err
		}
	}
	// Kept counts as in time: the grace bounds how long it can be retried.
	if err := try(kept, 0, 4); err != nil {
		return match{}, err
	}
	return best, nil
}
