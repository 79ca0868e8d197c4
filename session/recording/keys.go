package recording

import (
	"fmt"
	"io"

	"filippo.io/age"
)

// ParseRecipients reads auditors' public keys, one a line, as `age-keygen -y`
// prints them; empty lines and lines starting with # are skipped.
func ParseRecipients(r io.Reader) ([]age.Recipient, error) {
	to, err := age.ParseRecipients(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read auditors' keys: %w", err)
	}
	return to, nil
}

// ParseIdentities reads auditors' secret keys, one a line, as age-keygen
// writes them. An error never holds a key.
func ParseIdentities(r io.Reader) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read auditor identities: %w", err)
	}
	return ids, nil
}

// GenerateIdentity makes a key pair for an auditor: the identity is the
// secret, the recipient goes into the configuration. Stock age reads both.
func GenerateIdentity() (identity, recipient string, err error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("generate auditor key: %w", err)
	}
	return k.String(), k.Recipient().String(), nil
}

const maxKeyFile = 1 << 20 // bytes; a hybrid recipient takes 2 kB, so hundreds of auditors fit
