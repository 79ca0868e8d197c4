package identity

import (
	"context"
	"errors"
	"net/netip"
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
	// ErrKeyTaken: the key was proven to be another account's.
	ErrKeyTaken = errors.New("identity: the key belongs to another account")
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
	Ends     time.Time // last moment of the account; zero for none
	// ActiveSince is when an operator enabled it last; zero if never.
	ActiveSince time.Time

	// Passphrase is argon2id in PHC form, or what crypt(3) made of an imported one
	// until its first login; "" while only a temporary one exists.
	Passphrase    string
	PassphraseSet time.Time  // zero without one, and for one that has to be changed at the next login
	Temporary     *Temporary // nil when there is none
	// Realm names the directory that judges the passphrase instead; "" for none.
	Realm string
	// Entry is what the directory calls the user's entry, whatever becomes of its name
	// (see entry.go); "" until it was seen.
	Entry string
	// Phone is where codes go by SMS, in E.164; "" for nowhere. CodeBySMS says
	// that they do, as long as there is no authenticator.
	Phone     string
	CodeBySMS bool
	SMSSince  time.Time // when that began; zero while it isn't so
	// Terms is the version of the user agreement that was accepted, TermsAt when; ""
	// and zero for none. Written only through Ledger, ignored by Create and Save.
	Terms   string
	TermsAt time.Time

	Authenticators []EnrolledAuthenticator
	Recovery       []RecoveryCode
	Keys           []Key
	// Remembered is written only through Ledger, ignored by Create and Save but
	// for what they take away.
	Remembered []Remembrance
	Pending    *PendingReset // nil when no reset waits for a second operator

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
	// Used is when LastStep was spent, zero if that was before it was noted; Save
	// never changes it for an ID that exists.
	Used time.Time
}

// RecoveryCode is one code of the printed list.
type RecoveryCode struct {
	Hash [32]byte  // keyed, see secret.Keys
	Used time.Time // zero while unused; Save never changes it for a hash that exists
}

// Key is a public key that may be the first factor.
type Key struct {
	Fingerprint string    `json:"fingerprint"` // SHA256:…
	Line        string    `json:"line"`        // type and base64, as in authorized_keys
	Comment     string    `json:"comment"`
	Added       time.Time `json:"added"`
	// Suspended is since when the key opens nothing, because somebody who has it
	// guessed at the code; zero while it is in use.
	Suspended time.Time `json:"suspended,omitzero"`
	// Proven is when its private half was first shown here, zero while it is a mere
	// claim; written only through Ledger, ignored by Create and Save.
	Proven time.Time `json:"proven,omitzero"`
	// Shared is why an operator let this account have what others have, too; "" for
	// none.
	Shared string `json:"shared,omitempty"`
}

// KeyHolder is an account that has a key.
type KeyHolder struct {
	Account, Name  string
	Proven, Shared bool
}

// Remembrance is a key that stands for key and code from one network.
type Remembrance struct {
	Fingerprint   string
	Network       netip.Prefix
	Authenticator string // ID, of the code; "" where a touch stood for it
	Since, Until  time.Time
	Used          time.Time // last login by it; zero before the first
}

// Reader reads accounts.
type Reader interface {
	// Account returns the account of that name in one consistent snapshot, or
	// ErrNoAccount after the same number of queries.
	Account(ctx context.Context, name string) (Account, error)
	// Standing returns what it says of the account of that name, and whether the
	// key of that fingerprint is one of its keys, in one query; or ErrNoAccount.
	Standing(ctx context.Context, name, fingerprint string) (Standing, error)
	// KeyHolders returns the accounts that have the key, sorted by name.
	KeyHolders(ctx context.Context, fingerprint string) ([]KeyHolder, error)
	// Accounts returns all of them, sorted by name.
	Accounts(ctx context.Context) ([]Account, error)
	// Remembering returns the names of the realm's accounts that have a remembered
	// key at now, sorted.
	Remembering(ctx context.Context, realm string, now time.Time) ([]string, error)
	// LastLogins returns the newest logins of the account, at most 20.
	LastLogins(ctx context.Context, account string) ([]LoginInfo, error)
	// Sources returns the last login from each address since then, of any
	// account, as far as they are kept.
	Sources(ctx context.Context, since time.Time) ([]LoginInfo, error)
}

// Writer changes accounts. Each call is one transaction, durable on return.
type Writer interface {
	// Create stores a new account with its generation as given, or ErrExists.
	Create(ctx context.Context, a Account) error
	// Save makes the stored account equal to a, except for its name, Created,
	// LastLogin, the ledger, and what is spent, provided that the stored
	// generation is a.Generation; it returns the new one, or ErrChanged. What was
	// remembered is forgotten in the same transaction if the epoch or the time of
	// the passphrase changes, or if its key or its authenticator goes.
	Save(ctx context.Context, a Account) (generation int64, err error)
	// Put is Create of each of created and Save of each of saved, all or none, in one
	// transaction.
	Put(ctx context.Context, created, saved []Account) error
	// Delete removes the account and all that belongs to it, or ErrChanged.
	Delete(ctx context.Context, id string, generation int64) error
}

// Spender uses up what counts once. Over all processes on the database, one
// caller gets true.
type Spender interface {
	// SpendStep raises the authenticator's last step to step if it is lower, and
	// notes that this was at.
	SpendStep(ctx context.Context, authenticator string, step int64, at time.Time) (bool, error)
	// SealAnew puts what seal makes of each authenticator's sealed seed in its place, unless
	// that is nil, for all of them in one transaction, and says how many.
	SealAnew(ctx context.Context, seal func(account, authenticator string, sealed []byte) []byte) (int, error)
	// SpendRecovery marks an unused recovery code of the account as used.
	SpendRecovery(ctx context.Context, account string, hash [32]byte, at time.Time) (bool, error)
}

// Ledger keeps what happened to accounts. It never changes the generation.
type Ledger interface {
	// RecordLogin stores a login if the account still has that generation and is
	// not disabled, or returns ErrChanged. remember, where set, is stored with it
	// in place of what was remembered of that key and network.
	RecordLogin(ctx context.Context, account string, generation int64, l LoginInfo, remember *Remembrance) error
	// RecordRemembered is RecordLogin by a remembered key: it also returns
	// ErrChanged if r was forgotten or renewed meanwhile, and notes its use.
	RecordRemembered(ctx context.Context, account string, generation int64, l LoginInfo, r Remembrance) error
	// Forget ends what is remembered of the key, or of all keys if fingerprint is
	// empty.
	Forget(ctx context.Context, account, fingerprint string) error
	// CountFailures is Counter.Count whose edit sees, before the tallies of keys, the
	// account's own: Failures, Since and Locked, which are stored with the account if
	// there is one.
	CountFailures(ctx context.Context, account string, at time.Time, edit func([]Tally) bool, keys ...TallyKey) error
	// ClearFailures forgets failures and lock.
	ClearFailures(ctx context.Context, account string) error
	// ProveKey notes that the account's key was shown at, if it wasn't yet (first), or
	// returns ErrKeyTaken if it was proven to be another account's, shared or not, and
	// this one doesn't share it. Of two accounts one wins, over all processes.
	ProveKey(ctx context.Context, account, fingerprint string, at time.Time) (first bool, err error)
	// AcceptTerms notes the version of the user agreement that was accepted, or returns
	// ErrChanged if the account is gone.
	AcceptTerms(ctx context.Context, account, version string, at time.Time) error
	// NoteEntry notes what the directory calls the account's entry, if that was before
	// until now.
	NoteEntry(ctx context.Context, account, before, entry string) error
	// LowerSteps lowers the last steps of the account's authenticators to step,
	// where they are higher.
	LowerSteps(ctx context.Context, account string, step int64) error
}

// TallyKey names one tally: a keyed hash.
type TallyKey [16]byte

// Tally is what one (name, source), one source or the holder of one factor has
// done.
type Tally struct {
	Failures int
	Since    time.Time // of the first failure in the window
	Locked   time.Time // end of the lock; zero for none
	Trusted  time.Time // last login; zero for none
	Keep     time.Time // until when the tally says anything
}

// Counter keeps tallies, over all processes on the database. Their number is
// bounded: those past their Keep go, and then those that have least of it left.
type Counter interface {
	// Tallies returns the tally of each key, zero for one that is not known.
	Tallies(ctx context.Context, keys ...TallyKey) ([]Tally, error)
	// Count reads the tallies of keys, lets edit change them and stores the
	// result, all in one transaction; nothing is stored if edit returns false.
	// edit is called once and must not block.
	Count(ctx context.Context, at time.Time, edit func([]Tally) bool, keys ...TallyKey) error
}

// Feed tells who keeps connections of users that accounts changed.
type Feed interface {
	// Changed blocks until the number of changes differs from since, and returns
	// it; or until ctx ends, and returns its cause. It grows in the transaction of
	// every call of Create, Save, Delete and Forget that goes through, in whichever
	// process, and in no other one; it begins above zero and never goes back. A
	// change by a call on the same Store is seen at once, others within a second.
	//
	// The signature suits a database that is polled as well as one that notifies
	// (PostgreSQL's LISTEN, then one read of the number, then waiting).
	Changed(ctx context.Context, since int64) (now int64, err error)
}

// Store is the durable state of identity. Implementations are safe for
// concurrent use, also by several processes on one database.
type Store interface {
	Reader
	Writer
	Spender
	Ledger
	Counter
	Feed
}
