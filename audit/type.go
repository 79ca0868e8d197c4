package audit

import "slices"

// Type says what happened. The set is closed: Append refuses any other value.
type Type string

// The types, by who appends them: the server's life, logins, self-service,
// the jump, sessions, recordings, administration.
const (
	ServerStarted  Type = "server.started"
	ServerStopped  Type = "server.stopped"
	ConfigReloaded Type = "config.reloaded"
	ConfigRefused  Type = "config.refused"
	PolicyLoaded   Type = "policy.loaded"
	PolicyRefused  Type = "policy.refused"
	LogRecovered   Type = "log.recovered"         // appended by Open itself
	LogGap         Type = "log.gap"               // the first record of a log that begins anew
	LogKey         Type = "log.key"               // from this record on another key signs the log's tree heads, as Rekey says, which both have signed; appended by the log itself for Actor
	LogDropped     Type = "log.dropped"           // the first Count records are about to be removed, since they are older than Until, and the log isn't kept for longer; Hash is the tree head over them, Rekeys the changes of the log's key in them, Gap that with which the log began
	LogSegment     Type = "log.segment"           // the first record of a segment but the first, appended by the log itself: the one before has Count records; Standing legal holds stand, which are Holds
	LogHolds       Type = "log.holds"             // more of the legal holds that stand, right behind a LogSegment
	AlarmBehind    Type = "alarm.database-behind" // a start took away again what an older database had back
	AlarmLogSpace  Type = "alarm.log-space"       // appended by the log itself: Reason is the Space it has now
	AlarmFileGone  Type = "alarm.file-gone"       // a file that promises durability isn't where it was; for one of the log's own, the last event; or, Reason "in-the-way", another one is where the log's next is to be; or, at a start, Reason "recordings", the folder of recordings lacks some
	AlarmWitness   Type = "alarm.witness"         // a witness elsewhere doesn't cosign the log, or, Reason "well", does again
	AlarmDatabase  Type = "alarm.database"        // changes of accounts can't be kept (Reason "unwritable"), or can again ("writable")
	AlarmFiles     Type = "alarm.files"           // the server has almost as many files open as it may; User has the most of them
	AlarmEventRate Type = "alarm.event-rate"      // User causes more events than one may; what would cause more of them waits

	ConnectionRefused Type = "connection.refused"
	LoginSucceeded    Type = "login.succeeded"
	LoginFailed       Type = "login.failed"
	LoginLocked       Type = "login.locked"
	LoginAbandoned    Type = "login.abandoned"

	PassphraseChanged     Type = "passphrase.changed"
	AuthenticatorEnrolled Type = "authenticator.enrolled"
	AuthenticatorRemoved  Type = "authenticator.removed"
	RecoveryCreated       Type = "recovery.created"
	RecoveryUsed          Type = "recovery.used"
	KeyAdded              Type = "key.added"
	KeyRemoved            Type = "key.removed"
	KeyRemembered         Type = "key.remembered" // key and code were given; until Until the key stands for both
	KeyForgotten          Type = "key.forgotten"
	KeyProven             Type = "key.proven"     // its private half was shown: it is this account's alone
	KeyRefused            Type = "key.refused"    // it is another account's
	TermsAccepted         Type = "terms.accepted" // Detail says which version
	SMSSent               Type = "sms.sent"       // the gateway has taken a code
	SMSFailed             Type = "sms.failed"     // none was sent, or the gateway didn't take it

	AccessRefused  Type = "access.refused"
	JumpRefused    Type = "jump.refused"
	UpstreamFailed Type = "upstream.failed"
	HostKeyChanged Type = "hostkey.changed"

	SessionStarted  Type = "session.started"
	SessionEnded    Type = "session.ended"
	SessionKilled   Type = "session.killed"   // Actor did, Detail is what its user was told; Reason "elsewhere": at another server, whose log has its end
	SessionReviewed Type = "session.reviewed" // by Actor, Detail is their note
	ChannelOpened   Type = "channel.opened"
	ChannelRefused  Type = "channel.refused"
	ChannelClosed   Type = "channel.closed"
	ExecRequested   Type = "exec.requested"
	ForwardOpened   Type = "forward.opened"
	ForwardClosed   Type = "forward.closed"
	ForwardRefused  Type = "forward.refused"
	ListenOpened    Type = "listen.opened"
	AlarmNestedSSH  Type = "alarm.nested-ssh"
	AlarmDigested   Type = "alarm.terminal-digested" // the recording doesn't have all that a terminal showed, for its user's share; once a session
	AlarmStartFile  Type = "alarm.start-file"        // a transfer wrote what shells, sshd, git and others start from, or a way to it: Detail says which; once a session each
	AlarmBeside     Type = "alarm.beside-files"      // User's transfers brought more back beside files today than they do: Reason is "words", of which no more pass, or "names", which stand in manifests; once a day each
	TransferFile    Type = "transfer.file"           // Detail is what was done, Capability which way the content went, Digest and Hash are keyed, of path and content
	TransferChange  Type = "transfer.change"         // of the target's files, in which no content moved
	TransferMore    Type = "transfer.more"           // how many of both a session had beyond those with an event; Hash is of their lines in the recording
	TransferDesync  Type = "transfer.desync"         // what came isn't the protocol, so that nothing is known of it from there on
	RecordingTick   Type = "recording.tick"
	RecordingFailed Type = "recording.failed"

	RecordingAborted Type = "recording.aborted"
	RecordingRead    Type = "recording.read"    // Session, or several Sessions for which one search asked; Detail is the verb
	RecordingRemoved Type = "recording.removed" // is about to be: Reason is "retention", its lab's, or ReasonErasure, by the order of Ref; until Until it had to be kept
	AlarmRecording   Type = "alarm.recording"   // a recording isn't the one that the log knows, so that it isn't removed: Detail says why

	RecordingRewrapped Type = "recording.rewrapped"   // its key is sealed to other auditors, as Rewrap says, and is about to be put in place: Recording.Key
	RewrapDone         Type = "recording.rewrap-done" // that key, Recording.Key, is in its place

	RotationBegun    Type = "rotation.begun"    // the key that is to follow on Reason's ("user-ca") is about to be there: Key; Actor did
	RotationSeen     Type = "rotation.seen"     // Target takes a certificate by Key now, at Destination, and before that by another one, or nobody had looked
	RotationFinished Type = "rotation.finished" // Key is about to be in the place of the one before; Actor did, Detail says why, and what wasn't ready where that was forced
	RotationAborted  Type = "rotation.aborted"  // Key is about to be taken away again; Actor did, Detail says why

	HoldPlaced   Type = "hold.placed"   // Ref is the hold's; of Session, of all of User or of Lab; Actor did, Detail says why; Reason "again": a database had lost it
	HoldReleased Type = "hold.released" // likewise

	ErasureOrdered   Type = "erasure.ordered"   // Ref is the order's; of Session, of all of User or of Lab until then, or until Until where that was ordered at another server before; Actor did, Detail says why; Reason ReasonWaits: a second operator has to confirm it
	ErasureConfirmed Type = "erasure.confirmed" // by the second of two operators, likewise
	ErasureWithdrawn Type = "erasure.withdrawn" // likewise

	ApprovalRequested Type = "approval.requested"
	ApprovalGiven     Type = "approval.given"
	ApprovalWithdrawn Type = "approval.withdrawn" // Ref is its request, Approver who had given it
	ApprovalMissing   Type = "approval.missing"   // nobody approved in time, or the user left
	BudgetWarning     Type = "budget.warning"     // 80 % of it
	BudgetSpent       Type = "budget.spent"

	UserAdded    Type = "user.added"
	UserDisabled Type = "user.disabled"
	UserEnabled  Type = "user.enabled"
	UserReset    Type = "user.reset"
	UserRemoved  Type = "user.removed"
	UserInvited  Type = "user.invited"
	UserImported Type = "user.imported"
	UserChanged  Type = "user.changed" // Detail says what

	UserDeparted Type = "user.departed" // the account's directory has it no more, or locks it; Reason says which

	UserResetRequested Type = "user.reset-requested" // by the first of two operators
	NoticeLost         Type = "notice.lost"          // User was not told of a change to the account; Reason says why
)

// ReasonErasure is why recordings are removed by an operators' order.
const ReasonErasure = "erasure"

// ReasonWaits says of an order that it stands once a second operator has confirmed it.
const ReasonWaits = "waits"

var types = []Type{
	ServerStarted, ServerStopped, ConfigReloaded, ConfigRefused, PolicyLoaded, PolicyRefused, LogRecovered, LogGap, LogKey, LogSegment, LogHolds, LogDropped, AlarmBehind,
	AlarmLogSpace, AlarmFileGone, AlarmWitness, AlarmDatabase, AlarmEventRate, AlarmFiles,
	ConnectionRefused, LoginSucceeded, LoginFailed, LoginLocked, LoginAbandoned,
	PassphraseChanged, AuthenticatorEnrolled, AuthenticatorRemoved, RecoveryCreated, RecoveryUsed,
	KeyAdded, KeyRemoved, KeyRemembered, KeyForgotten, KeyProven, KeyRefused, TermsAccepted, SMSSent, SMSFailed,
	AccessRefused, JumpRefused, UpstreamFailed, HostKeyChanged,
	SessionStarted, SessionEnded, SessionKilled, SessionReviewed,
	ChannelOpened, ChannelRefused, ChannelClosed, ExecRequested,
	ForwardOpened, ForwardClosed, ForwardRefused, ListenOpened, AlarmNestedSSH, AlarmDigested, AlarmStartFile, AlarmBeside,
	TransferFile, TransferChange, TransferMore, TransferDesync,
	RecordingTick, RecordingFailed, RecordingAborted, RecordingRead, RecordingRemoved, AlarmRecording, RecordingRewrapped, RewrapDone,
	RotationBegun, RotationSeen, RotationFinished, RotationAborted, HoldPlaced, HoldReleased,
	ErasureOrdered, ErasureConfirmed, ErasureWithdrawn,
	ApprovalRequested, ApprovalGiven, ApprovalWithdrawn, ApprovalMissing, BudgetWarning, BudgetSpent,
	UserAdded, UserDisabled, UserEnabled, UserReset, UserRemoved, UserInvited, UserImported, UserChanged, UserDeparted, UserResetRequested, NoticeLost,
}

var known = func() map[Type]bool {
	m := make(map[Type]bool, len(types))
	for _, t := range types {
		m[t] = true
	}
	return m
}()

// Types returns every type there is, grouped as they are declared.
func Types() []Type { return slices.Clone(types) }

// String returns the type as it stands in the log.
func (t Type) String() string { return string(t) }
