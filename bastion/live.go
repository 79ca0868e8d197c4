package bastion

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session"
	"entry/session/recording"
)

// endTimeout bounds the end of a session once its user has been told.
const endTimeout = 5 * time.Second

// opening is one target being opened for one connection. Its open runs at most
// once, inside the connection's authentication; run follows when that ended.
type opening struct {
	s       *Server
	conn    string // ULID of the client connection
	source  netip.AddrPort
	who     identity.Identity
	grant   policy.Grant
	tcp     net.Conn
	revoked func() error // what else ends the connection's rights; asked before each channel

	live   *live
	failed string // for the user, when there is no live session
	denied bool   // the target refused the user's own answers
}

// open dials SSH, starts the recording and appends session.started, all before
// the inner connection's authentication succeeds.
func (o *opening) open(ctx context.Context, asked string, pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) {
	g := o.grant
	id := o.s.newID()
	login := g.Login(asked)
	u := &upstream{s: o.s, tcp: o.tcp, grant: g, login: login, user: o.who.User(), session: id, pre: pre, ask: ask}
	if g.Target().Auth != policy.Passthrough {
		u.ask = nil
	}
	leg, denied, r := u.open(ctx)
	base := audit.Event{Conn: o.conn, Session: id, User: o.who.User(), Source: o.source.String(), Login: login, AskedLogin: clip(asked)}
	if r == nil {
		o.live, r = o.start(id, login, asked, leg)
	}
	if r != nil {
		o.failed, o.denied = o.s.noted(*r, base), denied
		if denied && pre != nil {
			_ = pre.SendAuthBanner("entry: " + o.failed + "\r\n")
		}
		return
	}
	if o.s.o.Notice == NoticeBanner && pre != nil {
		_ = pre.SendAuthBanner(notice(g) + "\r\n") // the client may have left
	}
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
	id       string
	conn     string
	user     string
	source   netip.AddrPort
	login    string
	asked    string
	grant    policy.Grant // at its start; each channel is decided anew
	upstream session.Leg
	recorder *recording.Writer // nil when the grant asks for metadata only
	revoked  func() error
	started  time.Time

	cancel context.CancelCauseFunc
	ctx    context.Context
	once   sync.Once // finish
}

// start begins the recording and the session's entry in the log and registry.
// It closes leg unless it returns a session.
func (o *opening) start(id, login, asked string, leg session.Leg) (*live, *refusal) {
	g, t := o.grant, o.grant.Target()
	fail := func(why, text string, cause error) (*live, *refusal) {
		leg.Conn.Close()
		return nil, &refusal{why: why, text: text, event: audit.RecordingFailed, detail: cause.Error(), lab: t.Lab, target: t.FullName(), rule: g.Rule().String(), policy: g.PolicyHash()}
	}
	l := &live{s: o.s, id: id, conn: o.conn, user: o.who.User(), source: o.source, login: login, asked: asked, grant: g, upstream: leg, revoked: o.revoked, started: o.s.now()}
	l.ctx, l.cancel = context.WithCancelCause(o.s.ctx)
	e := l.event(audit.SessionStarted)
	e.Rule, e.Policy, e.Capability = g.Rule().String(), g.PolicyHash(), g.Capabilities().String()
	e.Detail = "record: " + g.Record().String()
	if g.Record() != policy.Metadata {
		w, err := o.s.o.Spool.Create(recording.Header{
			ID: id, User: l.user, Lab: t.Lab, Target: t.FullName(), Login: login, Source: o.source.String(),
			Rule: g.Rule().String(), Policy: g.PolicyHash(), Start: l.started, Input: g.RecordInput(), Notice: notice(g),
		}, o.s.o.Auditors(t.Lab))
		switch {
		case errors.Is(err, recording.ErrFull):
			return fail("recorder-full", "the disk for recordings is full, so nothing can be started; tell your operator", err)
		case errors.Is(err, recording.ErrQuota):
			return fail("recorder-quota", "your recordings have reached their quota; ask your operator to archive them", err)
		case err != nil:
			return fail("recorder", "this session could not be recorded, so it was not started; tell your operator", err)
		}
		l.recorder = w
		h := w.HeaderHash()
		e.Recording = &audit.Recording{ID: id, Header: hex.EncodeToString(h[:])}
	}
	if !o.s.live.addSession(l, g.Limits().Concurrent) {
		l.discard()
		leg.Conn.Close()
		return nil, &refusal{why: "concurrent", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), rule: g.Rule().String(), policy: g.PolicyHash(),
			text: fmt.Sprintf("you already have %d sessions on %s, the most that rule %s permits; end one first", g.Limits().Concurrent, t.FullName(), g.Rule())}
	}
	// Registered first, then checked: whoever takes access away changes the
	// account first and ends what is registered then, so one of the two sees
	// the other.
	if err := l.revoked(); err != nil {
		o.s.live.remove(l)
		l.discard()
		leg.Conn.Close()
		return nil, &refusal{why: "revoked", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), text: userText(err)}
	}
	if err := o.s.o.Events.Append(l.ctx, e); err != nil {
		o.s.live.remove(l)
		l.discard()
		return fail("audit", "the audit log can't be written, so nothing was started; tell your operator", err)
	}
	return l, nil
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
	return audit.Event{Type: t, Conn: l.conn, Session: l.id, User: l.user, Source: l.source.String(),
		Lab: l.grant.Target().Lab, Target: l.grant.Target().FullName(), Login: l.login, AskedLogin: clip(l.asked)}
}

// decide asks policy again, under whatever policy is in force now.
func (l *live) decide() (policy.Grant, error) {
	if err := l.revoked(); err != nil {
		return policy.Grant{}, err
	}
	p := l.s.policy.Load()
	t, ok := p.Target(l.grant.Target().FullName())
	if !ok {
		return policy.Grant{}, &policy.Denied{User: l.user, Target: l.grant.Target().FullName()}
	}
	return p.Decide(policy.Request{User: l.user, Target: t, Source: l.source.Addr(), Time: l.s.now()})
}

func (l *live) owner() string { return l.user }

// end ends the session and tells its user why.
func (l *live) end(e *session.End) { l.cancel(e) }

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
	if l.s.o.Notice == NoticePTY {
		o.Notice = notice(l.grant)
	}
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
		var end *session.End
		switch {
		case errors.As(err, &end):
			e.Reason, e.Detail = end.Reason, end.Text
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
	who := "the auditors of " + g.Target().Lab
	switch {
	case g.Record() == policy.Metadata:
		return fmt.Sprintf("entry logs when and where you connect to %s; the content is not recorded.", g.Target().FullName())
	case g.Record() == policy.Manifest:
		return fmt.Sprintf("entry records the commands and file transfers of this session on %s; %s may read them.", g.Target().FullName(), who)
	case g.RecordInput():
		return fmt.Sprintf("entry records this session on %s: output, commands and EVERYTHING YOU TYPE, passwords too; %s may replay it.", g.Target().FullName(), who)
	}
	return fmt.Sprintf("entry records this session on %s: output and commands, not what you type; %s may replay it.", g.Target().FullName(), who)
}
