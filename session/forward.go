package session

import (
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/recording"
)

// route is what one channel other than a session would carry.
type route struct {
	needs   policy.Capability
	allowed func(policy.Grant) bool
	opening recording.Opening
	to      string // destination, any bytes
	origin  string // likewise, where the target says it comes from, for the log
	socket  bool   // to is a path: it can hold a secret and isn't told
}

// maxOpening bounds what comes with the opening of a channel, which waits in
// memory for its turn. The longest that means anything is a path.
const maxOpening = 2 * maxSocket

// fromClient takes a channel that the client opens.
func (r *relay) fromClient(nc ssh.NewChannel) {
	if len(nc.ExtraData()) > maxOpening {
		rejectOversized(nc)
		return
	}
	if nc.ChannelType() == "session" {
		r.slot(nc, sessionPlace, func() {
			if r.turn(nc) {
				r.openSession(nc)
			}
		})
		return
	}
	r.slot(nc, otherPlace, func() {
		if !r.turn(nc) {
			return
		}
		switch nc.ChannelType() {
		case "direct-tcpip":
			o, ok := parseTCPChannel(nc.ExtraData())
			r.forward(nc, r.upstream, towardsTarget, ok, route{needs: policy.ForwardLocal, opening: o, to: address(o.Host, o.Port),
				allowed: func(g policy.Grant) bool { return g.AllowsForward(string(o.Host), int(o.Port)) }})
		case "direct-streamlocal@openssh.com":
			o, ok := parseStreamLocal(nc.ExtraData())
			r.forward(nc, r.upstream, towardsTarget, ok, route{needs: policy.ForwardLocal, opening: o, to: string(o.Path), socket: true,
				allowed: func(g policy.Grant) bool { return g.AllowsStreamLocal(string(o.Path)) }})
		default:
			r.unknownChannel(nc)
		}
	})
}

const (
	agentChannel = "auth-agent@openssh.com"
	x11Channel   = "x11"
)

// fromUpstream takes a channel that the target opens: only for what the client
// asked for on this connection.
func (r *relay) fromUpstream(nc ssh.NewChannel) {
	if len(nc.ExtraData()) > maxOpening {
		rejectOversized(nc)
		return
	}
	r.slot(nc, otherPlace, func() {
		if !r.turn(nc) {
			return
		}
		switch nc.ChannelType() {
		case "forwarded-tcpip":
			o, ok := parseTCPChannel(nc.ExtraData())
			asked, listening := r.listening(listen{port: int(o.Port & maxPort)})
			r.forward(nc, r.client, towardsClient, ok, route{needs: policy.ForwardRemote, opening: o, to: address(o.Host, o.Port), origin: address(o.Origin, o.OriginPort),
				allowed: func(g policy.Grant) bool { return listening && g.AllowsListen(asked) }})
		case "forwarded-streamlocal@openssh.com":
			o, ok := parseForwardedStreamLocal(nc.ExtraData())
			_, listening := r.listening(listen{socket: string(o.Path)})
			r.forward(nc, r.client, towardsClient, ok, route{needs: policy.ForwardRemote, opening: o, to: string(o.Path), socket: true,
				allowed: func(g policy.Grant) bool { return listening && g.AllowsStreamListen(string(o.Path)) }})
		case agentChannel:
			r.mu.Lock()
			asked := r.agent
			r.mu.Unlock()
			r.forward(nc, r.client, towardsClient, len(nc.ExtraData()) == 0, route{needs: policy.Agent, to: "agent",
				allowed: func(g policy.Grant) bool { return asked && g.Allows(policy.Agent) }})
		case x11Channel:
			o, ok := parseX11Channel(nc.ExtraData())
			r.mu.Lock()
			asked := r.x11
			r.mu.Unlock()
			r.forward(nc, r.client, towardsClient, ok, route{needs: policy.X11, opening: o, to: x11Channel,
				allowed: func(g policy.Grant) bool { return asked && g.Allows(policy.X11) }})
		default:
			r.unknownChannel(nc)
		}
	})
}

func (r *relay) unknownChannel(nc ssh.NewChannel) {
	r.refuse(nc, ssh.UnknownChannelType, audit.Event{Type: audit.ChannelRefused},
		&refusal.Error{Text: "channels of type " + asciiLine(nc.ChannelType(), 64) + " are not relayed", Code: "unknown-channel"})
}

// turn waits until nc may be opened. Where the session ends first it rejects nc.
func (r *relay) turn(nc ssh.NewChannel) bool {
	err := r.o.Turn(r.group.Context())
	if err == nil {
		err = r.o.Backlog.Await(r.group.Context())
	}
	if err != nil {
		rejectLate(nc)
	}
	return err == nil
}

// address is a host and port, any bytes.
func address(host recording.Text, port uint32) string {
	return net.JoinHostPort(string(host), strconv.FormatUint(uint64(port), 10))
}

// forward relays one channel other than a session, opened on one leg, to the
// other one. Its payload isn't recorded; where it leads and how much went
// through is.
func (r *relay) forward(nc ssh.NewChannel, to Leg, dir direction, wellFormed bool, way route) {
	e := audit.Event{Type: audit.ForwardRefused, ChannelType: nc.ChannelType(), Capability: way.needs.String()}
	if way.socket {
		e.Destination, e.Digest = "unix", digest(way.to)
	} else {
		e.Destination = plain.Escaped(way.to, audit.MaxDetail)
	}
	if !wellFormed {
		r.refuse(nc, ssh.Prohibited, e, &refusal.Error{Text: "the request is malformed", Code: "malformed"})
		return
	}
	l := newLease(func(g policy.Grant) policy.Capability {
		if way.allowed(g) {
			return 0
		}
		return way.needs
	})
	age := r.age()
	g, err := r.decide()
	if err != nil || !way.allowed(g) {
		e.Policy = g.PolicyHash()
		why := undecidedOr(err, g, way.needs)
		if err == nil && dir == towardsTarget {
			why = refusal.Of(g.Refusal(way.needs).To(plain.Escaped(way.to, maxHost)))
		}
		if err == nil && dir == towardsClient && g.Allows(way.needs) {
			why = &refusal.Error{Text: "this connection didn't ask for it", Code: "not-asked"}
		}
		r.refuse(nc, ssh.Prohibited, e, why)
		return
	}
	r.stand(age, func() { r.leases[l] = struct{}{} })
	defer r.leave(l)
	e.Policy, e.Rule = g.PolicyHash(), g.RuleFor(way.needs).String()
	far, farReqs, err := r.open(to, nc.ChannelType(), way.opening.Payload(nc.ChannelType())) // what is recorded
	if err != nil {
		name := r.target
		if dir == towardsClient {
			name = "the client"
		}
		code, why := upstreamRefusal(name, err)
		r.refuse(nc, code, e, why)
		return
	}
	defer r.group.Go("late requests", func() { to.Intake.Discard(farReqs) })
	id := r.places.number(otherPlace)
	e.Type, e.Channel = audit.ForwardOpened, id
	if way.origin != "" {
		e.Detail = "from " + plain.Escaped(way.origin, audit.MaxDetail)
	}
	fact := recording.ChannelRequest{Type: "channel-open", Name: recording.Text(e.ChannelType), Destination: recording.Text(way.to)}
	opened := fact
	opened.Opening = &way.opening
	if !r.event(e) || !r.frame(g, recording.Request, *id, opened) {
		_ = far.Close() // the connection may be gone
		r.drop(far)
		rejectLate(nc)
		return
	}
	p := &pipe{f: r.flow, grant: g, lease: l, opened: e, fact: fact, far: far, farReqs: farReqs, farIn: to.Intake, to: dir}
	from := r.client
	if dir == towardsClient {
		from = r.upstream
	}
	p.carry(nc, from.Intake)
}
