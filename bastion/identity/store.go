package identity

import (
	"context"
	"errors"
	"time"
)

// What a Store returns besides its own failures. Every other error means that
// the store can't answer, and nobody gets in.
var (
	ErrNoAccount = errors.New("identity: no such account")
	ErrExists    = errors.New("identity: the account exists")
	// ErrChanged: the account has another generation than the caller has seen,
	// or is gone.
	ErrChanged = errors.New("identity: the account was changed meanwhile")
)

// Account is everything durable about one user.
type Account struct {
	ID   string // random, never reused: a name that comes back is another account
	Name string
	// Generation grows with every change made through Save: whoever read an
	// older one has to start over.
	Generation int64
	// Epoch grows when access is taken away (disable, reset): identities proven
	// under an older one are no longer valid.
	Epoch    int64
	Disabled bool

	Passphrase    string     // argon2id in PHC form; "" while only a temporary one exists
	PassphraseSet time.Time  // zero without one
	Temporary     *Temporary // nil when there is none

	Authenticators []EnrolledAuthenticator
	Recovery       []RecoveryCode
	Keys           []Key

	Created   time.Time
	LastLogin time.Time // zero before the first

	// Failures since FailuresSince, and the lock they led to; written only
	// through Ledger, ignored by Create and Save.
	Failures      int
	FailuresSince time.Time
	LockedUntil   time.Time
}

// Temporary is a passphrase that an operator handed out.
type Temporary struct {
	Hash    [32]byte // SHA-256 of its canonical form
	Expires time.Time
}

// EnrolledAuthenticator is a device that shows codes.
type EnrolledAuthenticator struct {
	ID       string // random
	Name     string // the user's word for the device
	Sealed   []byte // nonce and AES-256-GCM of the seed
	Created  time.Time
	LastStep int64 // the newest spent step; Save never changes it for an ID that exists
}

// RecoveryCode is one code of the printed list.
type RecoveryCode struct {
	Hash [32]byte  // keyed, see seal.go
	Used time.Time // zero while unused; Save never changes it for a hash that exists
}

// Key is a public key that may be the first factor.
type Key struct {
	Fingerprint string    `json:"fingerprint"` // SHA256:…
	Line        string    `json:"line"`        // type and base64, as in authorized_keys
	Comment     string    `json:"comment"`
	Added       time.Time `json:"added"`
}

// Reader reads accounts.
type Reader interface {
	// Account returns the account of that name in one consistent snapshot, or
	// ErrNoAccount after the same number of queries.
	Account(ctx context.Context, name string) (Account, error)
	// Accounts returns all of them, sorted by name.
	Accounts(ctx context.Context) ([]Account, error)
}

// Writer changes accounts. Each call is one transaction, durable on return.
type Writer interface {
	// Create stores a new account with its generation as given, or ErrExists.
	Create(ctx context.Context, a Account) error
	// Save makes the stored account equal to a, except for its name, Created,
	// LastLogin, the ledger, and what is spent, provided that the stored
	// generation is a.Generation; it returns the new one, or ErrChanged.
	Save(ctx context.Context, a Account) (generation int64, err error)
	// Delete removes the account and all that belongs to it, or ErrChanged.
	Delete(ctx context.Context, id string, generation int64) error
}

// Spender uses up what counts once. Over all processes on the database, one
// caller gets true.
type Spender interface {
	// SpendStep raises the authenticator's last step to step if it is lower.
	SpendStep(ctx context.Context, authenticator string, step int64) (bool, error)
	// SpendRecovery marks an unused recovery code of the account as used.
	SpendRecovery(ctx context.Context, account string, hash [32]byte, at time.Time) (bool, error)
}

// Ledger keeps what happened to accounts. It never changes the generation.
type Ledger interface {
	// RecordLogin stores the time of a login if the account still has that
	// generation and is not disabled, or returns ErrChanged.
	RecordLogin(ctx context.Context, account string, generation int64, at time.Time) error
	// CountFailure adds a failure to the window that began at most window ago
	// (or begins one), and locks the account until at+window when there are
	// limit of them. It returns the lock's end, zero without a lock.
	CountFailure(ctx context.Context, account string, at time.Time, limit int, window time.Duration) (until time.Time, err error)
	// ClearFailures forgets failures and lock.
	ClearFailures(ctx context.Context, account string) error
}

// Store is the durable state of identity. Implementations are safe for
// concurrent use, also by several processes on one database.
type Store interface {
	Reader
	Writer
	Spender
	Ledger
}
