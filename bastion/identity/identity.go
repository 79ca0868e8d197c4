package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
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
	// ErrExhausted: the connection has had its three dialogues and must close.
	ErrExhausted = errors.New("identity: no dialogue left on this connection")
	// ErrLocked: too many failures; nothing was evaluated. It is an ErrExhausted
	// too, because the connection must close.
	ErrLocked = fmt.Errorf("%w: locked", ErrExhausted)
	// ErrUnavailable: the store, the log or the hashing queue failed. Nobody
	// gets in; the connection should close.
	ErrUnavailable = errors.New("identity: unavailable")
	// ErrRevoked: the account changed after this identity was proven (Check).
	ErrRevoked = errors.New("identity: revoked")
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
	Name   string         // as typed, without "+target"; any bytes
	Source netip.AddrPort // of the client connection
	Conn   string         // ULID of the client connection, for events
	// Key is a public key that the client has proven to hold, never one that it
	// only offered. Nil without one.
	Key ssh.PublicKey
}

// Identity is a proven user. Only Login makes one; the zero Identity is nobody.
type Identity struct {
	user       string
	account    string
	method     string
	key        string
	at         time.Time
	generation int64
	epoch      int64
	warnings   string // lines; a slice would make Identity incomparable
	realm      string
	member     membership
}

// Valid tells whether Login made i.
func (i Identity) Valid() bool { return i.account != "" }

// User is the account's name.
func (i Identity) User() string { return i.user }

// Method names the factors in order: "passphrase+otp", "publickey+otp",
// "passphrase+sms", "publickey+sms", "publickey+remembered", "passphrase+sk", "temporary+otp",
// "temporary+enrolment", "passphrase+recovery", "publickey+recovery".
func (i Identity) Method() string { return i.method }

// Key is the SHA256:… fingerprint of the key that was the first factor, or "".
func (i Identity) Key() string { return i.key }

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

// Groups are the user's groups in the realm and when the directory gave them.
// Both are zero where it wasn't asked at this login: for a remembered key, for
// a temporary passphrase, and without a realm.
func (i Identity) Groups() (names []string, fetched time.Time) {
	if i.member.groups != "" {
		names = strings.Split(i.member.groups, "\n")
	}
	return names, i.member.fetched
}

// Generation is the account's generation at the login.
func (i Identity) Generation() int64 { return i.generation }

// dialoguesPerConn is how many dialogues a connection gets. sshd's
// MaxAuthTries of 6 counts methods; a dialogue is two answers, so half of it.
const dialoguesPerConn = 3

// ConnState is what identity remembers of one client connection: how many
// dialogues it has had and which code it has already spent. One ConnState
// belongs to one connection and is safe for concurrent use.
type ConnState struct {
	mu        sync.Mutex
	dialogues int
	spentAuth string // authenticator of the step spent here; "" for none
	spentStep int64

	text texted

	once, await     sync.Once
	opened, awaited chan struct{}
}

// NewConnState returns the state of a connection that has done nothing yet.
func NewConnState() *ConnState {
	return &ConnState{opened: make(chan struct{}), awaited: make(chan struct{})}
}

// EnrolmentOpened is closed once a right temporary passphrase or recovery code
// opened a reset or an enrolment, which takes people longer than a login: the
// server then extends the grace (and moves the connection to its own pool).
func (c *ConnState) EnrolmentOpened() <-chan struct{} { return c.opened }

func (c *ConnState) openEnrolment() { c.once.Do(func() { close(c.opened) }) }

// take uses up one dialogue and tells whether there was one left.
func (c *ConnState) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialogues >= dialoguesPerConn {
		return false
	}
	c.dialogues++
	return true
}

// remember keeps a step that this connection has spent; forget drops it, once
// a login has succeeded with it: a later confirmation needs a fresh code.
func (c *ConnState) remember(auth string, step int64) {
	c.mu.Lock()
	c.spentAuth, c.spentStep = auth, step
	c.mu.Unlock()
}

func (c *ConnState) forget() {
	c.mu.Lock()
	c.spentAuth, c.spentStep, c.text = "", 0, texted{}
	c.mu.Unlock()
}

func (c *ConnState) spent() (auth string, step int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spentAuth, c.spentStep
}
