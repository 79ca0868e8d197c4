package session

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// Leg is one authenticated SSH connection with everything that comes on it.
// Relay and Refuse own a leg from the call on: they serve both Go channels
// until they are closed, and close the connection.
type Leg struct {
	Conn     ssh.Conn
	Channels <-chan ssh.NewChannel
	Requests <-chan *ssh.Request
	Intake   *fastconn.Intake // below Conn; nil where nobody asks what it holds
}

// Recorder keeps what a session shows. Frame copies p and is safe for
// concurrent use; Failed is closed when nothing more can be kept, Err says why: users
// read the text of a *refusal.Error, and of no other error.
type Recorder interface {
	Frame(k recording.Kind, channel uint32, p []byte) error
	Failed() <-chan struct{}
	Err() error
}

// Options say how to relay one session.
type Options struct {
	// Decide is asked at the start and anew for every channel, start of a
	// program and listen. A *policy.Denied refuses by name, any other error
	// without a reason. Required; safe for concurrent use.
	Decide func() (policy.Grant, error)

	// Recorder may be nil only while grants say policy.Metadata: a grant that
	// asks for more is then refused.
	Recorder Recorder

	// Event appends e, in which only what happened is filled in, and returns
	// once it is durable. An error ends the session. Required; safe for
	// concurrent use.
	Event func(e audit.Event) error

	// Contact is whom texts tell the user to ask.
	Contact refusal.Contact

	// Turn is waited for before each channel and listen: so long nothing more
	// begins that Event would have to be called for. An error says that ctx, the
	// session's, has ended. Nil: there is nothing to wait for; safe for concurrent
	// use.
	Turn func(ctx context.Context) error

	// Count is asked before a refusal is noted, which comes without a turn. Where
	// it has counted e, e isn't noted and stands in the log under ref. Nil: it
	// counts nothing; safe for concurrent use.
	Count func(e audit.Event) (ref string, counted bool)

	// Keyed is a digest that only the server's secret can make, of something of a
	// kind ("path", "content"): so that the log tells whether two are the same and
	// not what they are. Required where files may be moved; safe for concurrent use.
	Keyed func(kind string, b []byte) string

	// Share says what of a user's output is still kept today. Nil: all of it.
	Share Share

	// Beside bounds what targets say beside the files that move, over all sessions of
	// the user. Nil: nothing but each transfer's own bound.
	Beside Beside

	// Backlog bounds what is held because a peer doesn't take it. Nil: no bound.
	Backlog *Backlog

	// Intake is what Forward's channel comes in by. Nil: nobody asks what it holds.
	Intake *fastconn.Intake

	// Ref makes the references under which refusals stand in the log. The
	// default is 8 random letters and digits.
	Ref func() string

	// Stands is asked instead of Decide on a recheck: whether what runs may run
	// on. It differs where what is open may outlive the right to open more. Nil
	// means Decide; safe for concurrent use.
	Stands func() (policy.Grant, error)

	// Recheck says that what Stands answers may have changed. If it then
	// refuses, the session ends: with the *refusal.Error that it returned, or with the
	// refusal's text and refusal.PolicyChanged. Where the grant covers less than
	// before, what rests on the rest ends with refusal.CapabilityLost, and the
	// session goes on: programs and forwards, listens, agent and X11. Values
	// that come while one is being acted on count as one; closing it is the end
	// of rechecks. Nil: there are none.
	Recheck <-chan struct{}

	// Messages are lines for the user. Each is shown, and recorded, on every
	// session channel with a terminal in which a program runs, and nowhere
	// else. Taking one never waits for a user: whoever has eight unread ones
	// misses the next. Closing it is the end of messages. Nil: there are none.
	Messages <-chan string

	// BudgetDown and BudgetUp bound the bytes towards the client and towards
	// the target, of all channels and before they are recorded or written;
	// entry's own lines don't count. Nil: no bound.
	BudgetDown, BudgetUp Budget

	// Notice is the first line of a session with a terminal, "" for none.
	Notice string

	MaxSessions int // session channels at once; 0 means 10, OpenSSH's MaxSessions
	MaxOthers   int // other channels at once; 0 means 256

	// Where no bytes move on a leg, it is asked whether it is still there,
	// every interval; after count unanswered intervals it isn't.
	UpstreamKeepAlive KeepAlive // zero means 15 s × 3
	ClientKeepAlive   KeepAlive // zero means 10 min × 3: laptops sleep

	decoder func(content) decoder // decoderFor, but in tests
}

// KeepAlive bounds how long a silent peer is believed to be there.
type KeepAlive struct {
	Interval time.Duration
	Count    int
}

// Budget is what may still be moved in one direction, by this session and
// maybe others. It is asked for blocks of 64 KiB to 1 MiB, of which chunks are
// then taken at the price of one atomic operation. It is safe for concurrent
// use.
type Budget interface {
	// Take takes up to want bytes out of the budget and returns how many it
	// took: at least one, or an error. The channel that needed them then ends:
	// with the text and reason of an *refusal.Error (refusal.Budget is meant for it), with
	// those of a *policy.Denied, or with "can't be checked". ctx is done when
	// the session ends.
	Take(ctx context.Context, want int64) (int64, error)

	// Return puts n bytes back that weren't moved: at the end of the session,
	// and when nothing was moved for an interval of UpstreamKeepAlive. It
	// doesn't block for long; its failure is the budget's own matter.
	Return(n int64)
}

// Share is what one user may have recorded in a day. It is safe for concurrent use.
type Share interface {
	// Stream returns what says, of each n bytes of one stream of output, which a
	// terminal shows or not, how many are kept, from the first on. What isn't is
	// counted and digested; or ends the session, where the grant wants everything
	// kept. It is called by one goroutine at a time.
	Stream(terminal bool) func(n int) int
	// Used is how much of the share is used, in percent.
	Used() int
}

// Stats are what a session came to.
type Stats struct {
	Sessions  int                // session channels
	Forwards  int                // other channels
	BytesDown int64              // payload towards the client, all channels
	BytesUp   int64              // payload towards the target
	Exit      *int               // last exit status that the target sent, nil if none
	Coverage  recording.Coverage // the least of all channels, "" without any
}

var errOptions = errors.New("relay: Decide and Event are required")

func (o *Options) fill() error {
	if o.Decide == nil || o.Event == nil {
		return errOptions
	}
	if o.Stands == nil {
		o.Stands = o.Decide
	}
	if o.Turn == nil {
		o.Turn = func(context.Context) error { return nil }
	}
	if o.Count == nil {
		o.Count = func(audit.Event) (string, bool) { return "", false }
	}
	if o.Keyed == nil {
		o.Keyed = func(string, []byte) string { return "" }
	}
	if o.decoder == nil {
		o.decoder = decoderFor
	}
	if o.Ref == nil {
		o.Ref = newRef
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = 10
	}
	if o.MaxOthers <= 0 {
		o.MaxOthers = 256
	}
	if o.UpstreamKeepAlive.Interval <= 0 || o.UpstreamKeepAlive.Count <= 0 {
		o.UpstreamKeepAlive = KeepAlive{15 * time.Second, 3}
	}
	if o.ClientKeepAlive.Interval <= 0 || o.ClientKeepAlive.Count <= 0 {
		o.ClientKeepAlive = KeepAlive{10 * time.Minute, 3}
	}
	return nil
}

func newRef() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
