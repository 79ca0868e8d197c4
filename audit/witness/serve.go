package witness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"entry/session/group"
)

// What one address, and one log, may ask for. A log's server asks once in some
// seconds; whoever asks more often stops the others' turns at the disk.
const (
	addressRate, addressBurst = 10, 50 // requests a second, and at once
	originRate, originBurst   = 4, 20  // the same, of what the log's key has signed
	// maxAddresses bounds the table of addresses. When all of them have asked lately,
	// newcomers are told to come again.
	maxAddresses = 4096
	// maxConns bounds the connections that are open; more wait in the listener's queue.
	// One address has no more than maxConnsEach of them: what is beyond is closed, so
	// that no stranger alone keeps the logs out.
	maxConns, maxConnsEach = 256, 16
	// maxOrigin is how much of an origin is told, in bytes: strangers choose them.
	maxOrigin = 200
	// maxHeader bounds a request's headers, in bytes.
	maxHeader = 8 << 10
)

// ServeOptions are Serve's.
type ServeOptions struct {
	// TLS is for https; nil is plain HTTP.
	TLS *tls.Config
	// Told hears what was asked and answered, for the witness's own log.
	Told func(Answered)
	// Reload is called when Again has a value. Both may be nil.
	Reload func()
	Again  <-chan os.Signal
}

// Answered is one request and its answer.
type Answered struct {
	From   string // "ip:port"
	Origin string // (peer) of the log; "" where the request doesn't say
	Size   uint64 // of its checkpoint; 0 where it wasn't read so far
	Status int    // of HTTP
	Why    error  // nil where it was cosigned
	// Evidence is the checkpoint, a signed note, where the log's own key has signed it
	// and it contradicts what was cosigned before.
	Evidence string
	// Behind tells that it has fewer records than were cosigned, as of a log that was
	// put back to an older state.
	Behind bool
}

// Serve answers requests on l until ctx ends, and closes l. What is being answered
// then has five seconds to end.
func (w *Witness) Serve(ctx context.Context, l net.Listener, o ServeOptions) error {
	s := &http.Server{
		Handler:           w.Handler(o.Told),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		TLSConfig:         o.TLS,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers' handshakes
	}
	answered := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(answered)
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(last) // what it cuts off was told to nobody
	})
	defer func() {
		if !stop() {
			<-answered // Serve returns as soon as that begins
		}
	}()
	end := make(chan struct{})
	reloading := group.Vital("reading the witness's logs again", func() {
		for {
			select {
			case <-o.Again:
				o.Reload()
			case <-end:
				return
			}
		}
	})
	defer func() { close(end); <-reloading }()
	l = &bounded{Listener: l, places: make(chan struct{}, maxConns), each: map[netip.Prefix]int{}}
	var err error
	if o.TLS != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// bounded accepts a connection once there is a place for it. Accept is for one
// goroutine.
type bounded struct {
	net.Listener
	places chan struct{}

	mu   sync.Mutex // guards each
	each map[netip.Prefix]int
}

func (b *bounded) Accept() (net.Conn, error) {
	b.places <- struct{}{} // net/http closes each conn, with its time limits, or at Shutdown
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			<-b.places
			return nil, err
		}
		from := network(c.RemoteAddr().String())
		if b.enter(from) {
			return &placed{Conn: c, leave: sync.OnceFunc(func() { b.leave(from); <-b.places })}, nil
		}
		_ = c.Close() // it may be gone
	}
}

// enter counts one more connection of a network, unless it has as many as it may.
func (b *bounded) enter(from netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.each[from] >= maxConnsEach {
		return false
	}
	b.each[from]++
	return true
}

func (b *bounded) leave(from netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.each[from]--; b.each[from] == 0 {
		delete(b.each, from)
	}
}

type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// Handler answers add-checkpoint, and nothing else. told may be nil.
func (w *Witness) Handler(told func(Answered)) http.Handler {
	h := &handler{w: w, told: told, addresses: newRates[netip.Prefix](addressRate, addressBurst, maxAddresses),
		origins: newRates[string](originRate, originBurst, maxLogs)}
	mux := http.NewServeMux()
	mux.Handle("POST "+addCheckpoint, h)
	return mux
}

type handler struct {
	w         *Witness
	told      func(Answered)
	addresses *rates[netip.Prefix]
	origins   *rates[string]
}

// errOften is 429.
var errOften = errors.New("asked too often")

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var v verdict
	var checkpoint []byte
	err := func() error {
		if !h.addresses.allow(network(r.RemoteAddr)) {
			return errOften
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			return fmt.Errorf("%w: the request can't be read, or is beyond %d bytes", errMalformed, maxRequest)
		}
		asked, err := parseRequest(body)
		if err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		checkpoint = asked.checkpoint
		v, err = h.w.addWithin(asked, h.origins)
		return err
	}()
	a := Answered{From: r.RemoteAddr, Origin: v.origin[:min(len(v.origin), maxOrigin)], Size: v.head.size, Status: status(err), Why: err}
	if v.proven && (errors.Is(err, errOtherRoot) || errors.Is(err, errProof)) {
		a.Evidence = string(checkpoint)
	}
	var known *errSize
	a.Behind = errors.As(err, &known) && a.Size < known.known
	if h.told != nil {
		h.told(a)
	}
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, v.lines) // whoever asked may be gone
	case known != nil:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(a.Status)
		_, _ = fmt.Fprintf(w, "%d\n", known.known)
	case a.Status == http.StatusInternalServerError:
		http.Error(w, "the witness failed", a.Status)
	default:
		http.Error(w, err.Error(), a.Status)
	}
}

// status is tlog-witness's for what add returned.
func status(err error) int {
	var known *errSize
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errMalformed):
		return http.StatusBadRequest
	case errors.Is(err, errSigner):
		return http.StatusForbidden
	case errors.Is(err, errOrigin):
		return http.StatusNotFound
	case errors.As(err, &known), errors.Is(err, errOtherRoot):
		return http.StatusConflict
	case errors.Is(err, errProof):
		return http.StatusUnprocessableEntity
	case errors.Is(err, errOften):
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// network is what counts as one address: a /64 in IPv6.
func network(remote string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // all that have none share one
	}
	a, bits := ap.Addr().Unmap(), 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.WithZone("").Prefix(bits) // fits every address
	return p
}

// rates bounds how often each key comes. It is safe for concurrent use.
type rates[K comparable] struct {
	every rate.Limit
	burst int
	most  int

	mu  sync.Mutex // guards who
	who map[K]*rate.Limiter
}

func newRates[K comparable](perSecond, burst, most int) *rates[K] {
	return &rates[K]{every: rate.Limit(perSecond), burst: burst, most: most, who: map[K]*rate.Limiter{}}
}

func (r *rates[K]) allow(k K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.who[k]
	if l == nil {
		if len(r.who) >= r.most {
			for k, l := range r.who {
				if l.Tokens() >= float64(r.burst) { // as good as one that never came
					delete(r.who, k)
				}
			}
		}
		if len(r.who) >= r.most {
			return false
		}
		l = rate.NewLimiter(r.every, r.burst)
		r.who[k] = l
	}
	return l.Allow()
}
