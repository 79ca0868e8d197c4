package identity_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/identity"
)

type testKey struct {
	signer ssh.Signer
	pub    ssh.PublicKey
	line   string
	print  string
}

func keyOf(t *testing.T, private any) testKey {
	t.Helper()
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pub := s.PublicKey()
	return testKey{signer: s, pub: pub, line: string(ssh.MarshalAuthorizedKey(pub)), print: ssh.FingerprintSHA256(pub)}
}

func edKey(t *testing.T) testKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, private)
}

func TestPublicKeyAsFirstFactor(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	k, other := edKey(t), edKey(t)
	if _, err := w.a.AddKey(t.Context(), "alice", k.line); err != nil {
		t.Fatal(err)
	}
	at := attempt("alice")
	at.Key = k.pub
	from := w.log.Mark()
	id, err := w.login(at, round{askCode, u.wrongCode()}, round{"Not accepted. " + askCode, u.code()})
	if err != nil || id.Method() != "publickey+otp" || id.Key() != k.print {
		t.Fatalf("%q %v", id.Method(), err)
	}
	w.wantLog(from, "login.failed wrong-code", "key.proven", "key.remembered", "login.succeeded publickey+otp")
	w.clock.Advance(time.Minute)

	if !w.a.KnowsKey(t.Context(), "alice", k.pub) || w.a.KnowsKey(t.Context(), "alice", other.pub) ||
		w.a.KnowsKey(t.Context(), "nobody", k.pub) || w.a.KnowsKey(t.Context(), "alice", nil) {
		t.Error("KnowsKey")
	}
	// A key of nobody's, or somebody else's, is no factor: the passphrase is asked.
	for _, a := range []identity.Attempt{{Name: "alice", Key: other.pub}, {Name: "nobody", Key: k.pub}} {
		a.Source = home
		_, err = w.login(a, round{askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	// A recovery code beside the key forces an enrolment.
	id, err = w.login(at, append([]round{{askCode, u.recovery[0]}}, u.enrol()...)...)
	if err != nil || id.Method() != "publickey+recovery" {
		t.Errorf("%q %v", id.Method(), err)
	}
	w.clock.Advance(time.Minute)

	// Reset: the key stands for nothing until the new passphrase is set.
	temp, err := w.a.ResetPassphrase(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("a key is known while a reset waits")
	}
	_, err = w.login(at, round{askPass, temp}, round{codeBehind, u.code()}, round{askOwn, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if err := w.a.RemoveKey(t.Context(), "alice", k.print); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.a.RemoveKey(t.Context(), "alice", k.print), identity.ErrNoKey)
}

func TestKeyIsNoFirstFactorBeforeEnrolment(t *testing.T) {
	w := newWorld(t)
	if _, err := w.a.AddUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	k := edKey(t)
	if _, err := w.a.AddKey(t.Context(), "alice", k.line); err != nil {
		t.Fatal(err)
	}
	at := attempt("alice")
	at.Key = k.pub
	_, err := w.login(at, round{askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("known")
	}
}

func TestAddKeyRefuses(t *testing.T) {
	w := newWorld(t)
	if _, err := w.a.AddUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	k := edKey(t)
	cert := &ssh.Certificate{Key: k.pub, CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, k.signer); err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	number := func(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(5), int(bits)-1, 1) }
	rsaLine := func(bits uint) string {
		return "ssh-rsa " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct {
			Name string
			E, N *big.Int
		}{"ssh-rsa", big.NewInt(65537), number(bits)}))
	}
	dsa := "ssh-dss " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct {
		Name       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", number(1024), number(160), number(1000), number(1000)}))
	for name, tc := range map[string]struct{ line, want string }{
		"empty":       {"", "it is no public key"},
		"private":     {"-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "it is a PRIVATE key, which nobody else may have"},
		"dsa":         {dsa, "keys of type ssh-dss are not accepted"},
		"small rsa":   {rsaLine(1024), "an RSA key of 1024 bits: 2048 to 4096"},
		"huge rsa":    {rsaLine(8192), "an RSA key of 8192 bits"},
		"certificate": {string(ssh.MarshalAuthorizedKey(cert)), "certificate"},
		"options":     {`command="ls" ` + k.line, "options"},
		"two lines":   {k.line + keyOf(t, ec).line, "more than one line"},
		"endless":     {k.line + strings.Repeat(" ", 10<<10), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.a.AddKey(t.Context(), "alice", tc.line)
			var refused *identity.KeyRefused
			if !errors.As(err, &refused) || !strings.Contains(refused.Text, tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := w.a.AddKey(t.Context(), "alice", keyOf(t, ec).line); err != nil {
		t.Error(err)
	}
	if _, err := w.a.AddKey(t.Context(), "alice", rsaLine(4096)); err != nil {
		t.Error(err)
	}
	line := strings.TrimSpace(k.line) + " alice@\x1b[31mlaptop\u202e"
	if _, err := w.a.AddKey(t.Context(), "alice", line); err != nil {
		t.Error(err)
	}
	if _, err := w.a.AddKey(t.Context(), "alice", k.line); err == nil || !strings.HasSuffix(err.Error(), "the account has this key already") {
		t.Errorf("twice: %v", err)
	}
	info, err := w.a.User(t.Context(), "alice")
	if err != nil || len(info.Keys) != 3 {
		t.Fatalf("%+v %v", info, err)
	}
	for _, i := range info.Keys {
		if strings.ContainsAny(i.Comment, "\x1b\u202e") {
			t.Errorf("comment %q", i.Comment)
		}
	}
}
