package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"entry/configs"
)

const (
	maxRetries = 10
	firstPause = 500 * time.Millisecond // doubles with each retry
	maxPause   = 8 * time.Second
	maxFile    = 1 << 20  // bytes of a CA file
	maxHeaders = 16 << 10 // bytes of a headers file, and of an answer's headers
)

// poster POSTs to an endpoint. It is safe for concurrent use and keeps no
// connection: messages are rare, and a kept one would have to be closed.
type poster struct {
	e         configs.Endpoint
	transport http.RoundTripper
}

func newPoster(e configs.Endpoint) (*poster, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("the URL must be https://HOST/PATH, without a user or password in it")
	}
	local := u.Scheme == "http"
	switch {
	case local && !configs.IsLoopback(u.Hostname()):
		return nil, errors.New("plain http:// would send codes in clear: use https:// (http:// is only taken for a loopback address)")
	case !local && u.Scheme != "https":
		return nil, errors.New("the URL must begin with https://")
	case local && e.CA != "":
		return nil, errors.New("a CA file without TLS has no meaning: use https://")
	}
	if e.Timeout <= 0 || e.Retries < 0 || e.Retries > maxRetries {
		return nil, fmt.Errorf("the timeout must be positive, and there can be %d retries", maxRetries)
	}
	if _, err := readHeaders(e.HeadersFile); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{}
	if local {
		dialer.Control = onlyLoopback
	}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
	}
	if e.CA != "" {
		pem, err := configs.ReadFile(e.CA, maxFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s holds no certificate", e.CA)
		}
	}
	return &poster{e: e, transport: t}, nil
}

// onlyLoopback is asked with the address itself: localhost may lead anywhere.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	if host, _, err := net.SplitHostPort(address); err != nil || !configs.IsLoopback(host) {
		return errors.New("plain http:// led away from this machine")
	}
	return nil
}

// errAgain marks what another try may mend.
var errAgain = errors.New("no answer yet")

// post sends body until it was taken (a 2xx answer), the retries are used up, or
// ctx is done.
func (p *poster) post(ctx context.Context, contentType string, body []byte) error {
	pause := firstPause
	for try := 0; ; try++ {
		err := p.once(ctx, contentType, body)
		if err == nil || !errors.Is(err, errAgain) || try == p.e.Retries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(context.Cause(ctx), err)
		}
		pause = min(2*pause, maxPause)
	}
}

func (p *poster) once(ctx context.Context, contentType string, body []byte) error {
	headers, err := readHeaders(p.e.HeadersFile)
	if err != nil {
		return err
	}
	try, cancel := context.WithTimeout(ctx, p.e.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(try, http.MethodPost, p.e.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("make the request") // the error quotes the URL
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "entry")
	for _, h := range headers {
		r.Header.Set(h[0], h[1])
	}
	// RoundTrip follows no redirect, and its errors don't quote the URL.
	answer, err := p.transport.RoundTrip(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.Join(context.Cause(ctx), err)
	case err != nil && (try.Err() != nil || isTimeout(err)):
		return fmt.Errorf("%w within %v", errAgain, p.e.Timeout)
	case err != nil:
		return fmt.Errorf("post: %w", err)
	}
	_ = answer.Body.Close() // nothing in it counts, so nothing of it is read
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 500:
		return fmt.Errorf("%w: status %d", errAgain, code)
	default:
		return fmt.Errorf("post: refused with status %d", code)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110 §5.6.2

// readHeaders returns the names and values of a headers file. Errors quote
// nothing of it.
func readHeaders(path string) ([][2]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := configs.ReadSecret(path, maxHeaders)
	if err != nil {
		return nil, fmt.Errorf("read the headers file: %w", err)
	}
	var headers [][2]string
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !headerName.MatchString(name) || value == "" || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, fmt.Errorf("the headers file %s: line %d is not \"Name: value\"", path, n)
		}
		headers = append(headers, [2]string{name, value})
	}
	return headers, nil
}
