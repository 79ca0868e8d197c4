package identity_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/identity"
)

// skKey is the public half of a security key's key.
func skKey(t *testing.T) (ssh.PublicKey, string) {
	t.Helper()
	pub, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, slices.Repeat([]byte{7}, 32), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return pub, string(ssh.MarshalAuthorizedKey(pub))
}

func TestTouchIsCode(t *testing.T) {
	for _, on := range []bool{false, true} {
		w := newWorldWith(t, func(o *identity.Options) { o.Config.Login.TouchIsCode = on })
		u := w.enrolled("alice")
		pub, line := skKey(t)
		if _, err := w.a.AddKey(t.Context(), "alice", line); err != nil {
			t.Fatal(err)
		}
		at := attempt("alice")
		at.Key = pub
		if !on {
			if id, err := w.login(at, round{askCode, u.code()}); err != nil || id.Method() != "publickey+otp" {
				t.Errorf("%q %v", id.Method(), err)
			}
			continue
		}
		// The touch stands for the code; it is no passphrase.
		mark := w.log.Mark()
		code := u.code()
		id, err := w.login(at, round{askPass, code}, round{codeFirst, code}, round{noPass, good})
		if err != nil || id.Method() != "passphrase+sk" || id.Key() != ssh.FingerprintSHA256(pub) {
			t.Errorf("%q %v", id.Method(), err)
		}
		w.wantLog(mark, "login.failed wrong-passphrase", "key.proven", "key.remembered", "login.succeeded passphrase+sk")
		if !w.remembers(at) {
			t.Error("not remembered")
		}
		// Any other key needs its code.
		plain, _ := u.withKey()
		if id, err := w.login(plain, round{askCode, u.code()}); err != nil || id.Method() != "publickey+otp" {
			t.Errorf("%q %v", id.Method(), err)
		}
		// Wrong passphrases count against the key, as wrong codes do behind others, and
		// not against the account.
		for range 5 {
			if _, err := w.a.Login(t.Context(), at, identity.NewConnState(), &told{answers: func(string) string { return "a guess" }}); err == nil {
				t.Fatal("got in")
			}
			w.clock.Advance(31 * time.Minute)
		}
		info, err := w.a.User(t.Context(), "alice")
		if err != nil || !info.LockedUntil.IsZero() {
			t.Errorf("%+v %v", info, err)
		}
		for _, k := range info.Keys {
			if k.Suspended.IsZero() == (k.Fingerprint == ssh.FingerprintSHA256(pub)) {
				t.Errorf("%s is suspended: %t", k.Fingerprint, !k.Suspended.IsZero())
			}
		}
		if w.remembers(at) {
			t.Error("a suspended key is remembered")
		}
		if _, err := w.login(at, round{askPass, good}, round{askCode, u.code()}); err != nil {
			t.Errorf("by passphrase and code: %v", err)
		}
	}
}
