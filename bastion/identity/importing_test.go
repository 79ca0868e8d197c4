package identity_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// What libxcrypt's crypt(3) makes of good (SHA-512) and of other (yescrypt).
const (
	goodCrypt  = "$6$hYp3Rk2s$zEfalLFKHC8xeD9snbL7B8dz88IMH/F6R/k0GLfOCKlesL9QINLV.cgfjc30S70YKRzVz0.1m8NKG5gMXbe6m/"
	otherCrypt = "$y$j9T$gQ1sU/Zp6m.xkQ2v$pfU2VY5kGqrtlXEF/p0AL1UfGXxxkrovWqDWYIFTei/"
)

func TestImport(t *testing.T) {
	w := newWorld(t)
	w.enrolled("carol")
	k := edKey(t)
	seed := []byte("12345678901234567890")
	ctx := audit.WithActor(t.Context(), audit.Actor{UID: 7, LoginUID: 8})
	mark := w.log.Mark()
	results, err := w.a.Import(ctx, []identity.Imported{
		{Name: "alice", Seeds: [][]byte{seed}, Crypt: goodCrypt, KeyLines: []string{"", "# laptop", k.line, `command="ls" ` + k.line, "nonsense"}},
		{Name: "bob", Seeds: [][]byte{seed[:9], seed, seed[:10]}, Crypt: otherCrypt},
		{Name: "carol", Seeds: [][]byte{seed}, Crypt: goodCrypt},
		{Name: "Not A Name", Seeds: [][]byte{seed}},
		{Name: "dave", Seeds: [][]byte{seed}, Crypt: "$1$abc$BXBqpb9BZcZhXLgbee.0s/"},
		{Name: "erin", Crypt: goodCrypt, KeyLines: []string{k.line}},
		{Name: "frank", Crypt: goodCrypt},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name  string
		added bool
		notes []string
	}{
		{"alice", true, []string{"a key was left out: options before", "a key was left out: it is no public key", "logs in with the old passphrase"}},
		{"bob", true, []string{"its seed has 9 bytes", "logs in with the old passphrase"}},
		{"carol", false, []string{"not added: the account exists"}},
		{"Not A Name", false, []string{"not added"}},
		{"dave", true, []string{"the passphrase was left out: its hash is MD5", "no passphrase came along"}},
		{"erin", true, []string{"the key " + k.print + " is one of alice, too: whoever logs in with it first keeps it", "no authenticator came along: entry user invite erin"}},
		{"frank", false, []string{"the passphrase was left out: without an authenticator or a key", "not added: nothing of it"}},
	}
	for i, r := range results {
		ok := r.Name == want[i].name && r.Added == want[i].added && len(r.Notes) == len(want[i].notes)
		for n, note := range r.Notes {
			ok = ok && n < len(want[i].notes) && strings.Contains(note, want[i].notes[n])
		}
		if !ok {
			t.Errorf("%+v, want %+v", r, want[i])
		}
	}
	if len(results) != len(want) {
		t.Fatalf("%d results", len(results))
	}
	w.wantLog(mark, "user.imported", "user.imported", "user.imported", "user.imported")
	// Once more: a key of the account itself is nobody else's.
	again, err := w.a.Import(ctx, []identity.Imported{{Name: "alice", Seeds: [][]byte{seed}, KeyLines: []string{k.line}}})
	if err != nil || len(again) != 1 || strings.Contains(strings.Join(again[0].Notes, "\n"), "one of alice, too") {
		t.Errorf("%+v %v", again, err)
	}
	if e := w.log.All()[mark]; e.User != "alice" || e.Actor.LoginUID != 8 {
		t.Errorf("event %+v", e)
	}

	// Codes of now may have been used where they come from.
	u := &user{w: w, name: "alice", seed: seed}
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.codeAfter(30 * time.Second)},
		round{"Code already used, wait for the next one. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	mark = w.log.Mark()
	id, err := w.login(attempt("alice"), round{askPass, other}, round{askCode, u.code()}, round{noPass, good}, round{askCode, u.codeAfter(30 * time.Second)})
	if err != nil || id.Method() != "passphrase+otp" {
		t.Fatalf("%q %v", id.Method(), err)
	}
	w.wantLog(mark, "login.failed wrong-passphrase", "passphrase.changed", "login.succeeded passphrase+otp")
	acct, err := w.store.Account(t.Context(), "alice")
	if err != nil || !strings.HasPrefix(acct.Passphrase, "$argon2id$") || len(acct.Authenticators) != 1 || len(acct.Keys) != 1 {
		t.Errorf("%+v %v", acct, err)
	}
	w.clock.Advance(time.Minute)
	mark = w.log.Mark()
	u.in()
	w.wantLog(mark, "login.succeeded passphrase+otp")
	u.name = "bob"
	if _, err := w.login(attempt("bob"), round{askPass, other + u.code()}); err != nil {
		t.Errorf("one field, yescrypt: %v", err)
	}
	if _, signal, _, err := w.a.Invite(t.Context(), "erin"); err != nil || signal == "" {
		t.Errorf("invite after an import without authenticator: %v", err)
	}
	temp, err := w.a.ResetPassphrase(t.Context(), "dave")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("dave"), round{askPass, temp + u.code()}, round{askOwn, other}, round{"Repeat new entry passphrase: ", other}); err != nil {
		t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.a.Import(ctx, []identity.Imported{{Name: "gina", Seeds: [][]byte{seed}, Crypt: goodCrypt}}); !errors.Is(err, identity.ErrUnavailable) {
		t.Error(err)
	}
}

func TestNoImportedSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	results, err := w.a.Import(t.Context(), []identity.Imported{
		{Name: "alice", Seeds: [][]byte{[]byte("12345678901234567890"), []byte("short")}, Crypt: goodCrypt, KeyLines: []string{"canary-key-text"}},
		{Name: "bob", Seeds: [][]byte{[]byte("12345678901234567890")}, Crypt: strings.Replace(goodCrypt, "$6$", "$7$", 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, r := range results {
		all += strings.Join(r.Notes, "\n")
	}
	for _, e := range w.log.All() {
		all += e.Detail + e.Reason
	}
	for _, s := range []string{goodCrypt[10:], "canary", "1234567890", "GEZDGNBV"} {
		if strings.Contains(all, s) {
			t.Errorf("%q stands in a note or an event", s)
		}
	}
}

// TestImportKeepsRestrictions: an end, and a passphrase that opens nothing but its
// change, not even beside a key.
func TestImportKeepsRestrictions(t *testing.T) {
	w := newWorld(t)
	k := edKey(t)
	seed := []byte("12345678901234567890")
	ends := w.clock.Now().Add(30 * 24 * time.Hour)
	results, err := w.a.Import(t.Context(), []identity.Imported{
		{Name: "alice", Seeds: [][]byte{seed}, Crypt: goodCrypt, KeyLines: []string{k.line}, MustChange: true, Ends: ends},
		{Name: "bob", Seeds: [][]byte{seed}, Crypt: otherCrypt, PassphraseSet: w.clock.Now().Add(-80 * 24 * time.Hour), MaxAge: 90 * 24 * time.Hour},
		{Name: "carol", Seeds: [][]byte{seed}, Crypt: "$1$abc$BXBqpb9BZcZhXLgbee.0s/", MustChange: true},
		{Name: "dave", Crypt: goodCrypt, Ends: ends},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`ends on .*, as it did there\|has to change the passphrase at the next login, as there\|logs in with`,
		`had to change the passphrase every 90 days there; here passphrase_age says so, for all users\|logs in with`,
		`the passphrase was left out: .*\|no passphrase came along`,
		`the passphrase was left out: without .*\|not added: nothing of it .*\|it was to end on .*, which entry user end dave 20.*Z keeps`,
	} {
		if got := strings.Join(results[i].Notes, "|"); results[i].Added != (i < 3) || !regexp.MustCompile("^"+want).MatchString(got) {
			t.Errorf("%s: %q", results[i].Name, got)
		}
	}
	if w.a.KnowsKey(t.Context(), "alice", k.signer.PublicKey()) {
		t.Error("a key stands for a passphrase that has to be changed")
	}
	u := &user{w: w, name: "alice", seed: seed}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()},
		round{askRenewed, other}, round{"Repeat new entry passphrase: ", other}); err != nil {
		t.Fatal(err)
	}
	if !w.a.KnowsKey(t.Context(), "alice", k.signer.PublicKey()) {
		t.Error("the key opens nothing after the change")
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, other}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
	if info, err := w.a.User(t.Context(), "bob"); err != nil || w.clock.Now().Sub(info.PassphraseSet) < 80*24*time.Hour || info.MustChange {
		t.Errorf("%+v %v", info, err)
	}
	w.clock.Advance(30 * 24 * time.Hour)
	_, err = w.login(attempt("alice"), round{askPass, other}, round{askCode, u.code()}, round{"This account ended on 2026-03-31 12:00 UTC: ask your lab's administrator. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}
