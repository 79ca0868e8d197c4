package secret

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

// MaxPassphrase is the most bytes of a passphrase: enough for any sentence,
// little enough that hashing one is no way to burn CPU.
const MaxPassphrase = 1024

// Costs are argon2id's.
type Costs struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// recommended is RFC 9106 §4's second recommended option, for machines that
// can't spare 2 GiB a login. Not configurable: a weaker setting would be used.
var recommended = Costs{Memory: 64 << 10, Passes: 3, Threads: 4}

const (
	saltSize = 16 // bytes; RFC 9106 §4
	hashSize = 32 // bytes
	// AtOnce is how many hashes run together: 64 MiB each, before any login.
	AtOnce = 2
	// queueDeadline is how long a hash may wait for its turn. Whoever waits
	// longer is told that entry is busy; nothing is counted against them.
	queueDeadline = 5 * time.Second
)

// ErrBusy: a hash waited in vain for its turn.
var ErrBusy = errors.New("too many passphrases to hash")

// Hasher computes and checks passphrase hashes, a few at a time. It is safe for
// concurrent use.
type Hasher struct {
	costs  Costs
	queue  queue
	wait   time.Duration
	onTurn func()
}

// HasherOptions are what a Hasher is made of. The server takes the zero value;
// the fields are for tests.
type HasherOptions struct {
	// Costs of new hashes, at most those of RFC 9106 §4's second recommended
	// option, which the zero value stands for.
	Costs Costs
	// Wait is how long a hash may wait for its turn. Zero means 5s.
	Wait time.Duration
	// OnTurn hears of every turn taken, while it is held. Nil tells nobody.
	OnTurn func()
}

// NewHasher returns a Hasher.
func NewHasher(o HasherOptions) *Hasher {
	h := &Hasher{costs: o.Costs, queue: queue{free: AtOnce}, wait: o.Wait, onTurn: o.OnTurn}
	if h.costs == (Costs{}) {
		h.costs = recommended
	}
	if h.wait == 0 {
		h.wait = queueDeadline
	}
	return h
}

// inTurn runs f when it has its turn at hashing, or returns why it got none. A
// panic in f gives the turn back.
func (h *Hasher) inTurn(ctx context.Context, kind turn, of string, f func()) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.wait, ErrBusy)
	defer cancel()
	if err := h.queue.take(ctx, kind, of); err != nil {
		return err
	}
	defer h.queue.give(kind)
	if h.onTurn != nil {
		h.onTurn()
	}
	f()
	return nil
}

func (h *Hasher) key(ctx context.Context, kind turn, of, passphrase string, salt []byte, p Costs) ([]byte, error) {
	var sum []byte
	err := h.inTurn(ctx, kind, of, func() {
		sum = argon2.IDKey([]byte(passphrase), salt, p.Passes, p.Memory, p.Threads, hashSize)
	})
	return sum, err
}

// Hash returns the PHC string of passphrase, prepared, under a fresh salt. Its errors are
// ErrBusy and the cause of ctx.
func (h *Hasher) Hash(ctx context.Context, passphrase string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	sum, err := h.key(ctx, first, "", prepared(passphrase), salt, h.costs)
	if err != nil {
		return "", fmt.Errorf("hash passphrase: %w", err)
	}
	return formatPHC(h.costs, salt, sum), nil
}

// Verify tells whether passphrase, prepared, belongs to stored, which Hash made or
// CheckImported admitted; the latter may also have been made of what is typed, byte
// by byte, which is tried where that differs. A passphrase that is too long is wrong, at the same
// cost. Its errors are ErrBusy, the cause of ctx, and one for a stored hash that
// is damaged.
func (h *Hasher) Verify(ctx context.Context, stored, passphrase string) (bool, error) {
	return h.verify(ctx, first, "", stored, passphrase)
}

// VerifyInside is Verify for what is asked inside the connections of account, which are
// open already: it goes behind every Verify and Hash, one at a time, those of accounts by
// turns. It returns ErrBusy at once where 16 of the account wait already, or 64 of all.
func (h *Hasher) VerifyInside(ctx context.Context, account, stored, passphrase string) (bool, error) {
	return h.verify(ctx, inside, account, stored, passphrase)
}

// VerifyAhead is Verify for who has shown nothing yet: it goes behind every Verify and
// Hash, and returns ErrBusy at once where 64 wait already. It, VerifyInside, with which it
// takes turns, and VerifyLater have one turn at a time, together.
func (h *Hasher) VerifyAhead(ctx context.Context, stored, passphrase string) (bool, error) {
	return h.verify(ctx, ahead, "", stored, passphrase)
}

// VerifyLater is VerifyAhead where nobody waits for the answer, behind that, too.
func (h *Hasher) VerifyLater(ctx context.Context, stored, passphrase string) (bool, error) {
	return h.verify(ctx, later, "", stored, passphrase)
}

func (h *Hasher) verify(ctx context.Context, kind turn, of, stored, passphrase string) (bool, error) {
	if Imported(stored) {
		right, err := h.verifyCrypt(ctx, kind, of, stored, prepared(passphrase))
		if raw := passphrase; err == nil && !right && prepared(raw) != raw {
			return h.verifyCrypt(ctx, kind, of, stored, raw)
		}
		return right, err
	}
	p, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	long := len(passphrase) > MaxPassphrase
	if long {
		passphrase = ""
	}
	got, err := h.key(ctx, kind, of, prepared(passphrase), salt, p)
	if err != nil {
		return false, fmt.Errorf("check passphrase: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && !long, nil
}

// Dummy returns a PHC string that no passphrase is known for, at the same cost.
func (h *Hasher) Dummy() string {
	b := make([]byte, saltSize+hashSize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return formatPHC(h.costs, b[:saltSize], b[saltSize:])
}

var phcText = base64.RawStdEncoding.Strict()

func formatPHC(p Costs, salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Passes, p.Threads,
		phcText.EncodeToString(salt), phcText.EncodeToString(sum))
}

var errPHC = errors.New("not an argon2id hash that entry writes")

// parsePHC reads a stored hash. Its costs are bounded by the recommended ones,
// so that a changed row can't order more work than a login may cost. The error
// never quotes the hash.
func parsePHC(s string) (p Costs, salt, sum []byte, err error) {
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
	}{{"m=", recommended.Memory}, {"t=", recommended.Passes}, {"p=", uint32(recommended.Threads)}} {
		v, ok := strings.CutPrefix(costs[i], c.name)
		if n[i], err = strconv.ParseUint(v, 10, 32); err != nil || !ok || n[i] < 1 || n[i] > uint64(c.max) || strconv.FormatUint(n[i], 10) != v {
			return p, nil, nil, errPHC
		}
	}
	p = Costs{Memory: uint32(n[0]), Passes: uint32(n[1]), Threads: uint8(n[2])}
	if salt, err = phcText.DecodeString(f[4]); err != nil || len(salt) != saltSize {
		return p, nil, nil, errPHC
	}
	if sum, err = phcText.DecodeString(f[5]); err != nil || len(sum) != hashSize {
		return p, nil, nil, errPHC
	}
	if formatPHC(p, salt, sum) != s { // base64's decoder skips line breaks
		return p, nil, nil, errPHC
	}
	return p, salt, sum, nil
}
