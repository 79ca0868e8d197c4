package identity_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"

	"entry/bastion/identity"
)

var challengeLine = regexp.MustCompile(`(?m)^  echo (\S+) \| ssh-keygen -Y sign -n (\S+) -f `)

// signing answers the question for a signature with one of k, over what mangle makes
// of the challenge and of the namespace, one line a round.
func (k testKey) signing(t *testing.T, s *script, mangle func(challenge, namespace string) (string, string)) []round {
	t.Helper()
	return []round{{"…Signature: ", func(p string) string {
		m := challengeLine.FindStringSubmatch(p)
		if m == nil {
			t.Fatalf("no challenge in %q", p)
		}
		challenge, namespace := mangle(m[1], m[2])
		sig, err := sshsig.Sign(strings.NewReader(challenge), k.signer, sshsig.HashSHA512, namespace)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(sshsig.Armor(sig))), "\n")
		for _, l := range lines[1:] {
			s.rounds = append(s.rounds, round{"", l + "\r"})
		}
		return lines[0]
	}}}
}

func asTyped(challenge, namespace string) (string, string) { return challenge + "\n", namespace }

// TestKeyBelongsToWhoShowsIt: a pasted line is a claim; it yields to a login with the
// key and to a signature, and nobody else can have a key that was shown.
func TestKeyBelongsToWhoShowsIt(t *testing.T) {
	w := newWorld(t)
	alice, mallory := w.enrolled("alice"), w.enrolled("mallory")
	aliceIn, malloryIn := alice.in(), mallory.in()
	k := edKey(t)
	add := func(u *user, id identity.Identity, sign func(string, string) (string, string)) (bool, error) {
		t.Helper()
		s := w.ask(round{"…Signature: ", ""})
		if sign != nil {
			s.rounds = k.signing(t, s, sign)
		}
		_, proven, err := w.a.AddOwnKey(t.Context(), u.fresh(id), k.line, s)
		w.clock.Advance(time.Minute)
		return proven, err
	}
	// Mallory squats the published key. Alice's signature takes it from her.
	if proven, err := add(mallory, malloryIn, nil); err != nil || proven {
		t.Fatal(proven, err)
	}
	from := w.log.Mark()
	w.wantNotices("key-added " + k.print)
	if proven, err := add(alice, aliceIn, asTyped); err != nil || !proven {
		t.Fatal(proven, err)
	}
	w.wantLog(from, "key.added", "key.proven", "key.removed key-of-another-account")
	w.wantNotices("key-added "+k.print, "key-removed "+k.print)
	if w.a.KnowsKey(t.Context(), "mallory", k.pub) || !w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("the claim didn't yield to the proof")
	}
	// Neither by a line nor by a signature of her own does mallory get it back, and
	// nobody says whose it is.
	from = w.log.Mark()
	_, err := add(mallory, malloryIn, nil)
	var refused *identity.KeyRefused
	if !errors.As(err, &refused) || strings.Contains(refused.Text, "alice") || !strings.Contains(refused.Text, "in use by another account") {
		t.Errorf("%v", err)
	}
	w.wantLog(from, "key.refused key-of-another-account")
	if e := w.log.All()[from]; e.User != "mallory" || e.Key != k.print || e.Detail != "it is the key of alice" {
		t.Errorf("%+v", e)
	}
	if _, err := w.a.AddKey(t.Context(), "mallory", k.line); !errors.As(err, &refused) || !strings.Contains(refused.Text, "the key of alice") {
		t.Errorf("an operator: %v", err)
	}
	if _, err := w.a.ShareKey(t.Context(), "mallory", k.line, "one person, two accounts"); err != nil {
		t.Fatal(err)
	}
	for _, u := range []*user{mallory, alice} { // both log in, and both keep it
		at := attempt(u.name)
		at.Key = k.pub
		if _, err := w.login(at, round{askCode, u.code()}); err != nil {
			t.Error(err)
		}
		w.clock.Advance(time.Minute)
	}
	if !w.a.KnowsKey(t.Context(), "mallory", k.pub) || !w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("a shared key was taken away")
	}
}

// TestSharedKeyIsNobodyElses: what all its holders share, shown or not, is refused to a
// further account in every way; the operator alone gives it, with a reason.
func TestSharedKeyIsNobodyElses(t *testing.T) {
	for _, shown := range []bool{false, true} {
		w := newWorld(t)
		alice, bob, carol := w.enrolled("alice"), w.enrolled("bob"), w.enrolled("carol")
		carolIn, k := carol.in(), edKey(t)
		at := func(u *user) identity.Attempt {
			a := attempt(u.name)
			a.Key = k.pub
			return a
		}
		for _, u := range []*user{alice, bob} {
			if _, err := w.a.ShareKey(t.Context(), u.name, k.line, "one person, two accounts"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.login(at(u), round{askCode, u.code()}); shown && err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			if !shown {
				break // alice alone shares it, and never came
			}
		}
		for name, sign := range map[string]func(string, string) (string, string){"pasted": nil, "signed": asTyped} {
			s := w.ask(round{"…Signature: ", ""})
			if sign != nil {
				s.rounds = k.signing(t, s, sign)
			}
			from := w.log.Mark()
			_, _, err := w.a.AddOwnKey(t.Context(), carol.fresh(carolIn), k.line, s)
			var refused *identity.KeyRefused
			if !errors.As(err, &refused) || !strings.Contains(refused.Text, "in use by another account") || strings.Contains(refused.Text, "alice") {
				t.Errorf("%s: %v", name, err)
			}
			w.wantLog(from, "key.refused key-of-another-account")
			w.clock.Advance(time.Minute)
		}
		whose := map[bool]string{true: "is the key of alice, bob, who share it", false: "is the key of alice, who shares it"}[shown] + ", and a key belongs to one account"
		var refused *identity.KeyRefused
		if _, err := w.a.AddKey(t.Context(), "carol", k.line); !errors.As(err, &refused) || !strings.Contains(refused.Text, whose) {
			t.Errorf("an operator: %v", err)
		}
		results, err := w.a.Import(t.Context(), []identity.Imported{{Name: "dave", Seeds: [][]byte{[]byte("12345678901234567890")}, KeyLines: []string{k.line}}})
		if err != nil || !strings.Contains(strings.Join(results[0].Notes, "\n"), whose) {
			t.Errorf("an import: %+v %v", results, err)
		}
		if w.a.KnowsKey(t.Context(), "carol", k.pub) || w.a.KnowsKey(t.Context(), "dave", k.pub) {
			t.Error("a further account has it")
		}
		if _, err := w.a.ShareKey(t.Context(), "carol", k.line, "a third"); err != nil {
			t.Error(err)
		}
		if _, err := w.login(at(carol), round{askCode, carol.code()}); err != nil {
			t.Error(err)
		}
		if !w.a.KnowsKey(t.Context(), "alice", k.pub) {
			t.Error("a shared key was taken away")
		}
	}
}

// TestClaimsYieldToWhoSharesAKey: what was pasted before an operator shared the key
// yields to the first who shows it, is refused where it was made meanwhile, and is
// never one that shares it.
func TestClaimsYieldToWhoSharesAKey(t *testing.T) {
	w := newWorld(t)
	alice, carol := w.enrolled("alice"), w.enrolled("carol")
	w.enrolled("mallory")
	carolIn, k := carol.in(), edKey(t)
	if _, err := w.a.AddKey(t.Context(), "mallory", k.line); err != nil {
		t.Fatal(err)
	}
	// Carol signs while the operator shares it.
	s := w.ask()
	s.rounds = k.signing(t, s, asTyped)
	answer := s.rounds[0].answer.(func(string) string)
	s.rounds[0].answer = func(prompt string) string {
		if _, err := w.a.ShareKey(t.Context(), "alice", k.line, "one person"); err != nil {
			t.Fatal(err)
		}
		return answer(prompt)
	}
	var refused *identity.KeyRefused
	if _, _, err := w.a.AddOwnKey(t.Context(), carol.fresh(carolIn), k.line, s); !errors.As(err, &refused) || w.a.KnowsKey(t.Context(), "carol", k.pub) {
		t.Errorf("claimed meanwhile: %v", err)
	}
	if !w.a.KnowsKey(t.Context(), "mallory", k.pub) {
		t.Error("a claim went before anybody showed the key")
	}
	w.clock.Advance(time.Minute)
	at := attempt("alice")
	at.Key = k.pub
	if _, err := w.login(at, round{askCode, alice.code()}); err != nil {
		t.Fatal(err)
	}
	if w.a.KnowsKey(t.Context(), "mallory", k.pub) || !w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("the claim didn't yield to who shares the key")
	}
}

// TestClaimsYieldWhileTheyAreMade: whoever began to add a key before its owner showed
// it doesn't have it afterwards, be it by a pasted line or by a signature of a copy.
func TestClaimsYieldWhileTheyAreMade(t *testing.T) {
	for name, sign := range map[string]func(string, string) (string, string){"pasted": nil, "signed": asTyped} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, mallory := w.enrolled("alice"), w.enrolled("mallory")
			aliceIn, malloryIn := alice.in(), mallory.in()
			k := edKey(t)
			s := w.ask(round{"…Signature: ", ""})
			if sign != nil {
				s.rounds = k.signing(t, s, sign)
			}
			answer := s.rounds[0].answer
			s.rounds[0].answer = func(prompt string) string {
				as := w.ask()
				as.rounds = k.signing(t, as, asTyped)
				if _, proven, err := w.a.AddOwnKey(t.Context(), alice.fresh(aliceIn), k.line, as); err != nil || !proven {
					t.Fatal(proven, err)
				}
				if f, ok := answer.(func(string) string); ok {
					return f(prompt)
				}
				return ""
			}
			_, _, err := w.a.AddOwnKey(t.Context(), mallory.fresh(malloryIn), k.line, s)
			var refused *identity.KeyRefused
			if !errors.As(err, &refused) || !strings.Contains(refused.Text, "in use by another account") {
				t.Errorf("%v", err)
			}
			if w.a.KnowsKey(t.Context(), "mallory", k.pub) || !w.a.KnowsKey(t.Context(), "alice", k.pub) {
				t.Error("the claim stands beside the proof")
			}
		})
	}
}

// TestLoginProvesAKey: of two claims, the first login's stays.
func TestLoginProvesAKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.enrolled("alice"), w.enrolled("bob")
	at, k := alice.withKey()
	if _, err := w.a.AddKey(t.Context(), "bob", k.line); err != nil {
		t.Fatal(err)
	}
	if _, err := w.login(at, round{askCode, alice.wrongCode()}, round{"Not accepted. " + askCode, ""}); err == nil || !w.a.KnowsKey(t.Context(), "bob", k.pub) {
		t.Error("a login that failed proves something")
	}
	if _, err := w.login(at, round{askCode, alice.code()}); err != nil {
		t.Fatal(err)
	}
	if w.a.KnowsKey(t.Context(), "bob", k.pub) {
		t.Error("both have the key")
	}
	other := attempt("bob")
	other.Key = k.pub
	if _, err := w.login(other, round{askPass, good}, round{askCode, bob.code()}); err != nil {
		t.Error(err)
	}
}

// TestProofOfAnotherAccountAtTheLastMoment: of two claims that are shown at once, one
// login goes on; the other reads what to do.
func TestProofOfAnotherAccountAtTheLastMoment(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.enrolled("alice"), w.enrolled("bob")
	at, k := alice.withKey()
	if _, err := w.a.AddKey(t.Context(), "bob", k.line); err != nil {
		t.Fatal(err)
	}
	acct, err := w.store.Account(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.ProveKey(t.Context(), acct.ID, k.print, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = w.login(at, round{askCode, alice.code()},
		round{"Right, but this key is in use by another account, and a key belongs to one: log in with your passphrase, and ask your lab's administrator. " + askCode, ""})
	wantErr(t, err, identity.ErrAbandoned)
	_ = bob
}

// TestSignaturesThatProveNothing: of another key, over something else, for another
// purpose, and what is no signature.
func TestSignaturesThatProveNothing(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	k, other := edKey(t), edKey(t)
	for name, c := range map[string]struct {
		by     testKey
		mangle func(string, string) (string, string)
		ok     bool
	}{
		"another key":           {other, asTyped, false},
		"another challenge":     {k, func(c, n string) (string, string) { return "x" + c + "\n", n }, false},
		"for files":             {k, func(c, _ string) (string, string) { return c + "\n", "file" }, false},
		"another server":        {k, func(c, _ string) (string, string) { return c + "\n", "keys@gate" }, false},
		"as Windows' cmd":       {k, func(c, n string) (string, string) { return c + " \r\n", n }, true},
		"as PowerShell":         {k, func(c, n string) (string, string) { return c + "\r\n", n }, true},
		"without a line ending": {k, func(c, n string) (string, string) { return c, n }, true},
	} {
		s := w.ask()
		s.rounds = c.by.signing(t, s, c.mangle)
		if !c.ok {
			answer := s.rounds[0].answer.(func(string) string)
			s.rounds[0].answer = func(p string) string {
				line := answer(p)
				s.rounds = append(s.rounds, round{"That is no signature of this key over the line below.…", "nonsense"}, round{"That is no signature of this key over the line below.…", "-----BEGIN SSH SIGNATURE-----"},
					round{"", "AAAA"}, round{"", "-----END SSH SIGNATURE-----"})
				return line
			}
		}
		_, proven, err := w.a.AddOwnKey(t.Context(), u.fresh(id), k.line, s)
		w.clock.Advance(time.Minute)
		switch {
		case c.ok && (err != nil || !proven):
			t.Errorf("%s: %t %v", name, proven, err)
		case c.ok:
			if err := w.a.RemoveKey(t.Context(), "alice", k.print); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
		default:
			wantRefusal(t, err, "Not accepted. The key was not added.")
			if w.a.KnowsKey(t.Context(), "alice", k.pub) {
				t.Errorf("%s: added", name)
			}
		}
	}
}

func TestShareNeedsAReason(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	for _, reason := range []string{"", "  ", "two\nlines", strings.Repeat("x", 101)} {
		if _, err := w.a.ShareKey(t.Context(), "alice", edKey(t).line, reason); err == nil {
			t.Errorf("%q is a reason", reason)
		}
	}
}
