package takeover

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"entry/bastion/identity/secret"
)

// parseGoogleAuthenticator returns the seed of a .google_authenticator file, or
// says why its codes can't be taken over. Emergency codes and what the file says
// of spent codes are left behind. The format: the seed in base32, lines of options
// that begin with a quote and a space, then emergency codes.
func parseGoogleAuthenticator(text string) (seed []byte, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	first = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(first), " ", ""))
	seed, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(first, "="))
	if err != nil || len(seed) < secret.MinSeed || len(seed) > secret.MaxSeed {
		return nil, fmt.Errorf("its first line is no seed of %d to %d bytes in base32", secret.MinSeed, secret.MaxSeed)
	}
	timed := false
	for line := range strings.Lines(rest) {
		option, ok := strings.CutPrefix(strings.TrimSpace(line), `" `)
		if !ok {
			continue
		}
		f := strings.Fields(option)
		switch {
		case len(f) == 0:
		case f[0] == "TOTP_AUTH":
			timed = true
		case f[0] == "HOTP_COUNTER":
			return nil, errors.New("its codes are counted (HOTP), not timed")
		case f[0] == "STEP_SIZE" && (len(f) != 2 || f[1] != "30"):
			return nil, errors.New("its codes don't change every 30 seconds")
		}
	}
	if !timed {
		return nil, errors.New("it doesn't say that its codes are timed (TOTP_AUTH)")
	}
	return seed, nil
}

// parseShadow gives the hash of each account of a shadow file. Locked accounts
// (! and *) and those without a passphrase have none.
func parseShadow(text string) (map[string]string, error) {
	hashes, n := map[string]string{}, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %d is none of a shadow file: want NAME:HASH:…", n)
		}
		if hash := fields[1]; hash != "" && !strings.HasPrefix(hash, "!") && !strings.HasPrefix(hash, "*") {
			hashes[fields[0]] = hash
		}
	}
	return hashes, nil
}
