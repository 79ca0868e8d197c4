package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
)

// What can be wrong with a witness's public key: predicates of a sentence.
var (
	errNoKey = errors.New("isn't a witness's public key")
	errTypo  = errors.New("isn't a witness's public key as its operator gave it: a character is wrong or missing")
)

// parseKey reads a witness's public key, a C2SP verifier key NAME+HASH+BASE64. The hash is
// held against the key: package format leaves that out, and of a mistyped key it would be
// said that the witness hasn't cosigned.
func parseKey(text string) (note.Verifier, error) {
	text = strings.TrimSpace(text)
	name, rest, _ := strings.Cut(text, "+")
	hash, b64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(b64)
	if err == nil && name != "" && len(key) > 0 {
		if sum := sha256.Sum256(append([]byte(name+"\n"), key...)); hash != hex.EncodeToString(sum[:4]) {
			return nil, errTypo
		}
	}
	k, err := format.NewVerifierForCosignatureV1(text)
	if err != nil {
		return nil, errNoKey
	}
	return k, nil
}

// ParseKeys reads witnesses' public keys.
func ParseKeys(texts []string) ([]note.Verifier, error) {
	var keys []note.Verifier
	for _, text := range texts {
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%.80q %w", text, err)
		}
		for _, other := range keys {
			if other.Name() == k.Name() && other.KeyHash() == k.KeyHash() {
				return nil, fmt.Errorf("the witness %s is there twice", plain.Word(k.Name()))
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}
