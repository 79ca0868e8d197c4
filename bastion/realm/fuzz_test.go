package realm

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"entry/configs"
)

// The escaped name is always one value of the DN, and that value is the name.
func FuzzDN(f *testing.F) {
	for _, s := range []string{"alice", probe, `a,ou=x`, " a ", "#41", "ä", "a\x00b", `\2C`, "a+b=c", "{user}"} {
		f.Add(s)
	}
	const t1 = template("uid={user},ou=people,dc=example")
	f.Fuzz(func(t *testing.T, user string) {
		if !askable(user) {
			return // never asked
		}
		s, err := t1.dn(user)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ldap.ParseDN(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if len(parsed.RDNs) != 3 || len(parsed.RDNs[0].Attributes) != 1 || parsed.RDNs[0].Attributes[0].Type != "uid" ||
			parsed.RDNs[0].Attributes[0].Value != user || parsed.RDNs[1].Attributes[0].Value != "people" {
			t.Fatalf("%q became %+v", user, parsed.RDNs[0].Attributes)
		}
	})
}

// The escaped name and DN are always one value each of the filter.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"alice", probe, "*", ")(uid=*", `\2a`, "a\xffb", "{dn}", "{user}", "ä"} {
		f.Add(s, s)
	}
	const t1 = template("(&(uid={user})(member={dn}))")
	f.Fuzz(func(t *testing.T, user, dn string) {
		if !askable(user) || user == "" || dn == "" {
			return // never asked
		}
		s, err := t1.filter(user, dn)
		if err != nil {
			t.Fatalf("%q %q: %v", user, dn, err)
		}
		compiled, err := ldap.CompileFilter(s)
		if err != nil {
			t.Fatal(err)
		}
		// AND { EQUALITY { uid, user }, EQUALITY { member, dn } }
		want := tlvOf(0xa0, tlvOf(0xa3, tlvOf(0x04, []byte("uid")), tlvOf(0x04, []byte(user))),
			tlvOf(0xa3, tlvOf(0x04, []byte("member")), tlvOf(0x04, []byte(dn))))
		if !bytes.Equal(compiled.Bytes(), want) {
			t.Fatalf("%q %q became %x", user, dn, compiled.Bytes())
		}
	})
}

func tlvOf(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	head := []byte{tag}
	switch n := len(body); {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	case n < 0x10000:
		head = append(head, 0x82, byte(n>>8), byte(n))
	default:
		head = append(head, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(head, body...)
}

// scripted is a connection that says what it is told and then ends.
type scripted struct {
	net.Conn
	r io.Reader
}

func (s scripted) Read(p []byte) (int, error)  { return s.r.Read(p) }
func (s scripted) Write(p []byte) (int, error) { return len(p), nil }
func (s scripted) Close() error                { return nil }
func (s scripted) SetDeadline(time.Time) error { return nil }

// Whatever a directory says, reading it ends within the bounds, without a panic,
// and what is handed on is what came.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x84\x00\x00\x00\x03\x02\x01\x01"))
	f.Add([]byte("\x30\x80\x02\x01\x01\x00\x00"))
	f.Add([]byte(strings.Repeat("\x30\x82\x10\x00", 40)))
	f.Fuzz(func(t *testing.T, in []byte) {
		g := newGuard(scripted{r: bytes.NewReader(in)})
		out, err := io.ReadAll(g)
		if err != nil && len(out) > maxTotal {
			t.Fatalf("%d bytes", len(out))
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatal("it changed what it read")
		}
		if _, err := g.Read(make([]byte, 1)); err == nil {
			t.Fatal("it reads on after its end")
		}
	})
}

// The same through the decoder and the reading of bind results.
func FuzzBind(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x3a\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00\xa0\x2c\x30\x2a\x04\x191.3.6.1.4.1.42.2.27.8.5.1\x04\x05\x30\x03\x81\x01\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := &Realm{o: Options{Realm: configs.Realm{Name: "duo", LDAP: configs.LDAP{Timeout: time.Second}}}}
		conn := scripted{r: bytes.NewReader(in)}
		q := &query{r: r, raw: conn, conn: ldap.NewConn(newGuard(conn), true), stop: func() bool { return true }}
		q.conn.Start()
		defer q.close()
		ok, err := q.bindUser("uid=alice", "x")
		if ok && (err != nil || !bytes.Contains(in, []byte{0x00})) {
			t.Fatalf("accepted %x with %v", in, err)
		}
		var barred *barredError
		if errors.As(err, &barred) {
			if text, _ := barred.Barred(); text == "" || strings.ContainsAny(text, "\n\x1b") {
				t.Fatalf("text %q", text)
			}
		}
	})
}

func TestShapeTruncated(t *testing.T) {
	whole := []byte("\x30\x3a\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00\xa0\x2c\x30\x2a\x04\x191.3.6.1.4.1.42.2.27.8.5.1\x04\x05\x30\x03\x81\x01\x01")
	whole[1] = byte(len(whole) - 2)
	whole[15] = byte(len(whole) - 16)
	whole[17] = byte(len(whole) - 18)
	if err := shape(whole); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if _, err := newGuard(scripted{r: bytes.NewReader(whole[:n])}).message(); err == nil {
			t.Errorf("cut at %d it passes", n)
		}
		if n > 0 && shape(whole[:n]) == nil {
			t.Errorf("cut at %d its shape passes", n)
		}
	}
}
