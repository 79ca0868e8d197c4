package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"math/big"
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

// What a seed that was made elsewhere may have, in bytes: google-authenticator made
// the shortest for years, and the block of SHA-1 bounds the longest.
const (
	MinSeed = 10
	MaxSeed = 64
)

var seedText = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSeed returns what a new authenticator computes its codes from.
func NewSeed() []byte {
	b := make([]byte, seedSize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// SeedText is a seed as authenticator apps take it: base32 without padding.
func SeedText(seed []byte) string { return seedText.EncodeToString(seed) }

// NewCode is six random digits, each of the million as likely.
func NewCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic("secret: crypto/rand failed: " + err.Error()) // it ends the process instead
	}
	return fmt.Sprintf("%06d", n)
}

// stepAt is the TOTP step of t.
func stepAt(t time.Time) int64 { return t.Unix() / int64(stepLength/time.Second) }

// NewestStep is the last step whose code is accepted at t.
func NewestStep(t time.Time) int64 { return stepAt(t) + acceptedDrift }

// Drift is how far an authenticator's clock was ahead of ours that showed the
// code of step at t.
func Drift(step int64, t time.Time) time.Duration { return time.Duration(step-stepAt(t)) * stepLength }

// codeAt is the code that an authenticator with seed shows in step.
func codeAt(seed []byte, step int64) (string, error) {
	if step < 0 {
		return "", fmt.Errorf("code of step %d: before 1970", step)
	}
	return hotp.GenerateCodeCustom(seedText.EncodeToString(seed), uint64(step), hotp.ValidateOpts{
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
}

// ParseCode returns the six digits of an answer, however they are grouped (see
// separates) and by whichever keyboard: replay is kept out by steps, not by comparing
// strings.
func ParseCode(answer string) (string, bool) {
	if len(answer) > 8*codeDigits {
		return "", false
	}
	var s strings.Builder
	for _, r := range answer {
		if !separates(r) {
			s.WriteRune(narrow(r))
		}
	}
	return s.String(), isCode(s.String())
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

// SplitAnswer cuts an answer of the form passphrase123456. Both parts are
// non-empty.
func SplitAnswer(answer string) (passphrase, code string, ok bool) {
	n := len(answer) - codeDigits
	if n < 1 || !isCode(answer[n:]) {
		return "", "", false
	}
	return answer[:n], answer[n:], true
}

// Match is how a code relates to one authenticator. The zero Match is none.
type Match struct {
	Found bool
	Step  int64
	Drift time.Duration // how far the authenticator's clock is ahead, in whole steps
}

// Acceptable tells whether the authenticator's clock is close enough.
func (m Match) Acceptable() bool { return m.Found && m.Drift.Abs() <= acceptedDrift*stepLength }

// FindStep looks for code in the diagnosed window around now. Of several steps with
// the same code it prefers an acceptable one after lastStep, then an acceptable one.
// It does the same work whatever it finds.
func FindStep(seed []byte, code string, now time.Time, lastStep int64) (Match, error) {
	centre := stepAt(now)
	best, rank := Match{}, 0
	try := func(step, drift int64, r int) error {
		if step < 0 {
			return nil
		}
		want, err := codeAt(seed, step)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && r > rank {
			best, rank = Match{Found: true, Step: step, Drift: time.Duration(drift) * stepLength}, r
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
			return Match{}, err
		}
	}
	return best, nil
}
