package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/configs"
)

const (
	// maxAnswer bounds a witness's answer, in bytes: some cosignatures, of ML-DSA too.
	maxAnswer = 16 << 10
	maxCAFile = 1 << 20
)

// Peer is a witness elsewhere, as a log's server asks it.
type Peer struct {
	verifier note.Verifier
	url      string
	http     *http.Client
}

// NewPeer takes what entry.yaml says of a witness. It asks nothing yet.
func NewPeer(c configs.Witness) (*Peer, error) {
	v, err := parseKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("the key %w", err)
	}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	if c.CA != "" {
		pem, err := configs.ReadFile(c.CA, maxCAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s holds no certificate", c.CA)
		}
	}
	return &Peer{verifier: v, url: strings.TrimSuffix(c.URL, "/") + addCheckpoint, http: &http.Client{Transport: t, Timeout: exchange,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Name is the witness's, in its key.
func (p *Peer) Name() string { return p.verifier.Name() }

// Close gives up idle connections.
func (p *Peer) Close() { p.http.CloseIdleConnections() }

// What a witness says of a log that isn't the one it knows.
var (
	// ErrBehind says that a witness has cosigned more records than the log has.
	ErrBehind = errors.New("has cosigned more records than the log has: the log was put back to an older state")
	// ErrForked says that a witness has cosigned another log under the same origin.
	ErrForked = errors.New("has cosigned other records: the log was changed, and signed again")
	// ErrRefused says that a witness doesn't take the log's checkpoints: it doesn't know
	// the log or its key.
	ErrRefused = errors.New("doesn't know the log")
)

// Behind is ErrBehind, with how many records the witness has cosigned and the log has.
type Behind struct{ Known, Have uint64 }

func (b *Behind) Error() string      { return fmt.Sprintf("%v (%d and %d)", ErrBehind, b.Known, b.Have) }
func (*Behind) Is(target error) bool { return target == ErrBehind }

// forked is ErrForked, with what was sent.
type forked struct {
	known uint64
	proof []tlog.Hash
}

func (*forked) Error() string        { return ErrForked.Error() }
func (*forked) Is(target error) bool { return target == ErrForked }

// grown is a log as a Peer needs it.
type grown interface {
	// Consistency is the proof between two sizes of the log, as audit.Log's.
	Consistency(from, to uint64) ([]tlog.Hash, error)
}

// cosign gets the witness's cosignature under a checkpoint of size records: a line of
// a signed note. known is how many records it is thought to have cosigned; the
// witness's own word counts.
func (p *Peer) cosign(ctx context.Context, log grown, checkpoint []byte, size, known uint64) (line string, err error) {
	if known > size {
		known = 0 // it will say
	}
	const tries = 3 // another one may push the same log's checkpoints
	for range tries {
		proof, err := log.Consistency(known, size)
		if err != nil {
			return "", err
		}
		line, now, err := p.ask(ctx, request{known, proof, checkpoint})
		switch {
		case !errors.As(err, new(*errSize)):
			return line, err
		case now > size:
			return "", &Behind{now, size}
		case now == known:
			return "", fmt.Errorf("contradicts itself: it knows %d records and doesn't", now)
		}
		known = now
	}
	return "", errors.New("knows another number of records each time")
}

// ask sends one request. now is how many records the witness knows, with *errSize.
func (p *Peer) ask(ctx context.Context, r request) (line string, now uint64, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(r.append(nil)))
	if err != nil {
		return "", 0, err
	}
	q.Header.Set("Content-Type", "text/plain; charset=utf-8")
	q.Header.Set("User-Agent", "entry")
	answer, err := p.http.Do(q)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return "", 0, fmt.Errorf("can't be reached: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("it is beyond %d bytes", maxAnswer)
	}
	if err != nil {
		return "", 0, fmt.Errorf("its answer can't be read: %w", err)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		line, err := p.cosignature(r.checkpoint, body)
		return line, 0, err
	case http.StatusConflict:
		if answer.Header.Get("Content-Type") != sizeType {
			return "", 0, &forked{r.old, r.proof}
		}
		n, err := parseSize(strings.TrimSuffix(string(body), "\n"))
		if err != nil {
			return "", 0, errors.New("answers with a size that is none")
		}
		if n == r.old { // the size is right, so the tree isn't
			return "", 0, &forked{r.old, r.proof}
		}
		return "", n, &errSize{n}
	case http.StatusUnprocessableEntity:
		return "", 0, &forked{r.old, r.proof}
	case http.StatusNotFound, http.StatusForbidden:
		return "", 0, fmt.Errorf("%w, or not its key (answer %d): give its operator the log's public key (keys/audit.pub; the next one, of a change that isn't finished, is keys/audit.pub.next)", ErrRefused, answer.StatusCode)
	}
	return "", 0, fmt.Errorf("answers with status %d", answer.StatusCode)
}

// cosignature finds, in a witness's answer, the line that its key has signed.
func (p *Peer) cosignature(checkpoint, answer []byte) (string, error) {
	text, _, _ := strings.Cut(string(checkpoint), "\n\n")
	n, err := note.Open([]byte(text+"\n\n"+string(answer)), note.VerifierList(p.verifier))
	if err != nil {
		return "", errors.New("answers with no cosignature by its key")
	}
	return "— " + n.Sigs[0].Name + " " + n.Sigs[0].Base64 + "\n", nil
}
