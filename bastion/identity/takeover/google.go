package takeover

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"entry/bastion/identity/secret"
)

// mistyped are the characters that google-authenticator-libpam reads as others, and
// those that it passes over.
var mistyped = strings.NewReplacer("0", "O", "1", "L", "8", "B", "-", "", " ", "", "\t", "")

// parseGoogleAuthenticator returns the seed of a .google_authenticator file, or
// says why its codes can't be taken over; notes name what is right there and wrong
// here, or the reverse. Emergency codes and what the file says of spent codes and of
// tries are left behind. The format: the seed in base32, lines of options that begin
// with a quote and a space, then emergency codes.
func parseGoogleAuthenticator(text string) (seed []byte, notes []string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	first = mistyped.Replace(strings.ToUpper(strings.TrimSpace(first)))
	seed, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(first, "="))
	if err != nil || len(seed) < secret.MinSeed || len(seed) > secret.MaxSeed {
		return nil, nil, fmt.Errorf("its first line is no seed of %d to %d bytes in base32", secret.MinSeed, secret.MaxSeed)
	}
	timed := false
	for line := range strings.Lines(rest) {
		option, ok := strings.CutPrefix(strings.TrimSpace(line), `"`)
		if !ok {
			continue
		}
		if !strings.HasPrefix(option, " ") { // the library passes over such a line, whatever it was meant to say
			return nil, nil, errors.New("it has an option that is unknown here, because no space stands behind its quote")
		}
		name, value := "", ""
		if f := strings.Fields(option); len(f) > 0 {
			name, value = f[0], strings.Join(f[1:], " ")
		}
		if name == "TOTP_AUTH" {
			timed = true
			continue
		}
		note, err := judgeOption(name, value)
		if err != nil {
			return nil, nil, err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	if !timed {
		return nil, nil, errors.New("it doesn't say that its codes are timed (TOTP_AUTH)")
	}
	return seed, notes, nil
}

// judgeOption says what an option of the file means for codes that entry checks:
// nothing, a note, or that they can't be checked.
func judgeOption(name, value string) (note string, err error) {
	switch {
	case name == "":
		return "", nil
	case name == "HOTP_COUNTER":
		return "", errors.New("its codes are counted (HOTP), not timed")
	case name == "STEP_SIZE" && value != "30":
		return "", errors.New("its codes don't change every 30 seconds")
	case name == "WINDOW_SIZE":
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 100 { // the library's own bounds
			return "", errors.New("its WINDOW_SIZE is no number from 1 to 100")
		} else if n != 3 {
			return fmt.Sprintf("its window of %s (WINDOW_SIZE) is not kept: here a code is right for 30 s before and after its time", countCodes(n)), nil
		}
		return "", nil
	case name == "TIME_SKEW":
		n, err := strconv.Atoi(value)
		if err != nil {
			return "", errors.New("its TIME_SKEW is no number")
		}
		if n != 0 {
			return fmt.Sprintf("its clock was wrong by %d steps of 30 s (TIME_SKEW), which is not kept: the device's clock has to be set right", n), nil
		}
		return "", nil
	case name == "STEP_SIZE", name == "RATE_LIMIT", name == "DISALLOW_REUSE", name == "RESETTING_TIME_SKEW", lastLogin(name):
		return "", nil // entry's own limits are stricter
	}
	what := "an option"
	if optionName(name) { // else it may be anything, a secret that was put there, too
		what = "the option " + name
	}
	return "", fmt.Errorf("it has %s that is unknown here, which may change its codes", what)
}

// optionName tells whether name looks like the library's own: capitals with an underscore,
// or a short word of them, and so like none of the keys in base32.
func optionName(name string) bool {
	plain := !strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })
	return plain && (len(name) <= 8 || strings.Contains(name, "_") && len(name) <= 32)
}

// lastLogin tells whether the option is a login that grace_period goes by: LAST0
// and so on. Here every login needs a code, or a remembered key.
func lastLogin(name string) bool {
	n, ok := strings.CutPrefix(name, "LAST")
	_, err := strconv.ParseUint(n, 10, 8)
	return ok && err == nil
}

func countCodes(n int) string {
	if n == 1 {
		return "one code"
	}
	return fmt.Sprintf("%d codes", n)
}
