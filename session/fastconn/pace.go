package fastconn

import (
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// What a peer may ask for on a connection: openings of channels, requests, key
// exchanges. Each starts goroutines and is decided, answered and perhaps put on
// record, on both processors, while data is moved by one: 80,000 refused openings a
// second took all of a server. Nobody waits who opens the desktop's every tunnel, or
// passes on 400 variables to each of several programs.
const (
	paceBurst    = 2000 // at once
	paceRate     = 200  // a second after that
	exchangeCost = 20   // in what is asked for; a signature and two keys take half a millisecond
)

// pace is how much more a peer may ask for before it isn't read from for a while.
type pace struct {
	end    sync.Once
	closed chan struct{} // once nobody reads any more

	mu    sync.Mutex // guards what follows
	spent float64    // beyond what time has given back; over paceBurst, the peer waits
	at    time.Time  // when it was so
}

// spend takes n places, there or not.
func (p *pace) spend(n float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.spent, p.at = max(0, p.spent-now.Sub(p.at).Seconds()*paceRate)+n, now
}

// due is how long the peer has to wait.
func (p *pace) due() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := p.spent - paceBurst
	if over <= 0 {
		return 0
	}
	return time.Duration(over/paceRate*float64(time.Second)) - time.Since(p.at)
}

// await waits until the peer may be read from again.
func (p *pace) await() error {
	for {
		d := p.due()
		if d <= 0 {
			return nil
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-p.closed:
			t.Stop()
			return net.ErrClosed
		}
	}
}

// Asked counts that the peer has asked for something: has opened a channel, or made
// a request. A peer that does so too fast isn't read from for as long as it was too
// fast, so that it waits and nobody else does. A nil Intake counts nothing.
func (i *Intake) Asked() {
	if i != nil {
		i.pace.spend(1)
	}
}

// Discard refuses requests until there are no more, and counts them.
func (i *Intake) Discard(requests <-chan *ssh.Request) {
	for r := range requests {
		i.Asked()
		_ = r.Reply(false, nil) // the peer may be gone
	}
}

// Exchanged counts that keys were exchanged, the first time or anew.
func (i *Intake) Exchanged() {
	i.pace.spend(exchangeCost)
	if i.exchanged != nil {
		i.exchanged()
	}
}

// OnExchange has f called at each key exchange, once the peer has done its part of it. It
// is to be called before the first.
func (i *Intake) OnExchange(f func()) { i.exchanged = f }

// HostKey is k, one of x/crypto's signers, with which each key exchange on the
// connection counts as what it costs.
func (i *Intake) HostKey(k ssh.Signer) ssh.Signer {
	m, ok := k.(ssh.MultiAlgorithmSigner)
	if !ok {
		return k // which none of x/crypto's is
	}
	return hostKey{m, i}
}

// hostKey signs once for each key exchange (RFC 4253 §8).
type hostKey struct {
	ssh.MultiAlgorithmSigner
	on *Intake
}

func (k hostKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	k.on.Exchanged()
	return k.MultiAlgorithmSigner.Sign(rand, data)
}

func (k hostKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	k.on.Exchanged()
	return k.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}
