package ca

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// KnownHostsCA returns the known_hosts line, newline included, that makes a
// client trust key as the CA of the named hosts:
//
//	@cert-authority home,*.tinker,entry ssh-ed25519 AAAA… entry host CA
//
// A pattern is a lower-case host name in which '*' and '?' are wildcards; a
// bare "*" is refused, since it would make this CA speak for every host the
// user knows.
func KnownHostsCA(key ssh.PublicKey, patterns ...string) (string, error) {
	if key == nil {
		return "", errors.New("known_hosts line: no key")
	}
	if err := pubkey.Check(key); err != nil {
		return "", fmt.Errorf("known_hosts line: %w", err)
	}
	if len(patterns) == 0 {
		return "", errors.New("known_hosts line: no names")
	}
	for _, p := range patterns {
		if err := checkPattern(p); err != nil {
			return "", fmt.Errorf("known_hosts line: %w", err)
		}
	}
	return "@cert-authority " + strings.Join(patterns, ",") + " " + string(authorizedLine(key, "entry host CA")), nil
}

func checkPattern(p string) error {
	if strings.Trim(p, "*?.") == "" {
		return fmt.Errorf("pattern %q matches every host", p)
	}
	return checkName(strings.NewReplacer("*", "x", "?", "x").Replace(p))
}
