package session

import (
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const keepAlive = "keepalive@openssh.com"

// isKeepAlive reports whether req only asks whether anybody is there. OpenSSH
// asks by this name; sshd also on a channel.
func isKeepAlive(req *ssh.Request) bool { return req.Type == keepAlive }

// pulse watches one connection. It is owned by one goroutine.
type pulse struct {
	r        *relay
	conn     ssh.Conn
	count    int
	signs    *atomic.Uint64 // of life that it gave by itself
	ticker   *time.Ticker   // nil once stopped
	answered chan struct{}
	asked    bool
	missed   int
	seen     uint64
}

func (r *relay) newPulse(conn ssh.Conn, k KeepAlive, side direction) *pulse {
	return &pulse{r: r, conn: conn, count: k.Count, signs: &r.meter.signs[side], ticker: time.NewTicker(k.Interval), answered: make(chan struct{}, 1)}
}

func (p *pulse) tick() <-chan time.Time {
	if p.ticker == nil {
		return nil
	}
	return p.ticker.C
}

func (p *pulse) stop() {
	if p.ticker != nil {
		p.ticker.Stop()
		p.ticker = nil
	}
}

// beat is called once an interval. It asks if nothing moved since the last
// time and reports whether the peer is dead. SendRequest has no time-out: it
// waits in a goroutine of its own, at most one, which closing the connection
// ends.
func (p *pulse) beat() (dead bool) {
	if m := p.signs.Load(); m != p.seen {
		p.seen, p.missed = m, 0
		return false
	}
	if p.asked {
		p.missed++
		return p.missed >= p.count
	}
	p.asked = true
	p.r.group.Go("keep-alive", func() {
		// A refusal is an answer; an error closes the leg's Go channels too.
		_, _, _ = p.conn.SendRequest(keepAlive, true, nil)
		p.answered <- struct{}{}
	})
	return false
}

func (p *pulse) alive() { p.asked, p.missed = false, 0 }
