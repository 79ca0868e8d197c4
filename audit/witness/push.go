package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/group"
)

const (
	// exchange bounds what is asked of one witness in a round.
	exchange = 3 * time.Second
	// maxPause is how long a witness that doesn't answer is left alone at most.
	maxPause = time.Minute
	// Stale is how old records may become that fewer witnesses than are needed vouch
	// for, until Pusher.Stale says so.
	Stale = 5 * time.Minute
)

// Log is the log whose checkpoints are pushed: an *audit.Log.
type Log interface {
	grown
	Position() audit.Position
	Head() (audit.SignedHead, error)
	Append(context.Context, ...audit.Event) error
}

// PushOptions are NewPusher's. All but Told are required.
type PushOptions struct {
	Log Log
	Dir string // the log's
	// Peers are the witnesses; Need of them have to vouch for a record.
	Peers []*Peer
	Need  int
	// Within is how soon after a record its checkpoint is pushed, at most.
	Within time.Duration
	// Told hears, for the server's own log, what goes into the audit log as an alarm.
	Told func(text string, err error)
}

// Pusher brings a log's checkpoints to witnesses. Its methods are safe for concurrent
// use; Round and Run are for one goroutine.
type Pusher struct {
	o      PushOptions
	file   *keptFile
	peers  []*asked
	unkept bool // the alarm was raised that what they cosign can't be kept

	mu      sync.Mutex // guards what follows
	covered uint64     // so many records are vouched for by enough of them
	since   time.Time  // when the oldest record was there that isn't; zero for none
}

// asked is a witness and what came of asking it.
type asked struct {
	*Peer
	size  uint64 // of the newest checkpoint that it has cosigned
	fails int    // in a row
	next  time.Time
	alarm string // the reason of the last event, "" where all is well
}

// NewPusher makes one, and takes up from what was cosigned before.
func NewPusher(o PushOptions) (*Pusher, error) {
	h, err := o.Log.Head()
	if err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(string(h.Signed), "\n")
	p := &Pusher{o: o}
	for _, peer := range o.Peers {
		r, err := newest(o.Dir, origin, keysOf(peer))
		if err != nil {
			return nil, fmt.Errorf("what witnesses have cosigned: %w", err)
		}
		p.peers = append(p.peers, &asked{Peer: peer, size: r[0].Size})
	}
	p.file, err = openKept(o.Dir)
	p.cover(time.Now())
	return p, err
}

// Close ends what Run has open, once it has returned.
func (p *Pusher) Close() error {
	for _, a := range p.peers {
		a.Close()
	}
	return p.file.Close()
}

// Run pushes until ctx ends. Whoever ends it calls Round once more, after the last
// record.
func (p *Pusher) Run(ctx context.Context) {
	// Half of what is promised is for waiting, the other for asking.
	t := time.NewTicker(max(p.o.Within/2, 50*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = p.round(ctx, false) // told, and in the log
		}
	}
}

// result is what one witness answered in a round.
type result struct {
	line string
	err  error
}

// Round pushes the newest checkpoint to all witnesses, at once, for three seconds at
// most: also to those that have cosigned it, who may know of more records by now, where
// the log was put back with all that is beside it. It appends what is worth an alarm.
// The error wraps ErrBehind or ErrForked where a witness knows another log than this
// one.
func (p *Pusher) Round(ctx context.Context) error { return p.round(ctx, true) }

// round is Round; where all isn't said, to those alone that haven't cosigned it and
// aren't left alone for not having answered lately.
func (p *Pusher) round(ctx context.Context, all bool) error {
	began := time.Now()
	defer p.cover(began)
	size := p.o.Log.Position().Size
	var ask []*asked
	for _, a := range p.peers {
		if all || a.size < size && !began.Before(a.next) {
			ask = append(ask, a)
		}
	}
	if len(ask) == 0 || size == 0 {
		return nil
	}
	h, err := p.o.Log.Head()
	if err != nil {
		return err // the log is failing, and says so
	}
	answers := p.askAll(ctx, ask, h)
	var lines []string
	for _, r := range answers {
		if r.err == nil {
			lines = append(lines, r.line)
		}
	}
	if len(lines) > 0 {
		if !p.kept(ctx, h.Signed, lines) {
			return nil // asked again in the next round
		}
		if err := p.file.thinIfLong(began); err != nil {
			p.tell("what witnesses have cosigned stays as long as it is", err)
		}
	}
	var other []error
	for i, a := range ask {
		err := answers[i].err
		if err == nil {
			a.size = h.Size
		}
		if p.judge(ctx, a, err, began); errors.Is(err, ErrBehind) || errors.Is(err, ErrForked) {
			other = append(other, fmt.Errorf("the witness %s %w", plain.Word(a.Name()), err))
		}
	}
	return errors.Join(other...)
}

// kept makes what they cosigned durable. What is in the way is an alarm, once.
func (p *Pusher) kept(ctx context.Context, checkpoint []byte, lines []string) bool {
	err := p.file.add(checkpoint, lines)
	if err == nil {
		p.unkept = false
		return true
	}
	if errors.Is(err, errGone) { // whoever took it has what was in it; the newest goes into another
		if f, oerr := openKept(p.o.Dir); oerr == nil {
			_ = p.file.Close() // every entry was synced
			p.file = f
		}
	}
	if !p.unkept {
		detail := "what witnesses have cosigned can't be kept"
		p.unkept = p.o.Log.Append(ctx, audit.Event{Type: audit.AlarmWitness, Reason: reasonUnkept, Detail: detail}) == nil
		p.tell(detail, err)
	}
	return false
}

// askAll asks each of them for a cosignature.
func (p *Pusher) askAll(ctx context.Context, ask []*asked, h audit.SignedHead) []result {
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	answers := make([]result, len(ask))
	g := group.New(ctx, nil)
	for i, a := range ask {
		answers[i].err = errors.New("asking it failed") // where it panics
		g.Go("asking the witness "+a.Name(), func() {
			line, err := a.cosign(ctx, p.o.Log, h.Signed, h.Size, a.size)
			answers[i] = result{line, p.certain(err, h)}
		})
	}
	g.Wait()
	return answers
}

// certain takes a witness's word that the log is another one for what it is only if
// the log's own lines prove what was sent: a proof out of a damaged cache of hashes
// would be refused as well.
func (p *Pusher) certain(err error, h audit.SignedHead) error {
	var f *forked
	if !errors.As(err, &f) {
		return err
	}
	roots, rerr := audit.RootsAt(p.o.Dir, f.known, h.Size)
	if rerr != nil {
		return rerr
	}
	if roots[1] != tlog.Hash(h.Root) {
		return errors.New("can't be asked: the log's lines aren't what was signed; entry audit verify says more")
	}
	if f.known > 0 && tlog.CheckTree(f.proof, int64(h.Size), roots[1], int64(f.known), roots[0]) != nil {
		return errors.New("can't be asked: the log's file of hashes is damaged; the next start makes it anew")
	}
	return err
}

// reasons of alarm.witness.
const (
	reasonUnreachable = "unreachable"
	reasonRefused     = "refused"
	reasonBehind      = "log-behind"
	reasonForked      = "log-forked"
	reasonUnkept      = "not-kept"
	reasonWell        = "well"
)

// judge notes what came of asking a, and puts on record what is another state than
// before. One failure alone, such as of a witness that is started again, is none.
func (p *Pusher) judge(ctx context.Context, a *asked, err error, now time.Time) {
	reason := ""
	switch {
	case err == nil:
		a.fails = 0
	case errors.Is(err, ErrBehind):
		reason = reasonBehind
	case errors.Is(err, ErrForked):
		reason = reasonForked
	case errors.Is(err, ErrRefused):
		reason = reasonRefused
	case a.fails > 0 || a.alarm != "":
		reason = reasonUnreachable
	}
	if err != nil {
		a.fails++
		a.next = now.Add(min(max(p.o.Within/2, 50*time.Millisecond)<<min(a.fails-1, 20), maxPause))
		if reason == "" {
			return
		}
	}
	if reason == a.alarm {
		return
	}
	detail := "the witness " + a.Name() + " cosigns the log again"
	switch reason {
	case reasonUnreachable: // what a peer may have had a say in isn't for the audit log
		detail = "the witness " + a.Name() + " can't be reached, or doesn't answer as it should"
	case reasonBehind, reasonForked, reasonRefused:
		detail = "the witness " + a.Name() + " " + err.Error()
	}
	e := audit.Event{Type: audit.AlarmWitness, Reason: reason, Detail: detail}
	if reason == "" {
		e.Reason = reasonWell
	}
	// Its own error is known to the log, and an alarm that isn't in it comes again.
	if p.o.Log.Append(ctx, e) == nil {
		a.alarm = reason
	}
	p.tell(detail, err)
}

// tell says text, and why.
func (p *Pusher) tell(text string, err error) {
	if p.o.Told != nil {
		p.o.Told(text, err)
	}
}

// cover notes whether enough witnesses vouch for the newest records, and since when not.
// What they vouch for was pushed no earlier than at.
func (p *Pusher) cover(at time.Time) {
	sizes := make([]uint64, 0, len(p.peers))
	for _, a := range p.peers {
		sizes = append(sizes, a.size)
	}
	slices.Sort(sizes)
	enough := sizes[len(sizes)-p.o.Need]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case enough >= p.o.Log.Position().Size:
		p.since, p.covered = time.Time{}, enough
	case enough > p.covered || p.since.IsZero():
		p.since, p.covered = at, enough
	}
}

// Stale says that records are older than Stale for which fewer witnesses vouch than are
// needed.
func (p *Pusher) Stale() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.since.IsZero() && time.Since(p.since) > Stale
}
