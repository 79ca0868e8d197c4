package realm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"entry/bastion/realm"
	"entry/configs"
	"entry/e2e/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert, a.key = a.make("test CA", nil, time.Hour)
	a.write(a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) make(name string, sans []string, life time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life),
		IsCA: sans == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, san := range sans {
		if ip := net.ParseIP(san); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, san)
		}
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(raw); err != nil {
		a.t.Fatal(err)
	}
	return c, key
}

func (a *authority) write(path, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// server writes a server's certificate and key into dir.
func (a *authority) server(dir string, life time.Duration, sans ...string) (cert, key string) {
	a.t.Helper()
	c, k := a.make(sans[0], sans, life)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.write(cert, "CERTIFICATE", c.Raw)
	a.write(key, "PRIVATE KEY", der)
	return cert, key
}

const people = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=more,ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: more

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: ou=policies,dc=example,dc=org
objectClass: organizationalUnit
ou: policies

dn: cn=strict,ou=policies,dc=example,dc=org
objectClass: person
objectClass: pwdPolicy
cn: strict
sn: strict
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdMustChange: TRUE
pwdMaxAge: 31536000

dn: uid=reader,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: reader
userPassword: reader's secret

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: alice's phrase
memberOf: cn=tinker,ou=groups,dc=example,dc=org
memberOf: cn=beamline,ou=groups,dc=example,dc=org

dn: uid=a*(b)\2C c\\,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: a*(b), c\
cn: Odd
sn: Odd
userPassword: odd phrase

dn: uid=twin,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: Twin
sn: T
userPassword: twin phrase

dn: uid=twin,ou=more,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: Twin
sn: T
userPassword: twin phrase

dn: uid=mute,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: mute
cn: Mute
sn: M

dn: uid=shy,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: shy
cn: Shy
sn: S
userPassword: shy phrase

dn: uid=lock,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: lock
cn: Lock
sn: L
userPassword: lock phrase

dn: uid=reset,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: reset
cn: Reset
sn: R
userPassword: reset phrase
pwdReset: TRUE

dn: uid=old,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: old
cn: Old
sn: O
userPassword: old phrase
pwdChangedTime: 20010101000000Z

dn: cn=tinker,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: tinker
member: uid=alice,ou=people,dc=example,dc=org
member: uid=a*(b)\2C c\\,ou=people,dc=example,dc=org

dn: cn=beamline,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: beamline
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=Blåbær og før,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: Blåbær og før
member: uid=old,ou=people,dc=example,dc=org

dn: ou=elsewhere,dc=example,dc=org
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://192.0.2.1/ou=people,dc=example,dc=net

`

// directory is a slapd of the test's own.
type directory struct {
	*testkit.Program
	t      *testing.T
	ca     *authority
	plain  string // ldap:// address
	secure string // ldaps:// address
}

// binds counts the binds that slapd has seen for a DN.
func (d *directory) binds(dn string) int {
	return strings.Count(d.LogNow(d.plain), `BIND dn="`+dn+`" method=128`)
}

// foreign are attributes of other directories, as strings.
func foreign() string {
	var lines strings.Builder
	for i, name := range []string{
		"userAccountControl", "accountExpires", "msDS-UserAccountDisabled", "nsAccountLock", "krbPrincipalExpiration",
		"loginDisabled", "loginExpirationTime", "ds-pwp-account-disabled", "ds-pwp-account-expiration-time",
		"sambaAcctFlags",
	} {
		fmt.Fprintf(&lines, "attributetype ( 1.3.6.1.4.1.4203.666.1.%d NAME '%s' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n", 9000+i, name)
	}
	return lines.String()
}

func newDirectory(t *testing.T, sans ...string) *directory {
	t.Helper()
	if len(sans) == 0 {
		sans = []string{"ldap.example.org", "127.0.0.1"}
	}
	dir := t.TempDir()
	d := &directory{t: t, ca: newAuthority(t)}
	cert, key := d.ca.server(dir, time.Hour, sans...)
	conf := filepath.Join(dir, "slapd.conf")
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
%[4]smodulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile %[1]s/pid
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
disallow bind_anon
require bind
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=groups,dc=example,dc=org" by dn.exact="uid=reader,dc=example,dc=org" read by users read by * none
access to dn.exact="uid=shy,ou=people,dc=example,dc=org" by dn.exact="uid=reader,dc=example,dc=org" read by * none
access to * by users read by * none
database mdb
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
rootpw "root's secret"
directory %[1]s/db
overlay memberof
overlay ppolicy
ppolicy_default "cn=strict,ou=policies,dc=example,dc=org"
ppolicy_use_lockout
`, dir, cert, key, foreign())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	add := exec.Command(testkit.System(t, "slapadd"), "-f", conf)
	add.Stdin = strings.NewReader(people)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	plain, secure := testkit.FreePort(t), testkit.FreePort(t)
	d.plain, d.secure = fmt.Sprintf("127.0.0.1:%d", plain), fmt.Sprintf("127.0.0.1:%d", secure)
	// 256 logs each operation.
	d.Program = testkit.Start(t, "slapd", exec.Command(testkit.System(t, "slapd"), "-f", conf, "-d", "256", "-h", "ldap://"+d.plain+"/ ldaps://"+d.secure+"/"))
	if !d.Within(testkit.Soon, func() bool { return testkit.Listening(plain) && testkit.Listening(secure) }) {
		t.Fatalf("slapd doesn't listen:\n%s", d.Stderr.String())
	}
	return d
}

// password writes a password file.
func password(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var fetched = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const template = "uid={user},ou=people,dc=example,dc=org"

// byTemplate is a realm that binds by a DN template over ldaps.
func (d *directory) byTemplate() realm.Options {
	return realm.Options{
		Realm: configs.Realm{Name: "duo", Where: "https://duo.example.org", LDAP: configs.LDAP{
			URL: "ldaps://" + d.secure, CA: d.ca.file, BindDN: template, Timeout: 20 * time.Second,
		}},
		Now: func() time.Time { return fetched },
	}
}

// bySearch is one that searches first, over StartTLS.
func (d *directory) bySearch() realm.Options {
	o := d.byTemplate()
	o.URL, o.StartTLS, o.ServerName, o.BindDN = "ldap://"+d.plain, true, "ldap.example.org", ""
	o.Search = &configs.Search{
		Base: "dc=example,dc=org", Filter: "(&(objectClass=inetOrgPerson)(uid={user}))",
		BindDN: "uid=reader,dc=example,dc=org", PasswordFile: password(d.t, "reader's secret"),
	}
	return o
}

func open(t *testing.T, o realm.Options) *realm.Realm {
	t.Helper()
	r, err := realm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
