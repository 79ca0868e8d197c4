package realm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"entry/configs"
)

// errUnavailable is what Check returns when the directory gave no answer that
// counts: unreachable, too slow, not the one its certificate should name,
// misconfigured, or malformed. The cause is for the log, never for the client.
var errUnavailable = errors.New("realm: the directory can't be asked")

const (
	maxName       = 256  // bytes of a user name; far above what any directory has
	maxPassphrase = 1024 // bytes, identity's own bound
	maxSecretFile = 4 << 10
	maxCAFile     = 1 << 20
)

// Options are what a Realm is made of. Of the settings Name, URL, Timeout and one
// of BindDN and Search are required.
type Options struct {
	configs.Realm
	// Now stamps the groups. Nil means time.Now.
	Now func() time.Time
}

// Realm asks one directory. It is safe for concurrent use and holds no
// connection between calls.
type Realm struct {
	o        Options
	secure   bool   // ldaps
	address  string // host:port
	loopback bool   // the only place where it may go without TLS
	tls      *tls.Config
	bind     template // of BindDN
	find     template // of Search.Filter
	groups   template // of Groups.Filter
}

// New checks o and reads the file CA. It opens no connection.
func New(o Options) (*Realm, error) {
	r := &Realm{o: o}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("realm %s: %w", printable(o.Name), err)
	}
	return r, nil
}

func (r *Realm) check() error {
	o := &r.o
	if o.Name == "" || o.Name != printable(o.Name) || len(o.Name) > 64 || len(o.Where) > 200 || o.Where != printable(o.Where) {
		return errors.New("the name and where to change passphrases are short printable ASCII")
	}
	if o.Where == "" {
		o.Where = "the directory " + o.Name
	}
	if o.Timeout <= 0 {
		return errors.New("the timeout is not positive")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := r.checkURL(); err != nil {
		return err
	}
	if err := r.checkTLS(); err != nil {
		return err
	}
	return r.checkTemplates()
}

func (r *Realm) checkURL() error {
	u, err := url.Parse(r.o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the URL must be ldaps://HOST or ldap://HOST, with a port at most")
	}
	port := u.Port()
	switch u.Scheme {
	case "ldaps":
		if r.o.StartTLS {
			return errors.New("StartTLS belongs to ldap://; ldaps:// has TLS from the start")
		}
		r.secure = true
		port = orElse(port, ldap.DefaultLdapsPort)
	case "ldap":
		port = orElse(port, ldap.DefaultLdapPort)
		r.loopback = !r.o.StartTLS
		if r.loopback && !configs.IsLoopback(u.Hostname()) {
			return errors.New("plain ldap:// would send passphrases in clear: use ldaps://, or StartTLS (without either only a loopback address is taken)")
		}
	default:
		return errors.New("the URL must begin with ldaps:// or ldap://")
	}
	r.address = net.JoinHostPort(u.Hostname(), port)
	r.o.ServerName = orElse(r.o.ServerName, u.Hostname())
	return nil
}

// Where tells users where the passphrase is changed.
func (r *Realm) Where() string { return r.o.Where }

// Check asks the directory whether passphrase is user's. It blocks for at most
// the timeout, or until ctx is done.
//
// ok means that it is; groups are those of the user then, sorted, as they stood
// at fetched, and entry is what the directory calls the user's entry: "" where it
// doesn't say. Not ok without an error means wrong credentials. An error with the
// method Barred is the directory's, which knows the account and lets it nowhere;
// any other means that it can't be asked.
func (r *Realm) Check(ctx context.Context, user, passphrase string) (ok bool, groups []string, fetched time.Time, entry string, err error) {
	if !askable(user) || passphrase == "" || len(passphrase) > maxPassphrase || strings.IndexByte(passphrase, 0) >= 0 {
		return false, nil, time.Time{}, "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	q, err := r.open(ctx)
	if err != nil {
		return false, nil, time.Time{}, "", r.unavailable(ctx, "connect", err)
	}
	defer q.close()
	if r.o.Search != nil {
		ok, groups, entry, err = q.searchThenBind(user, passphrase)
	} else {
		ok, groups, entry, err = q.bindThenRead(user, passphrase)
	}
	var barred *barredError
	switch {
	case errors.As(err, &barred):
		return false, nil, time.Time{}, "", barred
	case err != nil:
		return false, nil, time.Time{}, "", r.unavailable(ctx, "ask", err)
	case !ok:
		return false, nil, time.Time{}, "", nil
	}
	return true, groups, r.o.Now(), entry, nil
}

// unavailable adds why the time was up, which the library's errors don't tell.
func (r *Realm) unavailable(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(cause, err)
	}
	return fmt.Errorf("%w: %s %s: %w", errUnavailable, what, r.o.Name, err)
}

// searchThenBind reads everything as the searching account, the user's groups
// included, because users may often not read them; the user's bind is last.
func (q *query) searchThenBind(user, passphrase string) (bool, []string, string, error) {
	r := q.r
	found, err := q.find(user, append([]string{r.ownAttribute()}, lockAttributes...)...)
	if err != nil {
		return false, nil, "", err
	}
	switch len(found) {
	case 0:
		return false, nil, "", nil
	case 1:
	default:
		return false, nil, "", r.barred(barAmbiguous, false)
	}
	dn := found[0].DN
	if dn == "" {
		return false, nil, "", errors.New("the directory found an entry without a name") // binding as "" is binding as nobody
	}
	groups, err := q.readGroups(user, dn, found[0])
	if err != nil {
		return false, nil, "", err
	}
	ok, err := q.bindUser(dn, passphrase)
	if err != nil || !ok {
		return false, nil, "", err
	}
	if why, over := ended(found[0], r.o.Now()); over {
		return false, nil, "", r.barred(why, true)
	}
	return true, groups, entryOf(found[0]), nil
}

// find searches the user's entry as the searching account, two at most, with
// entryAttributes.
func (q *query) find(user string, attributes ...string) ([]*ldap.Entry, error) {
	s := q.r.o.Search
	if s.BindDN != "" {
		password, err := readSecret(s.PasswordFile)
		if err != nil {
			return nil, err
		}
		if err := q.conn.Bind(s.BindDN, password); err != nil {
			return nil, fmt.Errorf("bind the searching account: %w", err)
		}
	}
	filter, err := q.r.find.filter(user, "")
	if err != nil {
		return nil, err
	}
	found, err := q.search(s.Base, ldap.ScopeWholeSubtree, filter, 2, append(attributes, entryAttributes...)...)
	if err != nil {
		return nil, fmt.Errorf("search the user: %w", err)
	}
	return found, nil
}

// bindThenRead binds as the user and reads the rest with the user's own rights: an
// entry that its user may not read says nothing of an end, and only groups need it.
func (q *query) bindThenRead(user, passphrase string) (bool, []string, string, error) {
	r := q.r
	name, err := r.bind.dn(user)
	if err != nil {
		return false, nil, "", nil // a name that can't be in such a template is nobody's
	}
	ok, err := q.bindUser(name, passphrase)
	if err != nil || !ok {
		return false, nil, "", err
	}
	attribute := r.ownAttribute()
	var own *ldap.Entry
	if r.bind.isDN() {
		found, err := q.search(name, ldap.ScopeBaseObject, "(objectClass=*)", 1, append(append([]string{attribute}, lockAttributes...), entryAttributes...)...)
		hidden := ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights)
		switch {
		case err != nil && !hidden:
			return false, nil, "", fmt.Errorf("read the user's entry: %w", err)
		case err == nil && len(found) == 1:
			own = found[0]
		}
	}
	switch {
	case own != nil:
		if why, over := ended(own, r.o.Now()); over {
			return false, nil, "", r.barred(why, true)
		}
	case attribute != noAttributes:
		return false, nil, "", errors.New("the user's entry can't be read by the user")
	}
	groups, err := q.readGroups(user, name, own)
	return err == nil, groups, entryOf(own), err
}

// askable keeps out what no directory has as a name, before any network.
func askable(user string) bool {
	return user != "" && len(user) <= maxName && utf8.ValidString(user) && !strings.ContainsFunc(user, unicode.IsControl)
}

// readSecret returns the first line of a file that only its owner may read.
func readSecret(path string) (string, error) {
	data, err := configs.ReadSecret(path, maxSecretFile)
	if err != nil {
		return "", fmt.Errorf("read the password file: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("the password file %s begins with an empty line", path)
	}
	return line, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// printable is s without what would not be printable ASCII.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s)
}
