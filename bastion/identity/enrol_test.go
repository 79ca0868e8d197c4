package identity_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"entry/audit"
	"entry/bastion/identity"
)

func TestNewPassphraseIsRefusedByRule(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	const ask = "New entry passphrase: "
	u := &user{w: w, name: "alice"}
	rounds := append([]round{
		{askPass, temp},
		{askOwn, "short"},
		{"Refused: it has 5 characters, and 12 are needed. " + ask, "passwordpassword"},
		{"Refused: it is too easy to guess; use several unrelated words. " + ask, strings.ToUpper(temp)},
		{"Refused: it is the temporary passphrase. " + ask, "alice1alice2"},
		{"Refused: it is your user name, or little more than that. " + ask, strings.Repeat("x y ", 300)},
		{"Refused: it is longer than 1024 bytes. " + ask, "three quiet otters \xe5 north"},
		{"Refused: your client did not send it as UTF-8, so other clients could not repeat it; use plain letters, digits and signs. " + ask, good},
		{"Repeat new entry passphrase: ", good + "!"},
		{"The two were not the same. " + ask, good},
		{"Repeat new entry passphrase: ", good},
	}, u.enrol()...)
	if _, err := w.login(attempt("alice"), rounds...); err != nil {
		t.Fatal(err)
	}
}

func TestRoundsAreBounded(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	rounds := []round{{askPass, temp}}
	for range 8 {
		rounds = append(rounds, round{"…New entry passphrase: ", "short"})
	}
	over := round{"…That was tried too often. Nothing was saved: connect again and start over. Press Enter to leave entry: ", ""}
	_, err = w.login(attempt("alice"), append(rounds, over)...)
	wantErr(t, err, identity.ErrExhausted)

	from := w.log.Mark()
	rounds = []round{{askPass, temp}, {askOwn, good}, {"Repeat new entry passphrase: ", good}}
	for i := range 5 {
		r := round{"Not accepted. The code must come from the key shown above. entry one-time code: ", "000000"}
		if i == 0 {
			r.prompt = "…entry one-time code: "
		}
		rounds = append(rounds, r)
	}
	_, err = w.login(attempt("alice"), append(rounds, over)...)
	wantErr(t, err, identity.ErrExhausted)
	w.wantLog(from, "login.abandoned too-many-rounds")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.TemporaryExpires.IsZero() || len(info.Authenticators) != 0 {
		t.Errorf("%+v %v", info, err)
	}
}

func TestEnrolmentPrompt(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	// What is asked first is ASCII in 40 columns; then it is as its reader wants it.
	fits := func(p string, lines, columns int) string {
		t.Helper()
		all := strings.Split(p, "\n")
		if len(all) > 1+lines {
			t.Errorf("%d lines", len(all))
		}
		for _, l := range all {
			if n := utf8.RuneCountInString(l); n > columns {
				t.Errorf("a line of %d characters: %q", n, l)
			}
			if strings.Trim(l, "█▀▄ ") != "" && strings.ContainsFunc(l, func(r rune) bool { return r > '~' || r < ' ' }) {
				t.Errorf("not ASCII: %q", l)
			}
		}
		if lines == 10 && strings.Contains(p, "six digits") && (!strings.Contains(p, "Rows\nof numbers: no UTF-8 here") || !strings.Contains(p, "45 lines")) {
			t.Errorf("nothing says what may be wrong with the picture: %q", p)
		}
		if !strings.HasPrefix(p, "\n") || !strings.HasSuffix(p, askCode) {
			t.Errorf("prompt %q", p)
		}
		return string(readSeed(t, p))
	}
	var seeds []string
	for range 2 {
		seed := ""
		look := func(answer string, lines, columns, blocks int) func(string) string {
			return func(p string) string {
				now := fits(p, lines, columns)
				if seed == "" {
					seed = now
				}
				if n := strings.Count(p, "█"); now != seed || (n == 0) != (blocks == 0) || n < blocks {
					t.Errorf("%d blocks, the same seed: %t", n, now == seed)
				}
				return answer
			}
		}
		_, err := w.login(attempt("alice"), round{askPass, temp}, round{askOwn, good}, round{"Repeat new entry passphrase: ", good},
			round{"\n…", look("d", 10, 39, 0)}, round{"\n…", look(" L ", 24, 39, 100)}, round{"\n…", look("b", 24, 39, 100)},
			round{"\n…", look("b", 45, 79, 200)}, round{"\n…", look("u", 24, 39, 100)},
			round{"\n…", func(p string) string {
				link := strings.Split(p, "\n")[3]
				if readSeed(t, p); link != identity.OtpauthURI("entry", "alice", []byte(seed)) {
					t.Errorf("link %q", link)
				}
				return "t"
			}},
			round{"\n…", func(p string) string {
				look("", 10, 39, 0)(p)
				return identity.CodeAt([]byte(seed), w.clock.Now().Add(5*time.Minute))
			}},
			round{"The clock of your authenticator is about 5 minutes ahead: set it to automatic, then use a new code. " + askCode, ""})
		wantErr(t, err, identity.ErrAbandoned)
		seeds = append(seeds, seed)
	}
	if seeds[0] == seeds[1] {
		t.Error("a seed came twice")
	}
	// Letters for ever come to an end.
	rounds := []round{{askPass, temp}, {askOwn, good}, {"Repeat new entry passphrase: ", good}}
	for range 25 {
		rounds = append(rounds, round{"…" + askCode, "d"})
	}
	_, err = w.login(attempt("alice"), append(rounds, round{"…start over. Press Enter to leave entry: ", ""})...)
	wantErr(t, err, identity.ErrExhausted)
}

func TestParallelEnrolments(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	from := w.log.Mark()
	first, second := &user{w: w}, &user{w: w}
	rounds := second.firstLogin(temp)
	rounds[3].answer = func(p string) string {
		second.seed = readSeed(t, p)
		if _, err := w.login(attempt("alice"), first.firstLogin(temp)...); err != nil {
			t.Errorf("the first enrolment: %v", err)
		}
		return second.code()
	}
	rounds[4] = round{"Not saved: this account was changed meanwhile, by another login or an administrator. Log in with what was set there. entry passphrase: ", good}
	rounds = append(rounds, round{askCode, func(string) string { w.clock.Advance(time.Minute); return first.code() }})
	id, err := w.login(attempt("alice"), rounds...)
	if err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("%q %v", id.Method(), err)
	}
	w.wantLog(from, "passphrase.changed", "authenticator.enrolled", "recovery.created", "login.succeeded temporary+enrolment",
		"login.failed account-changed", "login.succeeded passphrase+otp")
}

// TestEnrolmentLosesAtTheCommit lets another change through between the look at
// the generation and the commit: only the transaction can tell.
func TestEnrolmentLosesAtTheCommit(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	from := w.log.Mark()
	var once sync.Once
	w.log.Before(func(e audit.Event) {
		if e.Type == audit.PassphraseChanged {
			once.Do(func() {
				if _, err := w.a.AddKey(t.Context(), "alice", edKey(t).line); err != nil {
					t.Error(err)
				}
			})
		}
	})
	u := &user{w: w}
	rounds := u.firstLogin(temp)
	rounds[4] = round{"Not saved: …", ""}
	_, err = w.login(attempt("alice"), rounds...)
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "key.added", "passphrase.changed", "authenticator.enrolled", "recovery.created",
		"passphrase.changed not-applied", "authenticator.enrolled not-applied", "recovery.created not-applied",
		"login.failed account-changed", "login.abandoned empty-answer")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || len(info.Authenticators) != 0 || info.TemporaryExpires.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
}

func TestLeavingAtTheRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{w: w}
	rounds := u.firstLogin(temp)
	rounds[4].answer = io.EOF
	_, err = w.login(attempt("alice"), rounds...)
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("enrolled nevertheless: %v", err)
	}
}

func TestRecoveryCode(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	old, oldCodes := *u, slices.Clone(u.recovery)
	from := w.log.Mark()
	c := identity.NewConnState()
	rounds := append([]round{
		{askPass, "some other phrase entirely"}, {askCode, oldCodes[3]}, // a mistype doesn't cost the code
		{noPass, good}, {askCode, strings.ToUpper(strings.ReplaceAll(oldCodes[3], "-", ""))},
	}, u.enrol()...)
	id, err := w.loginOn(c, attempt("alice"), rounds...)
	if err != nil || id.Method() != "passphrase+recovery" {
		t.Fatalf("%q %v", id.Method(), err)
	}
	select {
	case <-c.EnrolmentOpened():
	default:
		t.Error("the grace was not extended")
	}
	w.wantLog(from, "login.failed wrong-passphrase", "recovery.used", "authenticator.enrolled", "recovery.created",
		"login.succeeded passphrase+recovery")
	w.clock.Advance(time.Minute)
	// The lost device and the old list are worth nothing any more.
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, old.code()}, round{noPass, good}, round{askCode, oldCodes[4]}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("the new device: %v", err)
	}
}

// TestRecoveryCodeIsUsedOnce: it is spent by the login that it lets in, also where
// nothing is enrolled then; that is said, and why.
func TestRecoveryCodeIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	code := u.recovery[0]
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, code},
		round{"\nYour recovery code was right, and is used up now (9 left). As your\nauthenticator may be gone, enrol a new one: its first code ends the old one.\n…", ""})
	wantErr(t, err, identity.ErrAbandoned)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, code}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.RecoveryLeft != 9 {
		t.Errorf("%d left, %v", info.RecoveryLeft, err)
	}
}

func TestRemovedDuringTheDialogue(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, func(string) string {
		if err := w.a.Remove(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
		return u.code()
	}}, round{"…" + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

func TestRevocationDuringTheDialogue(t *testing.T) {
	disable := func(w *world) {
		if err := w.a.Disable(w.t.Context(), "alice"); err != nil {
			w.t.Error(err)
		}
	}
	remove := func(w *world) {
		if err := w.a.Remove(w.t.Context(), "alice"); err != nil {
			w.t.Error(err)
		}
	}
	for _, tc := range []struct {
		name string
		at   audit.Type
		do   func(*world)
		log  []string
	}{
		{"disabled while the code is typed", "", disable, []string{"user.disabled", "login.failed revoked"}},
		{
			"disabled while login.succeeded is written", audit.LoginSucceeded, disable,
			[]string{"user.disabled", "login.succeeded passphrase+otp", "login.failed revoked"},
		},
		{
			"removed while login.succeeded is written", audit.LoginSucceeded, remove,
			[]string{"user.removed", "login.succeeded passphrase+otp", "login.failed revoked"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			from := w.log.Mark()
			var once sync.Once
			w.log.Before(func(e audit.Event) {
				if e.Type == tc.at {
					once.Do(func() { tc.do(w) })
				}
			})
			_, err := w.login(attempt("alice"), round{askPass, good},
				round{askCode, func(string) string {
					if tc.at == "" {
						tc.do(w)
					}
					return u.code()
				}},
				round{"This account was changed during the login. entry passphrase: ", ""})
			wantErr(t, err, identity.ErrAbandoned)
			w.wantLog(from, append(tc.log, "login.abandoned empty-answer")...)
		})
	}
}

func TestNobodyGetsInWhenSomethingFails(t *testing.T) {
	said := round{"entry can't check logins at the moment, which is not your fault: try again later. Press Enter to leave entry: ", ""}
	t.Run("log", func(t *testing.T) {
		w := newWorld(t)
		u := w.enrolled("alice")
		w.log.Break(errDisk)
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, said)
		wantErr(t, err, identity.ErrUnavailable)
		_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()}, said)
		wantErr(t, err, identity.ErrUnavailable)
		if err := w.a.Disable(t.Context(), "alice"); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("disable: %v", err)
		}
		if info, err := w.a.User(t.Context(), "alice"); err != nil || info.Disabled {
			t.Errorf("changed without a trace: %+v %v", info, err)
		}
	})
	t.Run("store", func(t *testing.T) {
		w := newWorld(t)
		w.enrolled("alice")
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		from := w.log.Mark()
		for _, name := range []string{"alice", "nobody"} {
			_, err := w.login(attempt(name), said)
			wantErr(t, err, identity.ErrUnavailable)
		}
		w.wantLog(from, "login.failed unavailable", "login.failed unavailable")
		if _, err := w.a.AddUser(t.Context(), "bob"); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("add: %v", err)
		}
	})
	t.Run("hashing queue", func(t *testing.T) {
		w := newWorld(t)
		u := w.enrolled("alice")
		release := w.a.BlockHashes()
		for range 12 { // nothing is counted: it is nobody's guess
			_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()},
				round{"entry is busy checking other logins: try again in a minute. Press Enter to leave entry: ", ""})
			wantErr(t, err, identity.ErrUnavailable)
			w.clock.Advance(30 * time.Second)
		}
		release()
	})
	t.Run("secret changed", func(t *testing.T) {
		w := newWorld(t)
		u := w.enrolled("alice")
		w.secret = []byte("another secret, not the same one")
		w.a = w.authenticator(w.store)
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, said)
		wantErr(t, err, identity.ErrUnavailable)
	})
}

// TestNoSecretIsLogged logs in, enrols, fails and resets, and looks for every
// secret in every event and error.
func TestNoSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{w: w}
	var seedText string
	rounds := u.firstLogin(temp)
	enrol := rounds[3].answer.(func(string) string)
	rounds[3].answer = func(p string) string {
		seedText = strings.ReplaceAll(secretLine.FindStringSubmatch(p)[1], "\n  ", " ")
		return enrol(p)
	}
	if _, err := w.login(attempt("alice"), rounds...); err != nil {
		t.Fatal(err)
	}
	_, err1 := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
	_, err2 := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.recovery[0]}, round{"\n…", ""})
	temp2, err := w.a.Reset(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%+v %v %v", w.log.All(), err1, err2)
	users, err := w.a.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all += fmt.Sprintf("%+v", users)
	for _, s := range []string{temp, temp2, good, seedText, strings.ReplaceAll(seedText, " ", ""), string(u.seed), u.code(), u.wrongCode(), u.recovery[0], u.recovery[1], string(w.secret), "argon2id"} {
		if strings.Contains(all, s) {
			t.Errorf("%q stands in an event, an error or a listing", s)
		}
	}
}

// TestNoCodeAtTheQRCode: what is no code at all uses up none of the five tries, but
// there is an end to it.
func TestNoCodeAtTheQRCode(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	rounds := []round{{askPass, temp}, {askOwn, good}, {"Repeat new entry passphrase: ", good}}
	const again = "That is no code: type the six digits that the app shows. entry one-time code: "
	for i, typed := range []string{"\x1b[A", "?", "12345", "1234567", "\x1bOB", "\x00", "help", "-", "\u202e", "\x1b[D\x1b[D"} {
		r := round{again, typed}
		if i == 0 {
			r.prompt = "…entry one-time code: "
		}
		rounds = append(rounds, r)
	}
	var seed []byte
	first := rounds[3].answer
	rounds[3].answer = func(p string) string { seed = readSeed(t, p); return first.(string) }
	_, err = w.login(attempt("alice"), append(rounds, round{again, func(string) string { return identity.CodeAt(seed, w.clock.Now()) }},
		round{"…Press Enter when you have kept them, to go on with entry: ", ""})...)
	if err != nil {
		t.Fatal(err)
	}

	if temp, err = w.a.AddUser(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	rounds = []round{{askPass, temp}, {askOwn, good}, {"Repeat new entry passphrase: ", good}, {"…entry one-time code: ", "?"}}
	for range 24 {
		rounds = append(rounds, round{again, "?"})
	}
	_, err = w.login(attempt("bob"), append(rounds, round{"…That was tried too often. Nothing was saved: connect again and start over. Press Enter to leave entry: ", ""})...)
	wantErr(t, err, identity.ErrExhausted)
}

// TestUnknownLetterAtTheQRCode: whoever types a letter that stands for no view reads
// which do, not that a code was wrong.
func TestUnknownLetterAtTheQRCode(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	var seed []byte
	_, err = w.login(attempt("alice"), round{askPass, temp}, round{askOwn, good}, round{"Repeat new entry passphrase: ", good},
		round{"…entry one-time code: ", func(p string) string { seed = readSeed(t, p); return "Q" }},
		round{"There is no such choice: d dark, l light, b big, t text, u link. entry one-time code: ", "t"},
		round{"…entry one-time code: ", func(string) string { return identity.CodeAt(seed, w.clock.Now()) }},
		round{"…Press Enter when you have kept them, to go on with entry: ", ""})
	if err != nil {
		t.Error(err)
	}
}
