package realm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/bastion/realm"
	"entry/configs"
	"entry/e2e/testkit"
)

// tlv is a BER element.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	n := len(body)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	default: // as Active Directory does, always four bytes
		return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
	}
}

func str(s string) []byte { return tlv(0x04, []byte(s)) }

// result is an LDAPResult under the tag of its operation.
func result(tag, code byte, message string, more ...[]byte) []byte {
	return tlv(tag, append([][]byte{tlv(0x0a, []byte{code}), str(""), str(message)}, more...)...)
}

func message(id byte, op []byte, more ...[]byte) []byte {
	return tlv(0x30, append([][]byte{tlv(0x02, []byte{id}), op}, more...)...)
}

func entry(dn, attribute string, values ...string) []byte {
	var all [][]byte
	for _, v := range values {
		all = append(all, str(v))
	}
	return tlv(0x64, str(dn), tlv(0x30, tlv(0x30, str(attribute), tlv(0x31, all...))))
}

const (
	bindRequest   = 0x60
	bindResponse  = 0x61
	searchRequest = 0x63
	searchDone    = 0x65
	searchRef     = 0x73
	extended      = 0x78
)

// fake is a directory that answers each request as it is told, over plain
// loopback. It remembers the operations that it has seen.
type fake struct {
	address string

	mu  sync.Mutex
	ops []byte
}

// newFake serves connections with answer(id, operation, whole message, connection);
// false closes the connection.
func newFake(t *testing.T, answer func(id, op byte, request []byte, c net.Conn) bool) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { c.Close() })
			wg.Go(func() {
				defer stop()
				defer c.Close()
				f.serve(c, answer)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return f
}

func (f *fake) serve(c net.Conn, answer func(byte, byte, []byte, net.Conn) bool) {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		size := int(head[1])
		if head[1] >= 0x80 {
			long := make([]byte, head[1]&0x7f)
			if _, err := io.ReadFull(c, long); err != nil {
				return
			}
			size = 0
			for _, b := range long {
				size = size<<8 | int(b)
			}
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c, body); err != nil || len(body) < 4 {
			return
		}
		f.mu.Lock()
		f.ops = append(f.ops, body[3])
		f.mu.Unlock()
		if !answer(body[2], body[3], body, c) {
			return
		}
	}
}

func (f *fake) seen() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// says answers every bind and search with fixed bytes.
func says(bind, search func(id byte) []byte) func(byte, byte, []byte, net.Conn) bool {
	return func(id, op byte, _ []byte, c net.Conn) bool {
		var out []byte
		switch op {
		case bindRequest:
			out = bind(id)
		case searchRequest:
			out = search(id)
		}
		_, err := c.Write(out)
		return err == nil
	}
}

func bound(id byte) []byte { return message(id, result(bindResponse, 0, "")) }

func found(entries ...[]byte) func(id byte) []byte {
	return func(id byte) []byte {
		var out []byte
		for _, e := range entries {
			out = append(out, message(id, e)...)
		}
		return append(out, message(id, result(searchDone, 0, ""))...)
	}
}

func (f *fake) options() realm.Options {
	return realm.Options{Realm: configs.Realm{Name: "duo", LDAP: configs.LDAP{
		URL: "ldap://" + f.address, Timeout: 2 * time.Second,
		Search: &configs.Search{Base: "dc=org", Filter: "(uid={user})"}, Groups: &configs.Groups{},
	}}}
}

const aliceDN = "uid=alice,dc=org"

func TestFakeAnswers(t *testing.T) {
	f := newFake(t, says(bound, found(entry(aliceDN, "MemberOf", "cn=b", "cn=a", "cn=b"), tlv(searchRef, str("ldap://192.0.2.1/dc=net")))))
	ok, groups, _, _, err := open(t, f.options()).Check(t.Context(), "alice", "x")
	if !ok || err != nil || !slices.Equal(groups, []string{"cn=a", "cn=b"}) {
		t.Errorf("%v %q %v", ok, groups, err)
	}
	if ops := f.seen(); !slices.Equal(ops, []byte{searchRequest, bindRequest}) {
		t.Errorf("operations %x", ops)
	}
}

func TestHostileDirectories(t *testing.T) {
	alice := entry(aliceDN, "memberOf", "cn=a")
	deep := tlv(0x30)
	for range 5000 {
		deep = tlv(0x30, deep)
	}
	var many []string
	for n := range 1001 {
		many = append(many, fmt.Sprintf("cn=group%04d", n))
	}
	for name, c := range map[string]struct {
		bind, search func(id byte) []byte
		seen         []byte
	}{
		"a referral for the search": {bound, func(id byte) []byte {
			return message(id, result(searchDone, 10, "", tlv(0xa3, str("ldap://192.0.2.1/"))))
		}, []byte{searchRequest}},
		"a referral for the bind": {func(id byte) []byte {
			return message(id, result(bindResponse, 10, "", tlv(0xa3, str("ldap://192.0.2.1/"))))
		}, found(alice), nil},
		"a bind that must be stronger":      {func(id byte) []byte { return message(id, result(bindResponse, 8, "")) }, found(alice), nil},
		"a busy directory":                  {func(id byte) []byte { return message(id, result(bindResponse, 51, "")) }, found(alice), nil},
		"an entry without a name":           {bound, found(entry("", "memberOf", "cn=a")), []byte{searchRequest}},
		"an entry instead of a bind result": {func(id byte) []byte { return message(id, alice) }, found(alice), nil},
		"a bind result without a code":      {func(id byte) []byte { return message(id, tlv(bindResponse)) }, found(alice), nil},
		"groups in ranges":                  {bound, found(entry(aliceDN, "memberOf;range=0-1499", "cn=a")), []byte{searchRequest}},
		"too many groups":                   {bound, found(entry(aliceDN, "memberOf", many...)), []byte{searchRequest}},
		"a group with an escape":            {bound, found(entry(aliceDN, "memberOf", "cn=\x1b[2J")), []byte{searchRequest}},
		"a group that is no text":           {bound, found(entry(aliceDN, "memberOf", "cn=\xff")), []byte{searchRequest}},
		"a long group":                      {bound, found(entry(aliceDN, "memberOf", strings.Repeat("a", 513))), []byte{searchRequest}},
		"an entry of a megabyte":            {bound, found(entry(aliceDN, "memberOf", strings.Repeat("a", 1<<20))), []byte{searchRequest}},
		"a length without end":              {bound, func(byte) []byte { return []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff} }, []byte{searchRequest}},
		"an indefinite length":              {bound, func(byte) []byte { return []byte{0x30, 0x80, 0x02, 0x01, 0x01} }, []byte{searchRequest}},
		"a length of five bytes":            {bound, func(byte) []byte { return []byte{0x30, 0x85, 0, 0, 0, 0, 1} }, []byte{searchRequest}},
		"nesting":                           {bound, func(id byte) []byte { return message(id, deep) }, []byte{searchRequest}},
		"a child longer than its parent":    {bound, func(byte) []byte { return []byte{0x30, 0x03, 0x02, 0x7f, 0x01} }, []byte{searchRequest}},
		"another protocol":                  {bound, func(byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, []byte{searchRequest}},
		"an answer to another request":      {bound, func(id byte) []byte { return found(alice)(id + 1) }, []byte{searchRequest}},
		"a large message that is no entry":  {bound, func(id byte) []byte { return message(id, result(searchDone, 0, strings.Repeat("a", 17<<10))) }, []byte{searchRequest}},
		"silence":                           {bound, func(byte) []byte { return nil }, []byte{searchRequest}},
		"half an answer":                    {bound, func(id byte) []byte { return message(id, alice)[:9] }, []byte{searchRequest}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, says(c.bind, c.search))
			o := f.options()
			o.Timeout = time.Second
			start := time.Now()
			ok, groups, _, _, err := open(t, o).Check(t.Context(), "alice", "x")
			if ok || groups != nil || !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v %v %v", ok, groups, err)
			}
			if took := time.Since(start); took > testkit.Bound(8*time.Second) {
				t.Errorf("it took %v", took)
			}
			if c.seen != nil && !slices.Equal(f.seen(), c.seen) {
				t.Errorf("operations %x, not %x", f.seen(), c.seen)
			}
		})
	}
}

// TestGroupsThatCantBeRead: who has groups by which nobody is let in isn't let stay by
// those of before, either; a directory that says nothing takes nothing away.
func TestGroupsThatCantBeRead(t *testing.T) {
	var many []string
	for n := range 1001 {
		many = append(many, fmt.Sprintf("cn=group%04d", n))
	}
	for name, c := range map[string]struct {
		search func(id byte) []byte
		bar    string
	}{
		"in ranges": {found(entry(aliceDN, "memberOf;range=0-1499", "cn=a")), "groups unreadable"},
		"too many":  {found(entry(aliceDN, "memberOf", many...)), "groups unreadable"},
		"an escape": {found(entry(aliceDN, "memberOf", "cn=\x1b[2J")), "groups unreadable"},
		"too long":  {found(entry(aliceDN, "memberOf", strings.Repeat("a", 300<<10))), "groups unreadable"},
		"few":       {found(entry(aliceDN, "memberOf", many[:9]...)), ""},
		"busy":      {func(id byte) []byte { return message(id, result(searchDone, 51, "")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bar, groups, _, err := open(t, newFake(t, says(bound, c.search)).options()).Look(t.Context(), "alice")
			if bar != c.bar || (err != nil) != (name == "busy") || (len(groups) > 0) != (name == "few") {
				t.Errorf("%q %q %v", bar, groups, err)
			}
		})
	}
}

// flood writes until nobody reads any more and returns how much went.
func flood(c net.Conn, part []byte) (n int) {
	for {
		m, err := c.Write(part)
		n += m
		if err != nil {
			return n
		}
	}
}

func TestEndlessEntries(t *testing.T) {
	for name, c := range map[string]struct {
		groups *configs.Groups
		want   string // "" for unavailable
	}{
		"of the user": {nil, "more than one account"},
		"of groups":   {&configs.Groups{Base: "dc=org", Filter: "(member={dn})"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			searches := 0
			sent := make(chan int, 1)
			f := newFake(t, func(id, op byte, _ []byte, conn net.Conn) bool {
				if op == searchRequest {
					if searches++; searches == 1 && c.groups != nil {
						_, err := conn.Write(found(entry(aliceDN, "cn", "x"))(id))
						return err == nil
					}
					sent <- flood(conn, message(id, entry(fmt.Sprintf("uid=alice,ou=%d,dc=org", searches), "cn", "x")))
					return false
				}
				_, err := conn.Write(bound(id))
				return err == nil
			})
			o := f.options()
			o.Groups, o.Timeout = c.groups, 20*time.Second
			ok, _, _, _, err := open(t, o).Check(t.Context(), "alice", "x")
			if ok {
				t.Error("accepted")
			}
			if c.want != "" {
				wantBarred(t, err, c.want, false)
			} else if !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if n := <-sent; n > 16<<20 { // sockets buffer some
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// A directory that reads nothing, says nothing or never finishes TLS is given
// up at the timeout, and when the caller leaves.
func TestStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, change := range map[string]func(*realm.Options){
		"plain":    func(o *realm.Options) { o.URL = "ldap://" + l.Addr().String() },
		"TLS":      func(o *realm.Options) { o.URL = "ldaps://" + l.Addr().String() },
		"StartTLS": func(o *realm.Options) { o.URL, o.StartTLS = "ldap://"+l.Addr().String(), true },
	} {
		t.Run(name, func(t *testing.T) {
			o := realm.Options{Realm: configs.Realm{Name: "duo", LDAP: configs.LDAP{BindDN: template, Timeout: 50 * time.Millisecond}}}
			change(&o)
			if ok, _, _, _, err := open(t, o).Check(t.Context(), "alice", "x"); ok || !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v %v", ok, err)
			}
			o.Timeout = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if ok, _, _, _, err := open(t, o).Check(ctx, "alice", "x"); ok || !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v %v", ok, err)
			}
		})
	}
}

// Nothing that came in clear counts, and no passphrase goes out in clear.
func TestStartTLSIsNotTalkedOutOf(t *testing.T) {
	granted := func(id byte) []byte { return message(id, result(extended, 0, "")) }
	for name, reply := range map[string]func(id byte) []byte{
		"refused":             func(id byte) []byte { return message(id, result(extended, 2, "")) },
		"granted, no TLS":     granted,
		"granted, bind added": func(id byte) []byte { return append(granted(id), bound(1)...) },
		"a bind result":       bound,
		"another message":     func(byte) []byte { return granted(9) },
		"an empty result":     func(id byte) []byte { return message(id, tlv(extended)) },
		"no message":          func(byte) []byte { return []byte("hello, hello") },
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var all []byte
			f := newFake(t, func(id, op byte, request []byte, c net.Conn) bool {
				if op != 0x77 {
					return false
				}
				if _, err := c.Write(reply(id)); err != nil {
					return false
				}
				rest, _ := io.ReadAll(io.LimitReader(c, 4096))
				mu.Lock()
				all = append(all, rest...)
				mu.Unlock()
				return false
			})
			o := realm.Options{Realm: configs.Realm{Name: "duo", LDAP: configs.LDAP{URL: "ldap://" + f.address, StartTLS: true, BindDN: template, Timeout: 200 * time.Millisecond}}}
			if ok, _, _, _, err := open(t, o).Check(t.Context(), "alice", "open sesame"); ok || !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v %v", ok, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(all, []byte("sesame")) || bytes.Contains(all, []byte("alice")) {
				t.Errorf("sent in clear: %q", all)
			}
		})
	}
}

func TestActiveDirectoryCodes(t *testing.T) {
	for data, c := range map[string]struct {
		text  string // "" for wrong credentials
		right bool
	}{
		"525": {}, "52e": {}, "57": {}, "": {},
		"530": {"at this time", true}, "531": {"certain machines", true}, "532": {"has expired: change it at", true},
		"533": {"has disabled your account", true}, "701": {"Your account has expired", true},
		"773": {"must be changed", true}, "775": {"has locked your account", false},
	} {
		t.Run("data "+data, func(t *testing.T) {
			f := newFake(t, says(func(id byte) []byte {
				return message(id, result(bindResponse, 49, "80090308: LdapErr: DSID-0C090569, comment: AcceptSecurityContext error, data "+data+", v4563\x00"))
			}, found()))
			o := f.options()
			o.Search, o.Groups, o.BindDN = nil, nil, "{user}@example.org"
			ok, _, _, _, err := open(t, o).Check(t.Context(), "alice", "x")
			if c.text == "" {
				if ok || err != nil {
					t.Errorf("%v %v", ok, err)
				}
				return
			}
			wantBarred(t, err, c.text, c.right)
		})
	}
	for code, text := range map[byte]string{53: "doesn't let your account log in", 19: "has locked"} {
		f := newFake(t, says(func(id byte) []byte { return message(id, result(bindResponse, code, "inactivated")) }, found(entry(aliceDN, "x"))))
		_, _, _, _, err := open(t, f.options()).Check(t.Context(), "alice", "x")
		wantBarred(t, err, text, false)
	}
}

// A bind name that is no DN takes plain names only, and others reach nobody.
func TestUserPrincipalNames(t *testing.T) {
	var mu sync.Mutex
	var names []string
	f := newFake(t, func(id, op byte, request []byte, c net.Conn) bool {
		mu.Lock()
		names = append(names, string(request))
		mu.Unlock()
		_, err := c.Write(bound(id))
		return err == nil
	})
	o := f.options()
	o.Search, o.Groups, o.BindDN = nil, nil, `EXAMPLE\{user}`
	r := open(t, o)
	for _, user := range []string{`al\ice`, "alice@example.net", "alice+x", "-alice", "alice x"} {
		if ok, _, _, _, err := r.Check(t.Context(), user, "x"); ok || err != nil {
			t.Errorf("%q: %v %v", user, ok, err)
		}
	}
	if ok, _, _, _, err := r.Check(t.Context(), "alice.b", "x"); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(names) != 1 || !strings.Contains(names[0], `EXAMPLE\alice.b`) {
		t.Errorf("binds %q", names)
	}
}
