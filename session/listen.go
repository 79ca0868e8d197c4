package session

import (
	"encoding/binary"
	"sync"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/recording"
)

// maxListens bounds what the target listens on for one client.
const maxListens = 64

// listen is something that the target listens on for this client: a TCP port
// or a socket. Targets report addresses in their own words ("" or "localhost"
// or what the name stood for), so a port is one whatever its address.
type listen struct {
	port   int
	socket string
}

// listening is how a listen was asked for.
type listening struct {
	asked int    // port; 0 let the target choose
	bind  string // address
}

// listens are what the target listens on for this client. It is safe for
// concurrent use.
type listens struct {
	mu       sync.Mutex // guards what follows; no other lock is taken under it
	on       map[listen]listening
	settling chan struct{} // closed when the listen being asked for is answered
}

// ask notes that a listen is being asked for, until settle. It reports false if
// there are too many.
func (s *listens) ask() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.on) >= maxListens {
		return false
	}
	s.settling = make(chan struct{})
	return true
}

// settle notes the answer to what was asked for.
func (s *listens) settle(l listen, x listening, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		if s.on == nil {
			s.on = map[listen]listening{}
		}
		s.on[l] = x
	}
	close(s.settling)
	s.settling = nil
}

// find reports how l was asked for. settling isn't nil while a listen, maybe
// that one, is being asked for.
func (s *listens) find(l listen) (x listening, ok bool, settling <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok = s.on[l]
	return x, ok, s.settling
}

func (s *listens) forget(l listen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.on, l)
}

// lost forgets, and returns, what g doesn't cover.
func (s *listens) lost(g policy.Grant) map[listen]listening {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := map[listen]listening{}
	for l, x := range s.on {
		if !l.allowed(g, x.asked) {
			gone[l] = x
			delete(s.on, l)
		}
	}
	return gone
}

func (l listen) allowed(g policy.Grant, asked int) bool {
	if l.socket != "" {
		return g.AllowsStreamListen(l.socket)
	}
	return g.AllowsListen(asked)
}

// event names l for the log.
func (l listen) event(x listening) audit.Event {
	if l.socket != "" {
		return audit.Event{Capability: policy.ForwardRemote.String(), Destination: "unix", Digest: digest(l.socket)}
	}
	return audit.Event{Capability: policy.ForwardRemote.String(), Destination: l.address(x)}
}

// address is where the target listens, for the log.
func (l listen) address(x listening) string {
	return plain.Escaped(address(recording.Text(x.bind), uint32(l.port)), audit.MaxDetail)
}

// cancelListen has the target listen no more. If it doesn't, what comes is
// refused all the same.
func (r *relay) cancelListen(l listen, x listening) {
	name, payload := "cancel-tcpip-forward", ssh.Marshal(struct {
		Host string
		Port uint32
	}{x.bind, uint32(l.port)})
	if l.socket != "" {
		name, payload = "cancel-streamlocal-forward@openssh.com", ssh.Marshal(struct{ Path string }{l.socket})
	}
	_, _, _ = r.upstream.Conn.SendRequest(name, true, payload)
}

// global answers one global request of the client.
func (r *relay) global(req *ssh.Request) {
	ok := false
	var answer []byte
	switch req.Type {
	case "tcpip-forward":
		ok, answer = r.listenTCP(req)
	case "cancel-tcpip-forward":
		_, port, valid := parseListen(req.Payload)
		ok = valid && r.unlisten(req, listen{port: port})
	case "streamlocal-forward@openssh.com":
		ok = r.listenSocket(req)
	case "cancel-streamlocal-forward@openssh.com":
		path, valid := parseText(req.Payload, maxSocket)
		ok = valid && r.unlisten(req, listen{socket: path})
	case keepAlive:
		ok = true
	case "no-more-sessions@openssh.com":
		// x/crypto delivers requests and channels separately: relayed, this
		// would overtake the opening of the session and sshd would hang up.
		ok = true
	default:
		r.unknown(req.Type, nil)
	}
	_ = req.Reply(ok, answer) // the client may be gone
}

func (r *relay) listenTCP(req *ssh.Request) (ok bool, answer []byte) {
	host, port, valid := parseListen(req.Payload)
	l := listen{port: port}
	e := l.event(listening{bind: host})
	if !valid {
		r.noListen(e, &refusal.Error{Text: "the request is malformed", Code: "malformed"})
		return false, nil
	}
	return r.listen(req, e, l, listening{asked: port, bind: host})
}

func (r *relay) listenSocket(req *ssh.Request) bool {
	path, valid := parseText(req.Payload, maxSocket)
	l := listen{socket: path}
	e := audit.Event{Capability: policy.ForwardRemote.String(), Destination: "unix", Digest: digest(path)}
	if !valid || path == "" {
		r.noListen(e, &refusal.Error{Text: "the request is malformed", Code: "malformed"})
		return false
	}
	ok, _ := r.listen(req, e, l, listening{})
	return ok
}

// noListen notes a refused listen. A global request has no text in its answer:
// the client says that forwarding failed, the log says why.
func (r *relay) noListen(e audit.Event, why *refusal.Error) {
	e.Type = audit.ForwardRefused
	r.note(e, why)
}

// listen relays a request to listen and remembers what the target listens on.
func (r *relay) listen(req *ssh.Request, e audit.Event, l listen, x listening) (ok bool, answer []byte) {
	if r.o.Turn(r.group.Context()) != nil {
		return false, nil // the session has ended
	}
	age := r.age()
	g, err := r.decide()
	e.Policy = g.PolicyHash()
	if err != nil || !l.allowed(g, x.asked) {
		r.noListen(e, undecidedOr(err, g, policy.ForwardRemote))
		return false, nil
	}
	if !r.listens.ask() {
		r.noListen(e, &refusal.Error{Text: "too many listens", Code: "limit"})
		return false, nil
	}
	ok, answer, err = r.upstream.Conn.SendRequest(req.Type, true, req.Payload)
	ok = ok && err == nil
	if ok && l.socket == "" && l.port == 0 {
		if len(answer) == 4 {
			l.port = int(binary.BigEndian.Uint32(answer) & maxPort)
		}
		ok = l.port != 0
	} else {
		answer = nil
	}
	r.stand(age, func() { r.listens.settle(l, x, ok) })
	if !ok {
		r.noListen(e, &refusal.Error{Text: r.target + " refused to listen", Code: "upstream-refused"})
		return false, nil
	}
	e.Type, e.Rule = audit.ListenOpened, g.RuleFor(policy.ForwardRemote).String()
	if l.socket == "" {
		e.Destination = l.address(x)
	}
	return r.event(e), answer
}

// unlisten relays the cancelling of a listen that this connection asked for.
func (r *relay) unlisten(req *ssh.Request, l listen) bool {
	if _, found, _ := r.listens.find(l); !found {
		return false
	}
	ok, _, err := r.upstream.Conn.SendRequest(req.Type, true, req.Payload)
	if err != nil || !ok {
		return false
	}
	r.listens.forget(l)
	return true
}

// listening reports whether the target listens on l for this client, and which
// port was asked for. The target may connect before its answer to the listen
// has been handled here, so one that is being asked for is waited for.
func (r *relay) listening(l listen) (asked int, ok bool) {
	for {
		x, ok, settling := r.listens.find(l)
		if ok || settling == nil {
			return x.asked, ok
		}
		select {
		case <-settling:
		case <-r.ending:
			return 0, false
		}
	}
}
