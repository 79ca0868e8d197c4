package identity

import (
	"context"
	"time"
)

// NoticeKind says what a notice is about.
type NoticeKind string

// The kinds: everything that strengthens, renews or takes away access, and guesses
// by somebody who has a factor already (one notice of a kind an hour at most).
const (
	noticeDeviceAdded       NoticeKind = "authenticator-added"
	noticeDeviceRemoved     NoticeKind = "authenticator-removed"
	noticePassphraseChanged NoticeKind = "passphrase-changed"
	noticeRecoveryCreated   NoticeKind = "recovery-codes-created"
	noticeRecoveryUsed      NoticeKind = "recovery-code-used"
	noticeKeyAdded          NoticeKind = "key-added"
	noticeKeyRemoved        NoticeKind = "key-removed"
	noticeInvited           NoticeKind = "invited"
	noticeInviteWaits       NoticeKind = "invitation-waits" // soon it is no longer good
	noticeReset             NoticeKind = "reset"
	noticeDisabled          NoticeKind = "disabled"
	noticeEnabled           NoticeKind = "enabled"
	noticeEndChanged        NoticeKind = "end-changed"
	noticePhoneChanged      NoticeKind = "phone-changed"
	noticeCodesGuessed      NoticeKind = "codes-guessed"       // somebody has the passphrase
	noticeKeySuspended      NoticeKind = "key-suspended"       // somebody has the key
	noticeRecoveryGuess     NoticeKind = "recovery-code-tried" // somebody has one, and guesses at the passphrase
	noticePassphraseGuess   NoticeKind = "passphrase-tried"    // somebody has the key, and guesses inside its connections
	noticeKeyRestored       NoticeKind = "key-restored"
)

// Notice tells a user what happened to the account. It holds no secret.
type Notice struct {
	User   string     `json:"user"`
	Kind   NoticeKind `json:"kind"`
	At     time.Time  `json:"at"`
	Source string     `json:"source,omitempty"` // IP address of the client; "" for an operator's act, and where it isn't known
	Detail string     `json:"detail,omitempty"` // a device's name, a key's fingerprint, a date
}

// notify hands a notice on, once what it tells is durable.
func (a *core) notify(ctx context.Context, n Notice) {
	if a.notice == nil {
		return
	}
	n.At = a.now()
	a.notice(context.WithoutCancel(ctx), n)
}

// tell is notify from within a dialogue.
func (d *dialogue) tell(ctx context.Context, kind NoticeKind, detail string) {
	n := Notice{User: d.user, Kind: kind, Detail: detail}
	if d.at.Source.IsValid() {
		n.Source = d.address()
	}
	d.a.notify(ctx, n)
}
