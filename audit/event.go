package audit

import (
	"cmp"
	"fmt"
	"time"
)

// Schema is the value of Event.Schema. A field may be added to the schema at
// any place (absent fields are left out of the line, so old lines stay
// canonical); changing or removing one makes a new schema.
const Schema = "entry.audit/v1"

// MaxDetail is the most bytes of UTF-8 that a string field of an Event keeps,
// Detail included. What is longer is cut there and ends in "…", so that no peer
// can make a line that the log would have to refuse.
const MaxDetail = 512

// Event is one typed fact.
//
// No field may carry a secret, and none is of a kind that invites one: no
// passphrase, code, seed, key, full command line, file path or contents. Names
// that no account has are logged as UserHash, because people type passphrases
// there. Strings that come from a peer are marked (peer) below; they are stored
// escaped and must be quoted wherever they are shown. Every string is cut at
// MaxDetail bytes and invalid UTF-8 becomes U+FFFD.
//
// Schema, Seq and Time are the log's: Append overwrites them. The server's
// connection code fills Ref to AskedLogin; identity fills Method, Key and the
// login types; the session fills Channel to Destination and the byte counts;
// the admin socket fills Actor.
type Event struct {
	Schema string    `json:"schema"` // always Schema
	Seq    uint64    `json:"seq"`    // line number, from 1
	Time   time.Time `json:"time"`   // UTC, when the log took the event
	Type   Type      `json:"type"`

	Ref        string `json:"ref,omitempty"`       // reference ID that was shown to the user
	Conn       string `json:"conn,omitempty"`      // ULID of the client connection
	Session    string `json:"session,omitempty"`   // ULID of the session
	User       string `json:"user,omitempty"`      // a known account, after lookup or proof; never what was typed at a prompt
	UserHash   string `json:"user_hash,omitempty"` // keyed hash of a name that no account has
	Source     string `json:"source,omitempty"`    // "ip:port" of the client
	Lab        string `json:"lab,omitempty"`
	Target     string `json:"target,omitempty"`      // full name, "home.tinker"
	Login      string `json:"login,omitempty"`       // account on the target
	AskedLogin string `json:"asked_login,omitempty"` // (peer) the inner user name the client asked for
	Approver   string `json:"approver,omitempty"`    // known accounts that approved, "carol, dave"

	Method string `json:"method,omitempty"` // factors in order: "passphrase+otp", "publickey+otp"
	Key    string `json:"key,omitempty"`    // SHA256:… fingerprint of a public key

	Policy     string `json:"policy,omitempty"`     // hash of the policy files that decided
	Rule       string `json:"rule,omitempty"`       // "name (file:line)"
	Capability string `json:"capability,omitempty"` // "shell", "forward-local"

	Channel     *uint32 `json:"channel,omitempty"`      // number of the channel within the session
	ChannelType string  `json:"channel_type,omitempty"` // (peer) "session", "direct-tcpip"
	Program     string  `json:"program,omitempty"`      // (peer) first word of a command, its base name only
	Digest      string  `json:"digest,omitempty"`       // sha256 of the whole command or path, which stand in the sealed recording; of a search the keyed one of what was searched for
	Destination string  `json:"destination,omitempty"`  // (peer) "host:port" or socket of a forward

	Reason string `json:"reason,omitempty"` // short closed code, "wrong-credentials"
	Detail string `json:"detail,omitempty"` // one sentence for a person, written by entry, at most MaxDetail bytes; never an error text of a peer that could echo input

	Actor     *Actor     `json:"actor,omitempty"` // who acted over the admin socket
	Change    *Change    `json:"change,omitempty"`
	Gap       *Gap       `json:"gap,omitempty"`
	Rekey     *Rekey     `json:"rekey,omitempty"`
	Rekeys    []Rekey    `json:"rekeys,omitempty"`   // of a LogDropped the log's changes of key in what is dropped, the last maxRekeys
	Standing  *int       `json:"standing,omitempty"` // of a LogSegment how many legal holds stand; absent where that isn't known
	Holds     []Standing `json:"holds,omitempty"`    // those, the first maxHolds; the others follow in LogHolds
	Recording *Recording `json:"recording,omitempty"`
	Rewrap    *Rewrap    `json:"rewrap,omitempty"`
	Tick      *Tick      `json:"tick,omitempty"`
	Sessions  []string   `json:"sessions,omitempty"` // ULIDs of the recordings of several sessions, at most MaxSessions

	Coverage string    `json:"coverage,omitempty"` // how much of a channel that is over is kept: "recorded", "manifest", "metadata", "partial", "refused"
	Missing  []Missing `json:"missing,omitempty"`  // at most maxMissing

	BytesDown   int64      `json:"bytes_down,omitempty"`   // towards the client
	BytesBeside int64      `json:"bytes_beside,omitempty"` // of those down, what a target said beside the files that moved and no manifest lists
	BytesUp     int64      `json:"bytes_up,omitempty"`     // towards the target
	Exit        *int       `json:"exit,omitempty"`         // exit status of a command
	Until       *time.Time `json:"until,omitempty"`
	Uses        int64      `json:"uses,omitempty"`  // how many sessions an approval is for; absent for any number
	Step        int64      `json:"step,omitempty"`  // of the one-time code that was spent, seconds since 1970 by 30
	Hash        string     `json:"hash,omitempty"`  // hash of the thing the event is about: configuration, file, key list
	Count       int        `json:"count,omitempty"` // how many more of the kind came after the event with the same Ref, or how many a sum without one stands for; of recording.read how many Sessions there are; 0 where the event is about one; of log.recovered the whole lines that were set aside, of log.segment the records of the segment before, of recording.removed those of the log that weren't here then, in logs of before segments carried holds
}

// Actor is the peer of the admin socket, from its kernel credentials.
type Actor struct {
	UID      uint32 `json:"uid"`
	LoginUID uint32 `json:"login_uid"`      // /proc/PID/loginuid; 4294967295 when unset
	Name     string `json:"name,omitempty"` // account name of UID, "" when it has none
	// LoginName is the account name of LoginUID where that is another one than UID:
	// of somebody who became root, say.
	LoginName string `json:"login_name,omitempty"`
}

// Person is the account that somebody logged in to before they became another, as
// far as that is known.
func (a Actor) Person() string { return cmp.Or(a.LoginName, a.Name, fmt.Sprintf("uid %d", a.UID)) }

// UnsetLoginUID is what the kernel shows for a process that no login started.
const UnsetLoginUID = ^uint32(0)

// KnownLogin reports whether it is known which account's login a is behind: without one
// (no PAM session) nobody can tell who a uid is, and a number that no account has is one
// that somebody wrote there.
func (a Actor) KnownLogin() bool {
	name := a.LoginName
	if a.LoginUID == a.UID {
		name = a.Name
	}
	return a.LoginUID != UnsetLoginUID && name != ""
}

// Another reports whether a and b are known to be two people: both logins are, they differ
// in that, and they don't share an account, unless that is root, which each became by a
// login of their own. b, who came first, was a KnownLogin then: not every place that keeps b
// keeps the name.
func (a Actor) Another(b Actor) bool {
	return a.KnownLogin() && b.LoginUID != UnsetLoginUID && a.LoginUID != b.LoginUID && (a.UID != b.UID || a.UID == 0)
}

// String is a in a listing: "carol as root".
func (a Actor) String() string {
	if a.LoginName == "" {
		return a.Person()
	}
	return a.LoginName + " as " + Actor{UID: a.UID, Name: a.Name}.Person()
}

// Change is a change of an account, as far as it took something away: enough to
// do that again to an older database. Its event is appended first.
type Change struct {
	Account    string `json:"account"`    // the account's ID: a name can come back
	Generation int64  `json:"generation"` // of the account, once it is changed
	// Taken are words of package identity's, joined by spaces: "disabled",
	// "key:SHA256:…". It ends in "…" where not all of them fit.
	Taken string `json:"taken,omitempty"`
}

// MaxSessions is how many Sessions an event has, each of at most maxCode bytes.
const MaxSessions = 200

// Of its Missing an event keeps so many, which is more than a channel can have of
// reasons and streams, and so many bytes of each of their strings.
const (
	maxMissing = 12
	maxCode    = 32
)

// Missing is what a recording lacks of one stream of a channel.
type Missing struct {
	Why    string `json:"why"`              // short closed code
	Stream string `json:"stream,omitempty"` // "output", "error", "input"; "" for the channel
	Bytes  int64  `json:"bytes,omitempty"`  // 0 where it isn't known
	Lines  int64  `json:"lines,omitempty"`  // 0 where they aren't counted
}

// Recording binds an event to a recording's file. Hashes are hex sha256.
type Recording struct {
	ID       string `json:"id"`
	Header   string `json:"header,omitempty"` // hash of the header, known when the session starts
	Key      string `json:"key,omitempty"`    // hash of the file with its sealed key, likewise
	Head     string `json:"head,omitempty"`   // hash of the last segment, known when it ends
	Segments uint32 `json:"segments,omitempty"`
}

// Rewrap is how a recording's key was sealed to other auditors, as package recording's
// Rewrap has it: the new digest is the event's Recording.Key.
type Rewrap struct {
	From  string   `json:"from"`            // hex sha256 of the key file as it was
	Set   string   `json:"set"`             // identifies the auditors from then on
	Count int      `json:"count"`           // how many they are
	In    []string `json:"in,omitempty"`    // fingerprints of auditors who came in; at most maxNamed
	Out   []string `json:"out,omitempty"`   // and who went out
	Proof string   `json:"proof,omitempty"` // base64 of a signature by who could open the recording
}

// Of a Rewrap's In and Out an event keeps so many, of maxCode bytes each.
const maxNamed = 24

// Tick is the Merkle root over the recordings that changed in one sync.
type Tick struct {
	Root    string `json:"root"`    // hex sha256
	Changed int    `json:"changed"` // recordings
	List    string `json:"list"`    // file beside the spool with the triples under Root
}
