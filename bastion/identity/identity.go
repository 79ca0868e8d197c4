package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// What Login and Confirm return besides an Identity.
var (
	// ErrRefused: the answers were not accepted.
	ErrRefused = errors.New("identity: not accepted")
	// ErrAbandoned: an empty answer, a client that left, or the end of the
	// grace. Nothing was counted but the source's connection rate.
	ErrAbandoned = errors.New("identity: dialogue abandoned")
	// ErrExhausted: the connection has had its three dialogues, or there were too
	// many failures and nothing was evaluated. It must close.
	ErrExhausted = errors.New("identity: no dialogue left on this connection")
	// ErrUnavailable: the store, the log or the hashing queue failed. Nobody
	// gets in; the connection should close.
	ErrUnavailable = errors.New("identity: unavailable")
	// ErrRevoked: the account changed after this identity was proven (Standing).
	ErrRevoked = errors.New("identity: revoked")
	// ErrSuspended is the ErrRevoked of a login without a code whose key was suspended
	// since: who has the key may be a thief, so nothing new opens. What is open goes on,
	// or else a thief of the key could end what its owner has open.
	ErrSuspended = fmt.Errorf("%w: its key is suspended", ErrRevoked)
)

// Asker puts one prompt to the client and returns its answer: one round of
// keyboard-interactive. The prompt is complete (UTF-8, may hold newlines) and
// goes out unchanged; echo tells the client whether to show what is typed. An
// error means that no answer will come: the client left or ctx is done.
type Asker interface {
	Ask(ctx context.Context, prompt string, echo bool) (string, error)
}

// Attempt is who claims to be there.
type Attempt struct {
	Name     string         // as typed, without "+target"; any bytes
	Source   netip.AddrPort // of the client connection
	Conn     string         // ULID of the client connection, for events
	Familiar bool           // somebody has logged in from its network lately
	// Key is a public key that the client has proven to hold, never one that it
	// only offered. Nil without one.
	Key ssh.PublicKey
}

// Identity is a proven user. Only Login makes one; the zero Identity is nobody.
type Identity struct {
	user     string
	account  string
	method   string
	key      string
	at       time.Time
	epoch    int64
	warnings string // lines; a slice would make Identity incomparable
	realm    string
	member   membership
}

// Valid tells whether Login made i.
func (i Identity) Valid() bool { return i.account != "" }

// User is the account's name.
func (i Identity) User() string { return i.user }

// Method names the factors in order: "passphrase+otp", "publickey+otp",
// "passphrase+sms", "publickey+sms", "publickey+remembered", "passphrase+sk", "temporary+otp",
// "temporary+enrolment", "passphrase+recovery", "publickey+recovery".
func (i Identity) Method() string { return i.method }

// At is when the code was accepted: the start of the time for which the
// connection may open channels. For a remembered key it is the time of the code
// that the key was remembered by.
func (i Identity) At() time.Time { return i.at }

// Warnings are sentences for the user about what is about to end: the account,
// the passphrase. They are ASCII.
func (i Identity) Warnings() []string {
	if i.warnings == "" {
		return nil
	}
	return strings.Split(i.warnings, "\n")
}

// Realm names the directory that has the account's passphrase, or "".
func (i Identity) Realm() string { return i.realm }

// Groups are the user's groups in the realm and when the directory gave them: at this
// login, or lately at a poll or another login. Both are zero without a realm, and where
// GroupsUnknown says why.
func (i Identity) Groups() (names []string, fetched time.Time) {
	if i.member.groups != "" {
		names = strings.Split(i.member.groups, "\n")
	}
	return names, i.member.fetched
}
