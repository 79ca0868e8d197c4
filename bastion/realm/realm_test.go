package realm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/realm"
	"entry/configs"
	"entry/e2e/testkit"
)

func TestAgainstSlapd(t *testing.T) {
	d := newDirectory(t)
	memberOf := []string{"cn=beamline,ou=groups,dc=example,dc=org", "cn=tinker,ou=groups,dc=example,dc=org"}
	kinds := map[string]func() realm.Options{
		"template over ldaps":     d.byTemplate,
		"search over StartTLS":    d.bySearch,
		"template over loopback":  func() realm.Options { return d.loopback(d.byTemplate()) },
		"search over loopback":    func() realm.Options { return d.loopback(d.bySearch()) },
		"template over StartTLS":  func() realm.Options { o := d.bySearch(); o.Search, o.BindDN = nil, template; return o },
		"search with memberOf":    func() realm.Options { o := d.bySearch(); o.Groups = &configs.Groups{}; return o },
		"template with memberOf":  func() realm.Options { o := d.byTemplate(); o.Groups = &configs.Groups{Attribute: "memberof"}; return o },
		"search with a filter":    func() realm.Options { o := d.bySearch(); o.Groups = byMember(); return o },
		"template with a filter":  func() realm.Options { o := d.byTemplate(); o.Groups = byMember(); return o },
		"groups by the user name": func() realm.Options { o := d.byTemplate(); o.Groups = byName(); return o },
	}
	for name, options := range kinds {
		t.Run(name, func(t *testing.T) {
			o := options()
			r := open(t, o)
			ok, groups, at, _, err := r.Check(t.Context(), "alice", "alice's phrase")
			if !ok || err != nil || !at.Equal(fetched) {
				t.Fatalf("right: %v, at %v, %v", ok, at, err)
			}
			var want []string
			switch g := o.Groups; {
			case g == nil:
			case g.Attribute == "dc":
				want = []string{"example"}
			case g.Filter != "":
				want = []string{"beamline", "tinker"}
			default:
				want = memberOf
			}
			if !slices.Equal(groups, want) {
				t.Errorf("groups %q, not %q", groups, want)
			}
			for _, wrong := range [][2]string{
				{"alice", "alice's phrase "}, {"alice", "Alice's phrase"}, {"nobody", "alice's phrase"},
				{"mute", "anything"}, {"*", "alice's phrase"}, {"alice)(uid=*", "alice's phrase"}, {"alice,ou=people", "alice's phrase"},
			} {
				ok, groups, at, _, err := r.Check(t.Context(), wrong[0], wrong[1])
				if ok || groups != nil || !at.IsZero() || err != nil {
					t.Errorf("%q: %v %v %v %v", wrong, ok, groups, at, err)
				}
			}
			if ok, _, _, _, err := r.Check(t.Context(), `a*(b), c\`, "odd phrase"); !ok || err != nil {
				t.Errorf("a name of special characters: %v %v", ok, err)
			}
		})
	}
}

func byMember() *configs.Groups {
	return &configs.Groups{Base: "ou=groups,dc=example,dc=org", Filter: "(&(objectClass=groupOfNames)(member={dn}))"}
}

// byName finds an entry that is no group, to see that any filter will do.
func byName() *configs.Groups {
	return &configs.Groups{Base: "dc=example,dc=org", Filter: "(&(dc=example)(!(uid={user})))", Attribute: "dc"}
}

func (d *directory) loopback(o realm.Options) realm.Options {
	o.URL, o.StartTLS, o.CA, o.ServerName = "ldap://"+d.plain, false, "", ""
	return o
}

// What is never sent can't be taken for an anonymous bind. slapd says what it saw.
func TestNothingIsSentForEmptyPassphrases(t *testing.T) {
	d := newDirectory(t)
	for _, o := range []realm.Options{d.byTemplate(), d.bySearch()} {
		r := open(t, o)
		before := strings.Count(d.LogNow(d.plain), "ACCEPT from")
		for _, c := range [][2]string{
			{"alice", ""}, {"alice", "\x00"}, {"alice", "alice's phrase\x00"}, {"alice", strings.Repeat("a", 1025)},
			{"", "alice's phrase"}, {"ali\x00ce", "alice's phrase"}, {"al\nice", "x"}, {"\xff", "x"}, {strings.Repeat("a", 257), "x"},
		} {
			if ok, _, _, _, err := r.Check(t.Context(), c[0], c[1]); ok || err != nil {
				t.Errorf("%.20q: %v %v", c, ok, err)
			}
		}
		if after := strings.Count(d.LogNow(d.plain), "ACCEPT from"); after != before+1 { // that LogNow opened
			t.Errorf("%d connections were opened", after-before-1)
		}
	}
}

func TestOneBindAsTheUser(t *testing.T) {
	d := newDirectory(t)
	const dn = "uid=alice,ou=people,dc=example,dc=org"
	want := 0
	for _, o := range []realm.Options{d.byTemplate(), d.bySearch()} {
		o.Groups = byMember()
		r := open(t, o)
		for _, passphrase := range []string{"alice's phrase", "wrong"} {
			if _, _, _, _, err := r.Check(t.Context(), "alice", passphrase); err != nil {
				t.Fatal(err)
			}
			want++
			if got := d.binds(dn); got != want {
				t.Fatalf("%d binds after %d checks", got, want)
			}
		}
	}
}

func TestTwoEntriesOfOneName(t *testing.T) {
	d := newDirectory(t)
	_, _, _, _, err := open(t, d.bySearch()).Check(t.Context(), "twin", "twin phrase")
	wantBarred(t, err, "more than one account of your name", false)
	if n := strings.Count(d.LogNow(d.plain), `BIND dn="uid=twin`); n != 0 {
		t.Errorf("%d binds as one of them", n)
	}
}

func wantBarred(t *testing.T, err error, text string, right bool) {
	t.Helper()
	var barred *realm.BarredError
	if !errors.As(err, &barred) {
		t.Fatalf("error %v", err)
	}
	got, r := barred.Barred()
	if !strings.Contains(got, text) || r != right {
		t.Errorf("%q (after a right passphrase: %v)", got, r)
	}
	if errors.Is(err, realm.ErrUnavailable) {
		t.Error("it is called unavailable too")
	}
}

func TestPasswordPolicyOfSlapd(t *testing.T) {
	d := newDirectory(t)
	for _, o := range []realm.Options{d.byTemplate(), d.bySearch()} {
		r := open(t, o)
		_, _, _, _, err := r.Check(t.Context(), "reset", "reset phrase")
		wantBarred(t, err, "must be changed: do it at https://duo.example.org", true)
		_, _, _, _, err = r.Check(t.Context(), "old", "old phrase")
		wantBarred(t, err, "has expired: change it at https://duo.example.org", true)
		for _, name := range []string{"reset", "old"} {
			if ok, _, _, _, err := r.Check(t.Context(), name, "wrong"); ok || err != nil {
				t.Errorf("%s with a wrong passphrase: %v %v", name, ok, err)
			}
		}
	}
	r := open(t, d.byTemplate())
	for range 3 {
		if ok, _, _, _, err := r.Check(t.Context(), "lock", "wrong"); ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
	}
	_, _, _, _, err := r.Check(t.Context(), "lock", "lock phrase")
	wantBarred(t, err, "The directory duo has locked your account", false)
}

func TestUnavailable(t *testing.T) {
	d := newDirectory(t)
	other := newAuthority(t)
	for name, change := range map[string]func(*realm.Options){
		"another CA":                 func(o *realm.Options) { o.CA = other.file },
		"the system's CAs":           func(o *realm.Options) { o.CA = "" },
		"another name":               func(o *realm.Options) { o.ServerName = "ldap.example.net" },
		"TLS where there is none":    func(o *realm.Options) { o.URL, o.StartTLS = "ldaps://"+d.plain, false },
		"none where there is TLS":    func(o *realm.Options) { o.URL, o.StartTLS, o.CA = "ldap://"+d.secure, false, "" },
		"StartTLS under TLS":         func(o *realm.Options) { o.URL = "ldap://" + d.secure },
		"nobody listens":             func(o *realm.Options) { o.URL = fmt.Sprintf("ldap://127.0.0.1:%d", testkit.FreePort(t)) },
		"a wrong service password":   func(o *realm.Options) { o.Search.PasswordFile = password(t, "wrong") },
		"an unknown service account": func(o *realm.Options) { o.Search.BindDN = "uid=nobody,dc=example,dc=org" },
		"an anonymous search":        func(o *realm.Options) { o.Search.BindDN, o.Search.PasswordFile = "", "" },
		"a base that isn't there":    func(o *realm.Options) { o.Search.Base = "dc=example,dc=com" },
		"a base that is a referral":  func(o *realm.Options) { o.Search.Base = "ou=elsewhere,dc=example,dc=org" },
		"a group base that isn't there": func(o *realm.Options) {
			o.Groups = &configs.Groups{Base: "ou=x,dc=example,dc=org", Filter: "(member={dn})"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := d.bySearch()
			change(&o)
			o.Timeout = 2 * time.Second
			ok, groups, _, _, err := open(t, o).Check(t.Context(), "alice", "alice's phrase")
			if ok || groups != nil || !errors.Is(err, realm.ErrUnavailable) {
				t.Errorf("%v %v %v", ok, groups, err)
			}
			if err != nil && strings.Contains(err.Error(), "alice's phrase") {
				t.Errorf("the error quotes the passphrase: %v", err)
			}
		})
	}
	t.Run("a service password that went away", func(t *testing.T) {
		o := d.bySearch()
		r := open(t, o)
		if err := os.Remove(o.Search.PasswordFile); err != nil {
			t.Fatal(err)
		}
		if _, _, _, _, err := r.Check(t.Context(), "alice", "alice's phrase"); !errors.Is(err, realm.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the caller leaves", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("the client left")
		cancel(left)
		if _, _, _, _, err := open(t, d.byTemplate()).Check(ctx, "alice", "alice's phrase"); !errors.Is(err, realm.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("it stops", func(t *testing.T) {
		r := open(t, d.byTemplate())
		d.Kill()
		if _, _, _, _, err := r.Check(t.Context(), "alice", "alice's phrase"); !errors.Is(err, realm.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	secret := password(t, "x")
	readable := password(t, "x")
	if err := os.Chmod(readable, 0o640); err != nil {
		t.Fatal(err)
	}
	good := func() realm.Options {
		return realm.Options{Realm: configs.Realm{Name: "duo", LDAP: configs.LDAP{URL: "ldaps://ldap.example.org", BindDN: template, Timeout: time.Second}}}
	}
	search := func(change func(*configs.Search)) func(*realm.Options) {
		return func(o *realm.Options) {
			s := &configs.Search{Base: "dc=org", Filter: "(uid={user})", BindDN: "uid=r,dc=org", PasswordFile: secret}
			change(s)
			o.BindDN, o.Search = "", s
		}
	}
	if _, err := realm.New(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*realm.Options)
		want   string
	}{
		"no name":                  {func(o *realm.Options) { o.Name = "" }, "the name"},
		"a name with an escape":    {func(o *realm.Options) { o.Name = "du\x1bo" }, "the name"},
		"plain":                    {func(o *realm.Options) { o.URL = "ldap://ldap.example.org" }, "in clear"},
		"plain to a near name":     {func(o *realm.Options) { o.URL = "ldap://localhost.example.org" }, "in clear"},
		"plain to 127.0.0.1's CA":  {func(o *realm.Options) { o.URL, o.CA = "ldap://127.0.0.1", secret }, "without TLS"},
		"ldapi":                    {func(o *realm.Options) { o.URL = "ldapi:///var/run/slapd/ldapi" }, "the URL"},
		"no host":                  {func(o *realm.Options) { o.URL = "ldaps://" }, "the URL"},
		"a password in the URL":    {func(o *realm.Options) { o.URL = "ldaps://a:b@ldap.example.org" }, "the URL"},
		"a DN in the URL":          {func(o *realm.Options) { o.URL = "ldaps://ldap.example.org/dc=org" }, "the URL"},
		"StartTLS in TLS":          {func(o *realm.Options) { o.StartTLS = true }, "StartTLS"},
		"a CA file without one":    {func(o *realm.Options) { o.CA = secret }, "no certificate"},
		"no CA file":               {func(o *realm.Options) { o.CA = filepath.Join(t.TempDir(), "none") }, "CA file"},
		"a negative timeout":       {func(o *realm.Options) { o.Timeout = -1 }, "timeout"},
		"no timeout":               {func(o *realm.Options) { o.Timeout = 0 }, "timeout"},
		"no way to bind":           {func(o *realm.Options) { o.BindDN = "" }, "either"},
		"two ways to bind":         {func(o *realm.Options) { o.Search = &configs.Search{} }, "either"},
		"a DN without a user":      {func(o *realm.Options) { o.BindDN = "uid=alice,dc=org" }, "{user}"},
		"a DN with two":            {func(o *realm.Options) { o.BindDN = "uid={user},ou={user}" }, "once"},
		"the user as an attribute": {func(o *realm.Options) { o.BindDN = "{user}=x,dc=org" }, "DN to bind"},
		"the user in a value":      {func(o *realm.Options) { o.BindDN = "cn=x{user},dc=org" }, "whole value"},
		"no DN":                    {func(o *realm.Options) { o.BindDN = "uid={user},nonsense" }, "no DN"},
		"a search without a base":  {search(func(s *configs.Search) { s.Base = "" }), "base"},
		"a base that is no DN":     {search(func(s *configs.Search) { s.Base = "nonsense" }), "base"},
		"a filter without a user":  {search(func(s *configs.Search) { s.Filter = "(uid=alice)" }), "{user}"},
		"a broken filter":          {search(func(s *configs.Search) { s.Filter = "(uid={user}" }), "no filter"},
		"an attribute as the user": {search(func(s *configs.Search) { s.Filter = "({user}=x)" }), "no filter"},
		"no password":              {search(func(s *configs.Search) { s.PasswordFile = "" }), "password file"},
		"a password for nobody":    {search(func(s *configs.Search) { s.BindDN = "" }), "password file"},
		"an open password":         {search(func(s *configs.Search) { s.PasswordFile = readable }), "chmod 600"},
		"an empty password":        {search(func(s *configs.Search) { s.PasswordFile = password(t, "") }), "empty line"},
		"groups of a UPN":          {func(o *realm.Options) { o.BindDN, o.Groups = "{user}@example.org", &configs.Groups{} }, "no entry"},
		"groups without a filter":  {func(o *realm.Options) { o.Groups = &configs.Groups{Base: "dc=org"} }, "filter"},
		"every attribute":          {func(o *realm.Options) { o.Groups = &configs.Groups{Attribute: "*"} }, "one attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			c.change(&o)
			if _, err := realm.New(o); err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %v, not one with %q", err, c.want)
			}
		})
	}
	r := open(t, good())
	if r.Where() != "the directory duo" {
		t.Errorf("where: %q", r.Where())
	}
}
