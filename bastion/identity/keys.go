package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy/pubkey"
)

// MaxKeys is how many public keys one account may have.
const MaxKeys = 32

const maxComment = 100 // bytes

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
// account has, and one that is another account's, or that others share. It returns the
// key's fingerprint.
func (a Operators) AddKey(ctx context.Context, name, line string) (fingerprint string, err error) {
	return a.addKey(ctx, name, line, "")
}

// ShareKey is AddKey for a key that is other accounts' and stays theirs, for a reason
// that stands with this account alone. A key that the account has already is shared
// from now on. What others merely claim yields to the first proof all the same.
func (a Operators) ShareKey(ctx context.Context, name, line, reason string) (fingerprint string, err error) {
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxComment || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", refuseKey("a shared key needs a reason, in one line of at most %d bytes", maxComment)
	}
	return a.addKey(ctx, name, line, reason)
}

func (a Operators) addKey(ctx context.Context, name, line, shared string) (fingerprint string, err error) {
	key, err := parseKey(line)
	if err != nil {
		return "", fmt.Errorf("add key to %s: %w", name, err)
	}
	key.Added, key.Shared = a.now(), shared
	e := a.adminEvent(ctx, audit.KeyAdded, name, nil)
	e.Key = key.Fingerprint
	taken := func(owner string) error {
		return refuseKey("%s is %s, and a key belongs to one account; --shared --reason lets %s have it, too", key.Fingerprint, owner, name)
	}
	if shared != "" {
		e.Detail = SharedKey + shared
	} else {
		owner, err := a.owner(ctx, name, key.Fingerprint, a.adminEvent(ctx, "", name, nil))
		if err == nil && owner != "" {
			err = taken(owner)
		}
		if err != nil {
			return "", fmt.Errorf("add key to %s: %w", name, err)
		}
	}
	var changed Account
	err = a.change(ctx, name, e, func(acct *Account) error {
		keys, err := shareOrAdd(acct.Keys, key)
		acct.Keys = keys
		changed = *acct
		return err
	})
	if err != nil {
		return "", fmt.Errorf("add key %s to %s: %w", key.Fingerprint, name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeKeyAdded, Detail: key.Fingerprint})
	if shared == "" { // it may have become somebody's since it was looked at
		owner, err := a.yield(ctx, changed, key.Fingerprint, a.adminEvent(ctx, "", name, nil))
		if err == nil && owner != "" {
			err = taken(owner)
		}
		if err != nil {
			return "", fmt.Errorf("add key to %s: %w", name, err)
		}
	}
	return key.Fingerprint, nil
}

// shareOrAdd is withKey, but for a key that the account has already and shares from
// now on.
func shareOrAdd(keys []Key, key Key) ([]Key, error) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint })
	if i < 0 || key.Shared == "" {
		return withKey(keys, key)
	}
	keys = slices.Clone(keys)
	keys[i].Shared = key.Shared
	return keys, nil
}

// withKey returns keys with one more, or a *KeyRefused.
func withKey(keys []Key, key Key) ([]Key, error) {
	if slices.ContainsFunc(keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint }) {
		return nil, refuseKey("the account has this key already")
	}
	if len(keys) >= MaxKeys {
		return nil, refuseKey("the account has %d keys already, the most it may have", MaxKeys)
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
	pub, comment, err := pubkey.Parse(line)
	var no *pubkey.Error
	if errors.As(err, &no) {
		return Key{}, refusedKey(no)
	}
	if err != nil {
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
		Line:        pubkey.Line(pub),
		Comment:     comment,
	}, nil
}

// refusedKey says it to the key's owner.
func refusedKey(no *pubkey.Error) error {
	switch no.Reason {
	case pubkey.Malformed:
		why := ""
		if no.Type == "" { // else it quotes what may be anything
			why = " (" + no.Error() + ")"
		}
		return refuseKey("it is no public key%s: give the one line of a file like id_ed25519.pub, or what PuTTYgen shows at the top of its window", why)
	case pubkey.Private:
		return refuseKey("it is a PRIVATE key, which nobody else may have: give the file that ends in .pub, or what PuTTYgen shows at the top of its window")
	case pubkey.Prefixed:
		return refuseKey("options before the key are not supported: give the bare key")
	case pubkey.MoreThanOne:
		return refuseKey("more than one line: add one key at a time")
	case pubkey.Certificate:
		return refuseKey("it is a certificate: give the plain public key")
	case pubkey.TooLong:
		return refuseKey("%v", no)
	}
	switch {
	case no.Bits != 0:
		return refuseKey("an RSA key of %d bits: %d to %d are accepted (better: ssh-keygen -t ed25519)", no.Bits, pubkey.MinRSABits, pubkey.MaxRSABits)
	case no.Type == ssh.KeyAlgoRSA:
		return refuseKey("%v: make one with ssh-keygen -t ed25519", no)
	}
	return refuseKey("keys of type %s are not accepted: make one with ssh-keygen -t ed25519", no.Type)
}
