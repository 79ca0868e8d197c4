package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// maxPassphrase is the most bytes of a passphrase: enough for any sentence,
// little enough that hashing one is no way to burn CPU.
const maxPassphrase = 1024

// params are argon2id's costs.
type params struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// recommended is RFC 9106 §4's second recommended option, for machines that
// can't spare 2 GiB a login. Not configurable: a weaker setting would be used.
var recommended = params{memory: 64 << 10, time: 3, threads: 4}

const (
	saltSize = 16 // bytes; RFC 9106 §4
	hashSize = 32 // bytes
	// atOnce is how many hashes run together: 64 MiB each, before any login.
	atOnce = 2
	// queueDeadline is how long a hash may wait for its turn. Whoever waits
	// longer is told that entry is busy; nothing is counted against them.
	queueDeadline = 5 * time.Second
)

var errBusy = errors.New("too many passphrases to hash")

// hasher computes and checks passphrase hashes, a few at a time.
type hasher struct {
	params params
	turn   chan struct{}
	wait   time.Duration
	// hashed, where set, hears of every turn taken: tests count hashes by it.
	hashed func()
}

func newHasher(p params) *hasher {
	return &hasher{params: p, turn: make(chan struct{}, atOnce), wait: queueDeadline}
}

// slot waits for a turn at hashing, which ends with release.
func (h *hasher) slot(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.wait, errBusy)
	defer cancel()
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if h.hashed != nil {
		h.hashed()
	}
	return func() { <-h.turn }, nil
}

func (h *hasher) key(ctx context.Context, passphrase string, salt []byte, p params) ([]byte, error) {
	release, err := h.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return argon2.IDKey([]byte(passphrase), salt, p.time, p.memory, p.threads, hashSize), nil
}

// hash returns the PHC string of passphrase under a fresh salt.
func (h *hasher) hash(ctx context.Context, passphrase string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	sum, err := h.key(ctx, passphrase, salt, h.params)
	if err != nil {
		return "", fmt.Errorf("hash passphrase: %w", err)
	}
	return formatPHC(h.params, salt, sum), nil
}

// verify tells whether passphrase belongs to phc. A passphrase that is too long
// is wrong, at the same cost.
func (h *hasher) verify(ctx context.Context, phc, passphrase string) (bool, error) {
	if isCrypt(phc) {
		return h.verifyCrypt(ctx, phc, passphrase)
	}
	p, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	long := len(passphrase) > maxPassphrase
	if long {
		passphrase = ""
	}
	got, err := h.key(ctx, passphrase, salt, p)
	if err != nil {
		return false, fmt.Errorf("check passphrase: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && !long, nil
}

// dummy returns a PHC string that no passphrase is known for, at the same cost.
func (h *hasher) dummy() string {
	b := make([]byte, saltSize+hashSize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return formatPHC(h.params, b[:saltSize], b[saltSize:])
}

var phcText = base64.RawStdEncoding.Strict()

func formatPHC(p params, salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		phcText.EncodeToString(salt), phcText.EncodeToString(sum))
}

var errPHC = errors.New("not an argon2id hash that entry writes")

// parsePHC reads a stored hash. Its costs are bounded by the recommended ones,
// so that a changed row can't order more work than a login may cost. The error
// never quotes the hash.
func parsePHC(s string) (p params, salt, sum []byte, err error) {
	f := strings.Split(s, "$")
	if len(s) > 256 || len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, nil, nil, errPHC
	}
	costs := strings.Split(f[3], ",")
	if len(costs) != 3 {
		return p, nil, nil, errPHC
	}
	var n [3]uint64
	for i, c := range []struct {
		name string
		max  uint32
	}{{"m=", recommended.memory}, {"t=", recommended.time}, {"p=", uint32(recommended.threads)}} {
		v, ok := strings.CutPrefix(costs[i], c.name)
		if n[i], err = strconv.ParseUint(v, 10, 32); err != nil || !ok || n[i] < 1 || n[i] > uint64(c.max) || strconv.FormatUint(n[i], 10) != v {
			return p, nil, nil, errPHC
		}
	}
	p = params{memory: uint32(n[0]), time: uint32(n[1]), threads: uint8(n[2])}
	if salt, err = phcText.DecodeString(f[4]); err != nil || len(salt) != saltSize {
		return p, nil, nil, errPHC
	}
	if sum, err = phcText.DecodeString(f[5]); err != nil || len(sum) != hashSize {
		return p, nil, nil, errPHC
	}
	return p, salt, sum, nil
}
