package bastion

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session"
	"entry/session/recording"
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
	tcp    net.Conn       // dialled with the grant

	live   *live
	failed string // for the user, when there is no live session
	denied bool   // the target refused the user's own answers
}

// open dials SSH, starts the recording and appends session.started, all before
// the inner connection's authentication succeeds.
func (o *opening) open(ctx context.Context, asked string, pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) {
	s := o.c.s
	if o.waits != nil && !o.approved(ctx, pre, ask) {
		return
	}
	g := o.grant
	id := s.newID()
	login := g.Login(asked)
	u := &upstream{s: s, tcp: o.tcp, grant: g, login: login, user: o.c.who.User(), session: id, pre: pre, ask: ask}
	if g.Target().Auth != policy.Passthrough {
		u.ask = nil
	}
	leg, denied, r := u.open(ctx)
	base := audit.Event{Conn: o.c.id, Session: id, User: o.c.who.User(), Source: o.c.source.String(), Login: login, AskedLogin: clip(asked)}
	if r == nil {
		r = o.start(id, login, asked, leg)
	}
	if r != nil {
		o.failed, o.denied = s.noted(*r, base), denied
		if denied && pre != nil {
			_ = pre.SendAuthBanner("entry: " + o.failed + "\r\n")
		}
		return
	}
	if s.o.Notice == NoticeBanner && pre != nil {
		_ = pre.SendAuthBanner(notice(g) + "\r\n") // the client may have left
	}
}

// approved waits for the approval, then dials.
func (o *opening) approved(ctx context.Context, pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) bool {
	var r *refused
	o.grant, r = o.c.await(ctx, o.target, *o.waits, saying(pre, ask))
	if r == nil {
		o.target = o.grant.Target()
		o.tcp, r = o.c.s.dial(ctx, o.grant)
	}
	if r != nil {
		o.failed = o.c.noted(*r)
	}
	return r == nil
}

// close ends what was opened and never ran.
func (o *opening) close() {
	if o.tcp != nil {
		o.tcp.Close()
	}
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
	user     string
	source   netip.AddrPort
	login    string
	asked    string
	grant    policy.Grant // at its start; each channel is decided anew
	upstream session.Leg
	recorder *recording.Writer // nil when the grant asks for metadata only
	started  time.Time

	watch  *watch
	cancel context.CancelCauseFunc
	ctx    context.Context
	once   sync.Once // finish
}

// start enters the session in the registry, begins its recording and appends
// session.started, in this order: a session that is refused leaves no
// recording behind that the log knows nothing of. It sets o.live, or closes leg
// and returns why not.
func (o *opening) start(id, login, asked string, leg session.Leg) *refused {
	g, t, s := o.grant, o.grant.Target(), o.c.s
	l := &live{s: s, c: o.c, id: id, user: o.c.who.User(), source: o.c.source, login: login, asked: asked, grant: g, upstream: leg, started: s.now(), watch: newWatch()}
	l.ctx, l.cancel = context.WithCancelCause(s.ctx)
	refuse := func(why string, event audit.Type, text string, cause error) *refused {
		o.live = nil
		l.cancel(nil)
		leg.Conn.Close()
		r := refused{why: why, text: text, event: event, lab: t.Lab, target: t.FullName(), rule: g.Rule().String(), policy: g.PolicyHash()}
		if cause != nil {
			r.detail = cause.Error()
		}
		return &r
	}
	if most := g.Limits().Concurrent; !s.live.addSession(l, most) {
		return refuse("concurrent", audit.AccessRefused,
			fmt.Sprintf("you already have %d sessions on %s, the most that rule %s permits; end one first", most, t.FullName(), g.Rule()), nil)
	}
	o.live = l // from here on close ends it, whatever goes wrong
	refuseListed := func(why string, event audit.Type, text string, cause error) *refused {
		s.live.remove(l)
		return refuse(why, event, text, cause)
	}
	// Registered first, then asked again: whoever takes access away changes the
	// account or the policy first and ends what is registered then, so one of
	// the two sees the other.
	if _, err := l.decide(); err != nil {
		return refuseListed("revoked", audit.AccessRefused, userText(err), nil)
	}
	e := l.event(audit.SessionStarted)
	e.Rule, e.Policy, e.Capability = g.Rule().String(), g.PolicyHash(), g.Capabilities().String()
	e.Detail = "record: " + g.Record().String()
	e.Approver = strings.Join(g.Approval().By, ", ")
	if g.Record() != policy.Metadata {
		w, err := s.o.Spool.Create(recording.Header{
			ID: id, User: l.user, Lab: t.Lab, Target: t.FullName(), Login: login, Source: l.source.String(),
			Rule: g.Rule().String(), Policy: g.PolicyHash(), Start: l.started, Input: g.RecordInput(), Notice: notice(g),
		}, s.o.Auditors(t.Lab))
		switch {
		case errors.Is(err, recording.ErrFull):
			return refuseListed("recorder-full", audit.RecordingFailed, "the disk for recordings is full, so nothing can be started; tell your operator", err)
		case errors.Is(err, recording.ErrQuota):
			return refuseListed("recorder-quota", audit.RecordingFailed, "your recordings have reached their quota; ask your operator to archive them", err)
		case err != nil:
			return refuseListed("recorder", audit.RecordingFailed, "this session could not be recorded, so it was not started; tell your operator", err)
		}
		l.recorder = w
		h := w.HeaderHash()
		e.Recording = &audit.Recording{ID: id, Header: hex.EncodeToString(h[:])}
	}
	// Whatever ends the session meanwhile: an event that may or may not have
	// reached the log would be a start without an end.
	if err := s.o.Events.Append(context.WithoutCancel(l.ctx), e); err != nil {
		l.discard()
		return refuseListed("audit", audit.RecordingFailed, "the audit log can't be written, so nothing was started; tell your operator", err)
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
	return audit.Event{Type: t, Conn: l.c.id, Session: l.id, User: l.user, Source: l.source.String(),
		Lab: l.grant.Target().Lab, Target: l.grant.Target().FullName(), Login: l.login, AskedLogin: clip(l.asked)}
}

// decide asks again whether and how something new may open, under whatever
// policy is in force now.
func (l *live) decide() (policy.Grant, error) {
	if err := l.c.revoked(); err != nil {
		return policy.Grant{}, err
	}
	return l.granted(l.s.policy.Load())
}

func (l *live) granted(p *policy.Policy) (policy.Grant, error) {
	t, ok := p.Target(l.grant.Target().FullName())
	if !ok {
		return policy.Grant{}, &policy.Denied{User: l.user, Target: l.grant.Target().FullName()}
	}
	return p.Decide(l.c.request(t, l.started))
}

// stands tells whether the session may go on under p. Its age is no reason
// against it: what runs may run on, only nothing new opens.
func (l *live) stands(p *policy.Policy) error {
	_, err := l.goesOn(p)
	return err
}

// goesOn is the grant under which the session may go on.
func (l *live) goesOn(p *policy.Policy) (policy.Grant, error) {
	g, err := l.granted(p)
	if err == nil && g.Record() != policy.Metadata && l.grant.Record() == policy.Metadata {
		return g, &refusal.Error{Text: "sessions on " + g.Target().FullName() + " are recorded from now on; connect again", Code: refusal.PolicyChanged}
	}
	return g, err
}

// recheck has the session decided anew: what lost its grant ends, and what lost
// a capability loses that one.
func (l *live) recheck() { l.watch.policyChanged() }

func (l *live) by() *client { return l.c }

// end ends the session and tells its user why.
func (l *live) end(e *refusal.Error) { l.cancel(e) }

// run relays until the session is over and writes its end.
func (l *live) run(ctx context.Context, client session.Leg) {
	stop := context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })
	defer stop()
	o := session.Options{
		Decide: l.decide,
		Event: func(e audit.Event) error {
			b := l.event(e.Type)
			e.Conn, e.Session, e.User, e.Source, e.Lab, e.Target, e.Login, e.AskedLogin = b.Conn, b.Session, b.User, b.Source, b.Lab, b.Target, b.Login, b.AskedLogin
			return l.s.o.Events.Append(context.WithoutCancel(l.ctx), e)
		},
	}
	if l.recorder != nil {
		o.Recorder = l.recorder
	}
	var said []string
	for _, w := range l.c.who.Warnings() {
		said = append(said, "entry: "+w)
	}
	if l.s.o.Notice == NoticePTY {
		said = append(said, notice(l.grant))
	}
	o.Notice = strings.Join(said, "\r\n")
	b := l.s.newBudgets(l.grant, l.event)
	defer b.close()
	o.BudgetDown, o.BudgetUp = b.down, b.up
	var mu sync.Mutex // the relay and the watch both ask
	last := l.grant
	o.Stands = func() (policy.Grant, error) {
		mu.Lock()
		defer mu.Unlock()
		p := l.s.policy.Load()
		g, err := l.goesOn(p)
		if err != nil {
			return g, ending(last, p.Hash(), err)
		}
		last = g
		b.adapt(g)
		return g, nil
	}
	l.watch.options(&o)
	l.c.group.Go("watch of a session", func() { l.watch.run(l.ctx, l.s.now, o.Stands) })
	defer func() { l.cancel(nil); <-l.watch.done }()
	stats, err := session.Relay(l.ctx, client, l.upstream, o)
	l.finish(stats, err)
}

// finish seals the recording and appends session.ended. It runs once.
func (l *live) finish(st session.Stats, err error) {
	l.once.Do(func() {
		defer l.s.live.remove(l)
		l.upstream.Conn.Close()
		e := l.event(audit.SessionEnded)
		e.BytesDown, e.BytesUp = st.BytesDown, st.BytesUp
		e.Reason = "closed"
		var end *refusal.Error
		switch {
		case errors.As(err, &end):
			e.Reason, e.Detail = end.Code.String(), end.Text
		case err != nil:
			e.Reason, e.Detail = "failed", clip(err.Error())
		}
		if l.recorder != nil {
			sum, rerr := l.recorder.Close()
			if rerr != nil {
				f := l.event(audit.RecordingFailed)
				f.Detail = clip(rerr.Error())
				l.s.append(f)
			}
			e.Recording = &audit.Recording{ID: l.id, Head: hex.EncodeToString(sum.Head[:]), Segments: sum.Segments}
		}
		l.cancel(nil)
		l.s.append(e)
	})
}

// notice is the one line that tells a user what is recorded and who may read
// it.
func notice(g policy.Grant) string {
	target, who := g.Target().FullName(), "the auditors of "+g.Target().Lab
	switch {
	case g.Record() == policy.Metadata:
		return fmt.Sprintf("entry logs when and from where you use %s, not what you do there.", target)
	case g.Record() == policy.Manifest:
		return fmt.Sprintf("entry records which commands and transfers you start on %s; %s may read them.", target, who)
	case g.RecordInput():
		return fmt.Sprintf("entry records all that %s shows here AND ALL YOU TYPE, passwords too; %s may replay it.", target, who)
	}
	return fmt.Sprintf("entry records all that %s shows here; %s may replay it.", target, who)
}
