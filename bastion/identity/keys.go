package identity

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"entry/audit"
)

const (
	maxKeys    = 32      // a user
	maxKeyLine = 8 << 10 // bytes; an RSA key of 4096 bits has 0.8 KiB
	maxComment = 100     // bytes
	minRSABits = 2048
	// maxRSABits: verifying longer keys burns CPU before anybody is proven.
	maxRSABits = 4096
)

// ErrNoKey: the account has no key of that fingerprint.
var ErrNoKey = errors.New("identity: no such key")

// KeyRefused is why a key can't become a first factor, as a clause for whoever
// offered it.
type KeyRefused struct{ Text string }

func (e *KeyRefused) Error() string { return e.Text }

func refuseKey(format string, args ...any) error {
	return &KeyRefused{Text: fmt.Sprintf(format, args...)}
}

// AddKey registers a public key, given as a line of authorized_keys without
// options, as a first factor for name. It refuses certificates, DSA, and RSA
// keys outside 2048 to 4096 bits with a *KeyRefused, as it does a key that the
// account has, and returns the key's fingerprint.
func (a Operators) AddKey(ctx context.Context, name, line string) (fingerprint string, err error) {
	key, err := parseKey(line)
	if err != nil {
		return "", fmt.Errorf("add key to %s: %w", name, err)
	}
	key.Added = a.now()
	e := a.adminEvent(ctx, audit.KeyAdded, name, nil)
	e.Key = key.Fingerprint
	err = a.change(ctx, name, e, func(acct *Account) error {
		keys, err := withKey(acct.Keys, key)
		acct.Keys = keys
		return err
	})
	if err != nil {
		return "", fmt.Errorf("add key %s to %s: %w", key.Fingerprint, name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeKeyAdded, Detail: key.Fingerprint})
	return key.Fingerprint, nil
}

// withKey returns keys with one more, or a *KeyRefused.
func withKey(keys []Key, key Key) ([]Key, error) {
	if slices.ContainsFunc(keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint }) {
		return nil, refuseKey("the account has this key already")
	}
	if len(keys) >= maxKeys {
		return nil, refuseKey("the account has %d keys already, the most it may have", maxKeys)
	}
	return append(slices.Clone(keys), key), nil
}

// RemoveKey takes the key with that SHA256:… fingerprint away, or returns ErrNoKey.
func (a Operators) RemoveKey(ctx context.Context, name, fingerprint string) error {
	e := a.adminEvent(ctx, audit.KeyRemoved, name, nil)
	e.Key = fingerprint
	err := a.change(ctx, name, e, func(acct *Account) error {
		kept := slices.DeleteFunc(slices.Clone(acct.Keys), func(k Key) bool { return k.Fingerprint == fingerprint })
		if len(kept) == len(acct.Keys) {
			return ErrNoKey
		}
		acct.Keys = kept
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove key %s of %s: %w", fingerprint, name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeKeyRemoved, Detail: fingerprint})
	return nil
}

// parseKey reads one line of authorized_keys. Options are refused rather than
// dropped: a restriction that is silently lost would grant more than was meant.
func parseKey(line string) (Key, error) {
	if len(line) > maxKeyLine {
		return Key{}, refuseKey("the line is longer than %d bytes", maxKeyLine)
	}
	pub, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return Key{}, refuseKey("it is no public key: give one line as in id_ed25519.pub")
	case len(options) > 0:
		return Key{}, refuseKey("options before the key are not supported: give the bare key")
	case strings.TrimSpace(string(rest)) != "":
		return Key{}, refuseKey("more than one line: add one key at a time")
	}
	if err := acceptable(pub); err != nil {
		return Key{}, err
	}
	comment = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, comment)
	if len(comment) > maxComment {
		comment = strings.ToValidUTF8(comment[:maxComment], "")
	}
	return Key{
		Fingerprint: ssh.FingerprintSHA256(pub),
		Line:        strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))),
		Comment:     comment,
	}, nil
}

func acceptable(pub ssh.PublicKey) error {
	if _, ok := pub.(*ssh.Certificate); ok {
		return refuseKey("it is a certificate: give the plain public key")
	}
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		if raw, ok := pub.(ssh.CryptoPublicKey); ok {
			if k, ok := raw.CryptoPublicKey().(*rsa.PublicKey); ok {
				if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
					return refuseKey("an RSA key of %d bits: %d to %d are accepted (better: ssh-keygen -t ed25519)", n, minRSABits, maxRSABits)
				}
				return nil
			}
		}
	}
	return refuseKey("keys of type %s are not accepted: make one with ssh-keygen -t ed25519", pub.Type())
}
