package realm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-ldap/ldap/v3"

	"entry/configs"
)

// query is one conversation with the directory.
type query struct {
	r    *Realm
	raw  net.Conn
	conn *ldap.Conn
	in   *guard
	stop func() bool // of the watch on the context
}

func (r *Realm) checkTLS() error {
	if !r.secure && !r.o.StartTLS {
		if r.o.CA != "" {
			return errors.New("a CA file without TLS has no meaning: use ldaps:// or StartTLS")
		}
		return nil
	}
	r.tls = &tls.Config{ServerName: r.o.ServerName, MinVersion: tls.VersionTLS12}
	if r.o.CA == "" {
		return nil
	}
	pem, err := configs.ReadFile(r.o.CA, maxCAFile)
	if err != nil {
		return fmt.Errorf("read the CA file: %w", err)
	}
	r.tls.RootCAs = x509.NewCertPool()
	if !r.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("the CA file %s holds no certificate", r.o.CA)
	}
	return nil
}

// open connects, and returns once TLS stands where it has to. Everything on the
// connection ends with ctx, whose deadline Check has set.
func (r *Realm) open(ctx context.Context) (*query, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	conn, err := r.secured(ctx, raw)
	if err != nil {
		raw.Close() // the error in hand tells more
		return nil, err
	}
	in := newGuard(conn)
	q := &query{r: r, raw: raw, in: in, conn: ldap.NewConn(in, conn != raw)}
	// A deadline, not Close: the library's goroutines end by themselves once
	// reads and writes fail.
	q.stop = context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) }) // fails only on a closed connection
	q.conn.Start()
	return q, nil
}

func (r *Realm) secured(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if r.loopback {
		// A name such as localhost may have led elsewhere.
		if to, ok := raw.RemoteAddr().(*net.TCPAddr); !ok || !to.IP.IsLoopback() {
			return nil, errors.New("plain ldap:// led away from this machine")
		}
		return raw, nil
	}
	if r.o.StartTLS {
		if err := startTLS(raw); err != nil {
			return nil, err
		}
	}
	secure := tls.Client(raw, r.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

func (q *query) close() {
	q.stop()
	// The socket first: TLS would wait up to 5s to say goodbye to a peer that
	// reads nothing. What failed has failed a request.
	_ = q.raw.Close()
	_ = q.conn.Close()
}

// startTLSRequest is an LDAPMessage with ID 1 and an ExtendedRequest for
// 1.3.6.1.4.1.1466.20037 (RFC 4511 §4.14).
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks for TLS and reads the answer, and not a byte more: what an
// attacker adds in clear must not be taken for something that came under TLS.
func startTLS(conn net.Conn) error {
	if _, err := conn.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	message, err := newGuard(conn).message()
	if err != nil {
		return err
	}
	// SEQUENCE { messageID 1, [APPLICATION 24] { resultCode 0, … } }
	_, _, head, _ := header(message) // message has checked every header
	body := message[head:]
	if len(body) < 3 || string(body[:3]) != "\x02\x01\x01" {
		return errors.New("the directory answered StartTLS with something else")
	}
	tag, _, head, err := header(body[3:])
	if err != nil || tag != 0x78 {
		return errors.New("the directory answered StartTLS with something else")
	}
	if result := body[3+head:]; len(result) < 3 || string(result[:3]) != "\x0a\x01\x00" {
		return errors.New("the directory refuses StartTLS")
	}
	return nil
}
