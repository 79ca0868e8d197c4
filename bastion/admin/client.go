package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// clientTimeout bounds one operation, argon2 and ended sessions included.
const clientTimeout = 30 * time.Second

// ErrUnanswered says that a server was asked, and that nobody knows what it did.
var ErrUnanswered = errors.New("ask the server")

// lasting tells whether an operation takes as long as it does: it reads the whole log, or
// removes as many recordings as there are.
func lasting(path string) bool {
	return strings.HasPrefix(path, "/v1/erasures") || strings.HasPrefix(path, "/v1/holds")
}

// Client does operations: at a running server over its admin socket, or in this
// process, in a server's place. It is safe for concurrent use.
type Client struct {
	do      func(*http.Request) (*http.Response, error)
	closing func() error
}

// Dial connects to the server that listens on socket. The error is that of
// connect(2): fs.ErrNotExist and ECONNREFUSED say that none does.
func Dial(socket string) (*Client, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	first := make(chan net.Conn, 1)
	first <- nc
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case nc := <-first:
				return nc, nil
			default:
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			}
		},
	}}
	return &Client{do: client.Do, closing: func() error {
		client.CloseIdleConnections()
		select {
		case nc := <-first: // never used
			return nc.Close()
		default:
			return nil
		}
	}}, nil
}

// InProcess does the operations of s by calling them. closing is what Close
// does.
func InProcess(s *Server, closing func() error) *Client {
	h := s.Handler()
	return &Client{closing: closing, do: func(r *http.Request) (*http.Response, error) {
		w := &answer{status: http.StatusOK, header: http.Header{}}
		h.ServeHTTP(w, r)
		return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: io.NopCloser(&w.body)}, nil
	}}
}

// Close ends the connection, or what stands in its place.
func (c *Client) Close() error { return c.closing() }

// Call does one operation: in is its body and out what it answers, both JSON;
// either may be nil. The actor of ctx (audit.WithActor) counts in process only:
// at a server the kernel says who it is. What the server refuses is an *Error.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	if !lasting(path) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, clientTimeout, fmt.Errorf("no answer within %s", clientTimeout))
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://entry"+path, &body)
	if err != nil {
		return err
	}
	resp, err := c.do(r)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		e := &Error{Status: resp.StatusCode}
		if err := json.NewDecoder(resp.Body).Decode(e); err != nil {
			return fmt.Errorf("ask the server: it answered %s", resp.Status)
		}
		return e
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// answer is the response of a handler that is called in process.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
