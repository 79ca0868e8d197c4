package configs

import (
	"net/netip"
	"strings"
	"time"
)

// FileName is the configuration's name in a directory made by init or demo.
const FileName = "entry.yaml"

// MaxName is how long a server's name may be, in bytes: it stands beside the
// user's in an authenticator app's list.
const MaxName = 32

// Config is a loaded, valid configuration. Every path in it is absolute: in the
// file they are relative to its folder. Treat it as read-only.
type Config struct {
	// Path is the file it came from.
	Path string
	// Name is what host certificates and prompts call this server: lower-case
	// DNS labels, MaxName bytes at most. Default "entry".
	Name string
	// Address is what users dial, "host" or "host:port", in the files and guides
	// that they get. "", the default, takes the first listener that says where it
	// is, else Name.
	Address string
	// Listeners are where clients connect; at least one.
	Listeners []Listener
	// Policy is the directory of the policy's files. Default "policy.d".
	Policy    string
	Database  Database
	Audit     Audit
	Recording Recording
	Keys      Keys
	Admin     Admin
	Login     Login
	// Realms are directories that check the first factor of the accounts that an
	// operator gave to them, by unique name. None by default.
	Realms []Realm
	// SMS is the gateway that carries codes; nil for none.
	SMS *SMS
	// Notices says how users hear of changes to their accounts; nil if they don't.
	Notices   *Notices
	Guides    Guides
	Operators Operators
	Limits    Limits
	// Drain is how long live sessions may go on after SIGTERM before they are
	// ended with a reason. Zero ends them at once. Default 30s.
	Drain time.Duration
	Log   Log
}

// Listener is one TCP address that clients connect to.
type Listener struct {
	// Address is "host:port"; the host may be left out for all interfaces.
	Address string
	// Target, a full name, binds the listener to one target, for clients whose
	// user name can't carry one. "" is the jump host itself.
	Target string
}

// Database is where accounts and their state live.
type Database struct {
	// SQLite is the database file, made when missing. Default "state/entry.db".
	SQLite string
}

// Audit is where the audit log lives and who signs it.
type Audit struct {
	// Directory holds the log. Default "audit".
	Directory string
	// Witness is a second directory for checkpoints, on another disk or host;
	// "" for none, and then nothing tells a rolled-back log from a true one.
	// Default "witness".
	Witness string
	// Segment is how large the log's file gets, in bytes, before it is sealed and the next
	// one begins; another day (UTC) begins one anyway. Default 64 MiB.
	Segment int64
	// Keep is how long records are kept: whole days, at least 90. 0 is for ever. Default 0.
	Keep time.Duration
	// Reserve is how many bytes must stay free on the log's disk and on the
	// witness's, and the same part of their files (inodes): below that no session
	// starts, below half of it all end, and below an eighth nobody gets in. Default
	// 128MiB, at least 1MiB.
	Reserve int64
	// Key is the file with the signer, PublicKey the one with its verifier.
	// Defaults "keys/audit.key" and "keys/audit.pub".
	Key, PublicKey string
	// Agent is the socket of an ssh-agent that holds the signer instead: then Key is
	// "". Default "".
	Agent string
	// Witnesses are others, elsewhere, who cosign the log's checkpoints. None by default.
	Witnesses []Witness
	// Need is how many of them have to. Default all.
	Need int
	// Within is how soon after a record they are asked, at most. Default 10s.
	Within time.Duration
	// Required ends the beginning of sessions, but of rescuers, while records are older
	// than five minutes that fewer than Need witnesses have cosigned. Default false.
	Required bool
}

// Witness is one that speaks C2SP tlog-witness.
type Witness struct {
	// URL is its submission prefix: https://…, or http://… on a loopback address.
	URL string
	// Key is its public key, a verifier key of signed notes, whose first part is its name.
	Key string
	// CA is a file of PEM certificates that the server's must chain to; "" takes the
	// system's.
	CA string
}

// Name is the witness's.
func (w Witness) Name() string { name, _, _ := strings.Cut(w.Key, "+"); return name }

// Recording is where recordings live and who may read them.
type Recording struct {
	// Directory is the spool; it wants a file system of its own. Default "spool".
	Directory string
	// Auditors is a file of age recipients, one a line, to whom recordings are
	// sealed. Default "keys/auditors.pub".
	Auditors string
	// Labs gives, for some labs, a file of recipients of their own instead.
	Labs map[string]string
	// Reserve is how many bytes must stay free, and the same part of the disk's files
	// (inodes): below that no session starts. Default 1GiB, at least 1MiB.
	Reserve int64
	// Quota is how many bytes one user's recordings may take; 0 is no quota.
	// Default 0.
	Quota int64
	// Share is how many bytes of one user's recordings a day are taken as they come;
	// it is never more than a tenth of what was free beyond Reserve when the day began.
	// Beyond it bulk is counted and digested, and what a person can read on each
	// terminal goes on being kept up to as much again. At three times the share the
	// user's sessions end until the next day. 0 is no bound. Default 1GiB.
	Share int64
	// KeepAtLeast is how long every recording is kept, whatever the policy says of its
	// lab: whole days. 0 leaves it to the policy. Default 0.
	KeepAtLeast time.Duration
	// Notice is where a session says that it is recorded. Default "pty".
	Notice Notice
}

// AuditorsOf is the file that says who the auditors of a lab are.
func (r Recording) AuditorsOf(lab string) string {
	if file, ok := r.Labs[lab]; ok {
		return file
	}
	return r.Auditors
}

// Notice is how a user is told of the recording.
type Notice uint8

// The ways to tell.
const (
	NoticePTY    Notice = iota // one line at the start of a terminal session
	NoticeBanner               // a banner before login
	NoticeNone                 // not by entry
)

var noticeNames = []string{"pty", "banner", "none"}

// String is the notice's word in the file.
func (n Notice) String() string {
	if int(n) < len(noticeNames) {
		return noticeNames[n]
	}
	return "pty"
}

// Keys are the server's own.
type Keys struct {
	// Directory holds one stable host key a name, and their certificates.
	// Default "keys/hosts".
	Directory string
	// HostCA vouches for entry's names towards clients, UserCA for users
	// towards targets. They are never the same key.
	// Defaults: the files "keys/host_ca" and "keys/user_ca".
	HostCA, UserCA CA
	// Secret is a file of random bytes that encrypts authenticators' seeds and
	// hides unknown user names in the log. Default "keys/secret".
	Secret string
}

// CA says where a certificate authority's key is: in File, or in the ssh-agent
// at the socket Agent, which holds the key of the file PublicKey. A host CA
// with PublicKey alone is offline: its certificates lie ready in Keys.Directory.
type CA struct{ File, Agent, PublicKey string }

// Offline reports whether the key can't be reached from here.
func (c CA) Offline() bool { return c.File == "" && c.Agent == "" }

// Admin is where verbs reach the running server.
type Admin struct {
	// Socket is a Unix socket, for its owner only. Default "admin.sock".
	Socket string
}

// Login bounds the authentication dialogue and what follows from it.
type Login struct {
	// Grace is the time from connecting to the end of the dialogue. Default
	// 120s, as in sshd.
	Grace time.Duration
	// EnrolmentGrace is the same once a right temporary passphrase has opened
	// an enrolment. Default 10m.
	EnrolmentGrace time.Duration
	// TemporaryPassphrase is how long one is good for. Default 240h.
	TemporaryPassphrase time.Duration
	// ChannelsAfter is how long after its code a connection may open new
	// channels; open ones go on. Default 12h.
	ChannelsAfter time.Duration
	// Remembered is how long key + code stand for the key alone.
	Remembered Remembered
	// TouchIsCode lets the touch of a security key (sk-…) stand for the code,
	// beside the passphrase. Default false.
	TouchIsCode bool
	// Inactivity is how long an account may go without a login before it
	// expires; 0 is for ever. Default 4320h, which is 180 days.
	Inactivity time.Duration
	// PassphraseAge is how old a passphrase may become before a login asks for a
	// new one; 0, the default, is any age.
	PassphraseAge time.Duration
	// Terms is a text file, the user agreement: each version is shown and has to be
	// accepted once, at the first login with it. "", the default, is none.
	Terms string
}

// Remembered bounds remembered keys.
type Remembered struct {
	// Lifetime counts from the code; 0 turns remembering off. Default 12h, which
	// is the most.
	Lifetime time.Duration
	// IPv4 and IPv6 are the prefix lengths of a network that counts as the same.
	// Defaults 32 and 64.
	IPv4, IPv6 int
}

// Operators says what operators may do alone.
type Operators struct {
	// ResetNeedsTwo makes `entry user reset` wait for a second operator. Default
	// false.
	ResetNeedsTwo bool
	// EraseNeedsTwo makes `entry sessions erase` wait for a second operator. Default
	// false.
	EraseNeedsTwo bool
	// Rescue are the users who may still start sessions, recorded as ever, while
	// the log's disk or that of the recordings is at its reserve. Default none.
	Rescue []string
}

// Limits keep one source, and all of them, from taking the server.
type Limits struct {
	// Startups bounds the connections that haven't logged in. Default 10:30:100, as
	// in sshd.
	Startups Startups
	// PerSource is how many connections of one address (a /64 in IPv6) may be silent
	// before login at a time; eight times as many may be in their dialogue. Default
	// 8.
	PerSource int
	// Events bounds the audit events of one user; what would cause more of them
	// waits. Default 20000:8.
	Events Events
	// Connections is how many client connections one user may have where no rule says
	// another number, and Channels how many channels of theirs may lead to targets over
	// all of them. Zero stands for 100 and 500, or for as many as an eighth of the files
	// that the server may have open.
	Connections, Channels int
	// Dial bounds connecting to a target, in all. Default 10s.
	Dial time.Duration
	// SourceAddress are the addresses that targets see entry come from; user
	// certificates are bound to them. None leaves certificates unbound.
	SourceAddress []netip.Prefix
}

// Startups is sshd's MaxStartups, turned round: from Begin silent connections
// without login on, Rate percent of newcomers take the place of one of them,
// rising to all at Full, which is how many there may be.
type Startups struct{ Begin, Rate, Full int }

// Events is how many audit events one user may cause at once, and how many a
// second after that.
type Events struct{ Burst, PerSecond int }

// Log is the server's own log, for operators.
type Log struct {
	// Level is debug, info, warn or error. Default "info".
	Level string
}
