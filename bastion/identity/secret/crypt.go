package secret

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
)

const (
	maxCryptHash = 256 // bytes; glibc's and libxcrypt's longest have 124
	// maxCryptPassphrase is libxcrypt's CRYPT_MAX_PASSPHRASE_SIZE: nothing longer
	// was ever hashed, and SHA-crypt grows with the length.
	maxCryptPassphrase = 512 // bytes
	// maxCryptRounds admits what tools set (passlib: 656,000), so that one login
	// costs a second of CPU at most.
	maxCryptRounds   = 1_000_000
	plainCryptRounds = 5000 // of a hash that names none
	// maxYescrypt bounds N·r, for 128 bytes each: as much memory as argon2id's.
	maxYescrypt = 1 << 19
)

// Imported tells whether a stored passphrase still has the form it was imported in.
func Imported(stored string) bool {
	return stored != "" && !strings.HasPrefix(stored, "$argon2id$")
}

// CheckImported tells whether a hash of crypt(3) is one that Verify can go on
// with. The error says why not, in words for whoever imports it, and never
// quotes the hash.
func CheckImported(stored string) error {
	_, err := parseCrypt(stored)
	return err
}

// cryptHash is a parsed crypt(3) hash: what computes it again, and what has to
// come out. The zero value matches nothing.
type cryptHash struct {
	whole   string
	compute func(passphrase string) (string, error)
}

// parseCrypt reads a hash of crypt(3), crypt(5): $5$ and $6$ (SHA-crypt), $y$
// (yescrypt as libxcrypt makes it). The error says why, for people, and never
// quotes the hash.
func parseCrypt(s string) (cryptHash, error) {
	kind, rest, ok := strings.Cut(strings.TrimPrefix(s, "$"), "$")
	if len(s) > maxCryptHash || !strings.HasPrefix(s, "$") || !ok {
		return cryptHash{}, errors.New("the hash is locked, empty, or of a kind from before crypt(5)'s $id$")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' || r == ':' }) {
		return cryptHash{}, errors.New("the hash holds characters that crypt(3) never writes")
	}
	switch kind {
	case "5":
		return parseSHACrypt(s, rest, sha256.New, 43)
	case "6":
		return parseSHACrypt(s, rest, sha512.New, 86)
	case "y":
		return parseYescrypt(s, rest)
	case "1":
		return cryptHash{}, errors.New("its hash is MD5 ($1$), which is too weak to go on with")
	}
	return cryptHash{}, errors.New("hashes of its kind are not supported: only $5$, $6$ and $y$ are")
}

// parseSHACrypt reads [rounds=N$]salt$sum (Drepper, "Unix crypt using SHA-256
// and SHA-512").
func parseSHACrypt(s, rest string, f func() hash.Hash, size int) (cryptHash, error) {
	rounds := plainCryptRounds
	if n, more, ok := strings.Cut(rest, "$"); ok && strings.HasPrefix(n, "rounds=") {
		n = strings.TrimPrefix(n, "rounds=")
		v, err := strconv.Atoi(n)
		if err != nil || strconv.Itoa(v) != n || v < 1000 || v > maxCryptRounds {
			return cryptHash{}, fmt.Errorf("its hash has not between 1000 and %d rounds", maxCryptRounds)
		}
		rounds, rest = v, more
	}
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 16 || len(sum) != size || strings.Contains(sum, "$") {
		return cryptHash{}, errors.New("its hash is damaged")
	}
	front := strings.TrimSuffix(s, sum)
	return cryptHash{s, func(p string) (string, error) {
		return front + string(crypt.KeySHACrypt(f, []byte(p), []byte(salt), rounds)), nil
	}}, nil
}

// parseYescrypt reads params$salt$sum with parameters of the form jNr, the only
// one that libxcrypt's gensalt makes.
func parseYescrypt(s, rest string) (cryptHash, error) {
	const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	f := strings.Split(rest, "$")
	if len(f) != 3 || len(f[0]) != 3 || f[0][0] != 'j' || len(f[1]) == 0 || len(f[1]) > 86 || len(f[2]) != 43 {
		return cryptHash{}, errors.New("its yescrypt hash has parameters that are not supported, or is damaged")
	}
	n, r := strings.IndexByte(digits, f[0][1])+1, strings.IndexByte(digits, f[0][2])+1
	if r > 32 { // which the library doesn't compute; libxcrypt makes 32 at most
		return cryptHash{}, errors.New("its yescrypt hash has parameters that are not supported, or is damaged")
	}
	if n < 10 || n > 18 || r < 1 || r<<n > maxYescrypt {
		return cryptHash{}, errors.New("its yescrypt hash needs more than 64 MiB of memory, or less than any that libxcrypt makes")
	}
	if yescrypt.Decode64([]byte(f[1])) == nil || yescrypt.Decode64([]byte(f[2])) == nil {
		return cryptHash{}, errors.New("its hash is damaged")
	}
	return cryptHash{s, func(p string) (string, error) {
		got, err := yescrypt.Hash([]byte(p), []byte(s))
		return string(got), err
	}}, nil
}

var errCrypt = errors.New("not a crypt(3) hash that entry imports")

// verifyCrypt is verify for a hash that was imported, under the same queue.
func (h *Hasher) verifyCrypt(ctx context.Context, kind turn, of, stored, passphrase string) (bool, error) {
	c, err := parseCrypt(stored)
	if err != nil {
		return false, errCrypt
	}
	long := len(passphrase) > maxCryptPassphrase || strings.Contains(passphrase, "\x00")
	if long {
		passphrase = ""
	}
	var got string
	var computing error
	compute := func() {
		if kind != first && kind != inside { // else the queue would tell, by how fast it goes, whose hash was imported
			argon2.IDKey(nil, make([]byte, saltSize), h.costs.Passes, h.costs.Memory, h.costs.Threads, hashSize)
		}
		got, computing = c.compute(passphrase)
	}
	if err := h.inTurn(ctx, kind, of, compute); err != nil {
		return false, fmt.Errorf("check passphrase: %w", err)
	}
	if computing != nil {
		return false, errCrypt
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(c.whole)) == 1 && !long, nil
}
