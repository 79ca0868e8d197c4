package bastion

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/configs"
	"entry/policy"
	"entry/session"
	"entry/session/group"
	"entry/session/recording"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

// endTimeout bounds the end of a session once its user has been told.
const endTimeout = 5 * time.Second

// opening is one target being opened for one connection. Its open runs at most
// once, inside the connection's authentication; run follows when that ended.
type opening struct {
	c      *client
	target *policy.Target
	waits  *policy.Quorum // whose approval comes before the grant
	grant  policy.Grant   // invalid while it waits

	destination string // what the client asked for, as the log has it
	shown       func() // hears that the client has logged in; nil tells nobody

	live   *live
	failed string // for the user, when there is no live session
	denied bool   // the target refused the user's own answers
}

// open dials SSH, starts the recording and appends session.started, all before
// the inner connection's authentication succeeds.
func (o *opening) open(ctx context.Context, asked string, pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) {
	s := o.c.s
	if o.shown != nil {
		o.shown()
	}
	defer o.c.login.Busy()()
	if o.waits != nil && !o.approved(ctx, pre, ask) {
		return
	}
	g := o.grant
	login := g.Login(asked)
	who := o.c.login.Who()
	place, tcp, r := s.dialInTurn(ctx, g, who.User(), login)
	if r != nil {
		r.Event.Destination = o.destination
		o.failed = o.c.note(r)
		return
	}
	loggedIn := false
	defer func() { place.ended(loggedIn) }()
	id := s.newID()
	u := &upstream{s: s, group: o.c.group, tcp: tcp, place: place.place, grant: g, login: login, user: who.User(), session: id, pre: pre, ask: ask}
	if g.Target().Auth != policy.Passthrough {
		u.ask = nil
	}
	leg, denied, r := u.open(ctx)
	loggedIn = r == nil
	if loggedIn && ctx.Err() != nil {
		_ = leg.Conn.Close() // the target logged it in, which is all that was wanted of it
		r = access.Refuse("client-left", "you left before the session began", access.About(g))
		r.Event.Type = audit.UpstreamFailed
	}
	base := o.c.login.Event("")
	base.Session, base.Login, base.AskedLogin = id, login, plain.Clip(asked, maxPeer)
	if r == nil {
		r = o.start(id, login, asked, leg)
	}
	if r != nil {
		o.failed, o.denied = o.c.login.NoteIn(r, base), denied
		if denied && pre != nil {
			_ = pre.SendAuthBanner("entry: " + o.failed + "\r\n")
		}
		return
	}
	if s.cfg.Recording.Notice == configs.NoticeBanner && pre != nil {
		_ = pre.SendAuthBanner(access.Notice(g) + "\r\n") // the client may have left
	}
}

// approved waits for the approval.
func (o *opening) approved(ctx context.Context, pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) bool {
	var r *access.Refused
	o.grant, r = o.c.login.Await(ctx, o.target, *o.waits, saying(pre, ask))
	if r == nil {
		o.target = o.grant.Target()
		return true
	}
	o.failed = o.c.note(r)
	return false
}

// close ends what was opened and never ran.
func (o *opening) close() {
	if o.live != nil {
		o.live.finish(session.Stats{}, errors.New("client left before the session began"))
	}
}

// run relays until the connection ends, or tells the client why it can't.
func (o *opening) run(ctx context.Context, client session.Leg) {
	if o.live == nil {
		session.Refuse(ctx, client, o.failed)
		return
	}
	o.live.run(ctx, client)
}

// live is one live session.
type live struct {
	s        *Server
	c        *client // on which it was opened
	id       string
	login    string
	asked    string
	grant    policy.Grant // at its start; each channel is decided anew
	upstream session.Leg
	recorder *spool.Writer // nil when the grant asks for metadata only
	hold     *access.Hold

	cancel context.CancelCauseFunc
	ctx    context.Context
	once   sync.Once // finish
}

// start enters the session in the registry, begins its recording and appends
// session.started, in this order: a session that is refused leaves no
// recording behind that the log knows nothing of. It sets o.live, or closes leg
// and returns why not.
func (o *opening) start(id, login, asked string, leg session.Leg) *access.Refused {
	g, t, s := o.grant, o.grant.Target(), o.c.s
	l := &live{s: s, c: o.c, id: id, login: login, asked: asked, grant: g, upstream: leg}
	l.ctx, l.cancel = context.WithCancelCause(s.ctx)
	undo := func(r *access.Refused) *access.Refused {
		o.live = nil
		l.cancel(nil)
		leg.Conn.Close()
		return r
	}
	began := s.now()
	hold, r := o.c.login.Hold(access.Opening{Grant: g, Session: id, Began: began, Event: l.event, End: func(why *refusal.Error) { l.cancel(why) }})
	if r != nil {
		return undo(r)
	}
	l.hold, o.live = hold, l // from here on close ends it, whatever goes wrong
	unrecorded := func(code refusal.Code, text string, cause error) *access.Refused {
		hold.Release()
		e := access.About(g)
		e.Type = audit.RecordingFailed
		return undo(access.Refuse(code, text, e).With(cause))
	}
	e := l.event(audit.SessionStarted)
	e.Rule, e.Policy, e.Capability = g.Rule().String(), g.PolicyHash(), g.Capabilities().String()
	e.Detail = "record: " + g.Record().String()
	e.Approver = strings.Join(g.Approval().By, ", ")
	if g.RecordComplete() && s.o.Spool.UsedBy(e.User) >= 100 {
		return unrecorded("recorder-share", "everything on "+t.FullName()+" has to be recorded, and your share of recordings for today is used up; go on tomorrow, or ask your lab's administrator", nil)
	}
	if !s.hasFiles(true) {
		return unrecorded("files", filesText, nil)
	}
	if g.Record() != policy.Metadata {
		readers := s.o.Auditors(t.Lab)
		w, err := s.o.Spool.Create(recording.Header{
			ID: id, User: e.User, Lab: t.Lab, Target: t.FullName(), Login: login, Source: e.Source,
			Rule: g.Rule().String(), Policy: g.PolicyHash(), Start: began, Input: g.RecordInput(), Notice: access.Notice(g), Auditors: auditors.Fingerprints(readers),
		}, auditors.Recipients(readers))
		switch {
		case errors.Is(err, spool.ErrFull):
			return unrecorded("recorder-full", "the disk for recordings is full, so nothing can be started; tell your lab's administrator", err)
		case errors.Is(err, spool.ErrQuota):
			return unrecorded("recorder-quota", "your recordings have reached their quota; ask your lab's administrator to archive them", err)
		case errors.Is(err, spool.ErrShare):
			why := refusal.Of(err)
			return unrecorded(why.Code, why.Text, err)
		case err != nil:
			return unrecorded("recorder", "this session could not be recorded, so it was not started; tell your lab's administrator", err)
		}
		l.recorder = w
		h, k := w.HeaderHash(), w.KeyHash()
		e.Recording = &audit.Recording{ID: id, Header: hex.EncodeToString(h[:]), Key: hex.EncodeToString(k[:])}
	}
	// Whatever ends the session meanwhile: an event that may or may not have
	// reached the log would be a start without an end.
	if err := o.c.login.Append(context.WithoutCancel(l.ctx), e); err != nil {
		l.discard()
		return unrecorded("audit", "the audit log can't be written, so nothing was started; tell your lab's administrator", err)
	}
	return nil
}

// discard ends a recording that nothing was written to.
func (l *live) discard() {
	if l.recorder != nil {
		if _, err := l.recorder.Close(); err != nil {
			l.s.log.Error("close unused recording", zap.String("session", l.id), zap.Error(err))
		}
	}
}

// event is an event of this session.
func (l *live) event(t audit.Type) audit.Event {
	e := l.c.login.Event(t)
	e.Session, e.Lab, e.Target = l.id, l.grant.Target().Lab, l.grant.Target().FullName()
	e.Login, e.AskedLogin = l.login, plain.Clip(l.asked, maxPeer)
	return e
}

// run relays until the session is over and writes its end.
func (l *live) run(ctx context.Context, client session.Leg) {
	stop := context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })
	defer stop()
	o := session.Options{Contact: l.s.contact(),
		Decide: l.hold.Decide, Stands: l.hold.Stands, Recheck: l.hold.Recheck(), Messages: l.hold.Messages(),
		BudgetDown: l.hold.Down(), BudgetUp: l.hold.Up(), Turn: l.c.login.Turn, Count: l.c.login.Count, Backlog: l.c.backlog, Beside: l.hold.Beside(), Keyed: l.s.o.Auth.FileDigest,
		Event: func(e audit.Event) error {
			b := l.event(e.Type)
			e.Conn, e.Session, e.User, e.Source, e.Lab, e.Target, e.Login, e.AskedLogin = b.Conn, b.Session, b.User, b.Source, b.Lab, b.Target, b.Login, b.AskedLogin
			return l.c.login.Append(context.WithoutCancel(l.ctx), e)
		},
	}
	if l.recorder != nil {
		o.Recorder, o.Share = l.recorder, l.recorder
	}
	var said []string
	for _, w := range l.c.login.Who().Warnings() {
		said = append(said, "entry: "+w)
	}
	if l.s.cfg.Recording.Notice == configs.NoticePTY {
		said = append(said, access.Notice(l.grant))
	}
	o.Notice = strings.Join(said, "\r\n")
	follow := l.hold.Follow(l.ctx)
	defer follow()
	defer l.c.watch(l.upstream.Intake)()
	stats, err := session.Relay(l.ctx, client, l.upstream, o)
	var panicked *group.Panic
	if errors.As(err, &panicked) {
		l.s.log.Error("panic", zap.String("session", l.id), zap.Error(panicked))
	}
	l.finish(stats, err)
}

// append writes the last events of the session, for which nobody waits. A failure
// ends the server through Events.Failed.
func (l *live) append(e audit.Event) {
	if err := l.c.login.Append(context.Background(), e); err != nil {
		l.s.log.Error("append events", zap.Error(err))
	}
}

// finish seals the recording and appends session.ended. It runs once.
func (l *live) finish(st session.Stats, err error) {
	l.once.Do(func() {
		defer l.hold.Release()
		l.upstream.Conn.Close()
		e := l.event(audit.SessionEnded)
		e.BytesDown, e.BytesUp, e.Coverage = st.BytesDown, st.BytesUp, string(st.Coverage)
		e.Reason = "closed"
		var end *refusal.Error
		switch {
		case errors.As(err, &end):
			e.Reason, e.Detail = end.Code.String(), policy.Logged(end)
		case err != nil:
			e.Reason, e.Detail = "failed", plain.Clip(err.Error(), maxPeer)
		}
		if l.recorder != nil {
			sum, rerr := l.recorder.Close()
			if rerr != nil {
				f := l.event(audit.RecordingFailed)
				f.Detail = plain.Clip(rerr.Error(), maxPeer)
				if errors.Is(rerr, spool.ErrGone) {
					f.Type, f.Reason = audit.AlarmFileGone, "recording"
					l.s.log.Error("A RECORDING'S FILES ARE NOT WHERE THEY WERE: its session ends", zap.String("session", l.id), zap.Error(rerr))
				}
				l.append(f)
			}
			e.Recording = &audit.Recording{ID: l.id, Head: hex.EncodeToString(sum.Head[:]), Segments: sum.Segments}
		}
		l.cancel(nil)
		l.append(e)
	})
}
