package identity_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

const (
	askPass = "entry passphrase: "
	newPass = "12 characters or more, best several unrelated words.\nNew entry passphrase: "
	// askOwn follows a right temporary passphrase, askRenewed one that has to be changed,
	// askChanged a right one in a command.
	askOwn     = "Your temporary passphrase was right.\nNow choose one of your own: " + newPass
	askRenewed = "Your passphrase was right, but has to be changed.\nChoose a new one: " + newPass
	askChanged = newPass
	askCode    = "entry one-time code: "
	codeBehind = "That temporary passphrase has no typing error.\nWithout an authenticator it is no longer valid: ask your lab's administrator\nfor a new one.\nEnter goes back to the passphrase. " + askCode
	backPass   = "No code was typed. Without an authenticator only a temporary passphrase works here; if yours does not, ask your lab's administrator. entry passphrase: "
	backBySMS  = "No code was typed. If yours come by SMS and none did, the passphrase was mistyped, or none can be sent now: try again later. Without an authenticator only a temporary passphrase works here; if yours does not, ask your lab's administrator. entry passphrase: "
	noPass     = "Not accepted. entry passphrase: "
	lastTry    = "That was the last try on this connection: connect again, which may be at once, or ask your lab's administrator. An app's codes change every 30 seconds: see that your phone sets its clock by itself. Press Enter to leave entry: "
	ended      = "Not accepted. " + lastTry
)

func TestFirstLogin(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	from := w.log.Mark()
	u := &user{w: w, name: "alice"}
	c := identity.NewConnState()
	rounds := u.firstLogin(temp)
	rounds[1].answer = func(string) string {
		select {
		case <-c.EnrolmentOpened():
		default:
			t.Error("the grace was not extended before the new passphrase was asked")
		}
		return good
	}
	id, err := w.loginOn(c, attempt("alice"), rounds...)
	if err != nil {
		t.Fatal(err)
	}
	if id.User() != "alice" || id.Method() != "temporary+enrolment" || !id.At().Equal(w.clock.Now()) || !id.Valid() {
		t.Errorf("identity %+v", id)
	}
	if len(u.recovery) != 10 {
		t.Errorf("%d recovery codes shown", len(u.recovery))
	}
	w.wantLog(from, "passphrase.changed", "authenticator.enrolled", "recovery.created", "login.succeeded temporary+enrolment")
	if err := w.a.Check(t.Context(), id); err != nil {
		t.Errorf("check: %v", err)
	}

	// The first code is spent; from now on passphrase and code are enough.
	w.clock.Advance(time.Minute)
	id, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("second login: %v %q", err, id.Method())
	}
	// The temporary passphrase is gone.
	w.clock.Advance(time.Minute)
	_, err = w.login(attempt("alice"), round{askPass, temp}, round{codeBehind, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

func TestDialogue(t *testing.T) {
	type in struct {
		*world
		u *user
	}
	wrong := "some other phrase entirely"
	for _, tc := range []struct {
		name   string
		at     string
		rounds func(in) []round
		method string
		err    error
		log    []string
	}{
		{
			name: "passphrase and code",
			rounds: func(i in) []round {
				return []round{{askPass, good}, {askCode, i.u.code()}}
			},
			method: "passphrase+otp", log: []string{"login.succeeded passphrase+otp"},
		},
		{
			name: "code with spaces as the app shows it",
			rounds: func(i in) []round {
				c := i.u.code()
				return []round{{askPass, good}, {askCode, " " + c[:3] + " " + c[3:] + " "}}
			},
			method: "passphrase+otp", log: []string{"login.succeeded passphrase+otp"},
		},
		{
			name: "one field",
			rounds: func(i in) []round {
				return []round{{askPass, good + i.u.code()}}
			},
			method: "passphrase+otp", log: []string{"login.succeeded passphrase+otp"},
		},
		{
			name: "one field with a wrong passphrase",
			rounds: func(i in) []round {
				return []round{{askPass, wrong + i.u.code()}, {noPass, good + i.u.codeAfter(30*time.Second)}}
			},
			method: "passphrase+otp",
			log:    []string{"login.failed wrong-passphrase", "login.succeeded passphrase+otp"},
		},
		{
			name: "six digits that are no code belong to the passphrase",
			rounds: func(i in) []round {
				return []round{{askPass, good + i.u.wrongCode()}, {askCode, i.u.code()}, {noPass, ""}}
			},
			err: identity.ErrAbandoned, log: []string{"login.failed wrong-passphrase", "login.abandoned empty-answer"},
		},
		{
			name: "three failures close the connection",
			rounds: func(i in) []round {
				c := i.u.wrongCode()
				return []round{{askPass, good}, {askCode, c}, {noPass, good}, {askCode, c}, {noPass, good}, {askCode, c}, {ended, ""}}
			},
			err: identity.ErrExhausted,
			log: []string{"login.failed wrong-code", "login.failed wrong-code", "login.failed wrong-code"},
		},
		{
			name: "unknown name, same prompts and text",
			at:   "mallory",
			rounds: func(i in) []round {
				c := i.u.code()
				return []round{{askPass, good}, {askCode, c}, {noPass, good + c}, {askCode, c}, {noPass, good}, {askCode, i.u.recovery[0]}, {ended, ""}}
			},
			err: identity.ErrExhausted,
			log: []string{"login.failed unknown-user", "login.failed unknown-user", "login.failed unknown-user"},
		},
		{
			name: "a name that no account can have",
			at:   "Alice; correct horse",
			rounds: func(i in) []round {
				return []round{{askPass, good}, {askCode, i.u.code()}, {"Not accepted. " + noSuchName + " " + askPass, ""}}
			},
			err: identity.ErrAbandoned, log: []string{"login.failed unknown-user", "login.abandoned empty-answer"},
		},
		{
			name:   "empty passphrase",
			rounds: func(in) []round { return []round{{askPass, ""}} },
			err:    identity.ErrAbandoned, log: []string{"login.abandoned empty-answer"},
		},
		{
			name:   "empty code",
			rounds: func(in) []round { return []round{{askPass, good}, {askCode, ""}, {backPass, ""}} },
			err:    identity.ErrAbandoned, log: []string{"login.abandoned empty-answer", "login.abandoned empty-answer"},
		},
		{
			name:   "client leaves",
			rounds: func(in) []round { return []round{{askPass, good}, {askCode, io.EOF}} },
			err:    identity.ErrAbandoned, log: []string{"login.abandoned no-answer"},
		},
		{
			name: "one step early and late are accepted",
			rounds: func(i in) []round {
				return []round{{askPass, good}, {askCode, i.u.codeAfter(30 * time.Second)}}
			},
			method: "passphrase+otp", log: []string{"login.succeeded passphrase+otp"},
		},
		{
			name: "a clock ten steps ahead is named, not accepted",
			rounds: func(i in) []round {
				return []round{
					{askPass, good}, {askCode, i.u.codeAfter(10 * 30 * time.Second)},
					{noPass, i.settledThen(good)},
					{"The clock of your authenticator is about 5 minutes ahead: set it to automatic, then use a new code. " + askCode, i.u.codeAfter(-4 * 30 * time.Second)},
					{noPass, i.settledThen(good)},
					{"The clock of your authenticator is about 2 minutes behind: set it to automatic, then use a new code. " + askCode, ""},
					{"No code was typed. …", ""},
				}
			},
			err: identity.ErrExhausted,
			log: []string{"login.failed clock-drift", "login.failed clock-drift", "login.abandoned empty-answer"},
		},
		{
			name: "a wrong clock is not named to whoever lacks the passphrase",
			rounds: func(i in) []round {
				return []round{{askPass, wrong}, {askCode, i.u.codeAfter(5 * time.Minute)}, {noPass, i.settledThen(good)}, {askCode, ""}, {backPass, ""}}
			},
			err: identity.ErrAbandoned, log: []string{"login.failed clock-drift", "login.abandoned empty-answer", "login.abandoned empty-answer"},
		},
		{
			name: "eleven steps are just wrong",
			rounds: func(i in) []round {
				return []round{{askPass, good}, {askCode, i.u.codeAfter(11 * 30 * time.Second)}, {noPass, ""}}
			},
			err: identity.ErrAbandoned, log: []string{"login.failed wrong-code", "login.abandoned empty-answer"},
		},
		{
			name: "a code behind a mistyped passphrase is used up, on its connection too",
			rounds: func(i in) []round {
				c := i.u.code()
				return []round{{askPass, wrong}, {askCode, c}, {noPass, good}, {askCode, c},
					{"Code already used, wait for the next one. " + askPass, good}, {askCode, i.u.codeAfter(30 * time.Second)}}
			},
			method: "passphrase+otp",
			log:    []string{"login.failed wrong-passphrase", "login.failed code-used", "login.succeeded passphrase+otp"},
		},
		{
			name: "an endless passphrase",
			rounds: func(i in) []round {
				return []round{{askPass, strings.Repeat("a", 1<<20)}, {askCode, i.u.code()}, {noPass, good}, {askCode, strings.Repeat("1", 1<<20)}, {noPass, ""}}
			},
			err: identity.ErrAbandoned,
			log: []string{"login.failed wrong-passphrase", "login.failed wrong-code", "login.abandoned empty-answer"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			i := in{world: w, u: w.enrolled("alice")}
			from := w.log.Mark()
			name := tc.at
			if name == "" {
				name = "alice"
			}
			id, err := w.login(attempt(name), tc.rounds(i)...)
			if !errors.Is(err, tc.err) || id.Method() != tc.method {
				t.Errorf("got %q, %v; want %q, %v", id.Method(), err, tc.method, tc.err)
			}
			w.wantLog(from, tc.log...)
		})
	}
}

func TestUsedCode(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	c := u.code()
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, c}); err != nil {
		t.Fatal(err)
	}
	used := "Code already used, wait for the next one. "
	from := w.log.Mark()
	_, err := w.login(attempt("alice"),
		// Told only to whoever has the passphrase; white space doesn't renew it,
		// nor does an older code that is still in the window.
		round{askPass, "some other phrase entirely"}, round{askCode, c},
		round{noPass, good}, round{askCode, c + " "},
		round{used + askPass, good}, round{askCode, u.codeAfter(-30 * time.Second)},
		round{used + lastTry, ""})
	wantErr(t, err, identity.ErrExhausted)
	w.wantLog(from, "login.failed wrong-passphrase", "login.failed code-used", "login.failed code-used")

	w.clock.Advance(30 * time.Second)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("the next code: %v", err)
	}
	// A success ends the code's second life on the same connection too.
	w.clock.Advance(time.Minute)
	conn := identity.NewConnState()
	c = u.code()
	if _, err := w.loginOn(conn, attempt("alice"), round{askPass, good}, round{askCode, c}); err != nil {
		t.Fatal(err)
	}
	_, err = w.loginOn(conn, attempt("alice"), round{askPass, good}, round{askCode, c}, round{used + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

func TestClockGoesBack(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	for _, back := range []time.Duration{-30 * time.Second, -time.Hour} {
		w.clock.Advance(back)
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()},
			round{"Code already used, wait for the next one. " + askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
}

func TestExpiredTemporaryPassphrase(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	until := w.clock.Now().Add(240 * time.Hour)
	w.clock.Advance(240 * time.Hour)
	from := w.log.Mark()
	_, err = w.login(attempt("alice"),
		round{askPass, "abcd-efgh-jkmn-pqrs"}, round{askCode, "123456"},
		round{noPass, temp}, round{codeBehind, "123456"},
		round{"This temporary passphrase expired on " + until.Format("2006-01-02 15:04 UTC") + ": ask your lab's administrator for a new one. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "login.failed wrong-passphrase", "login.failed temporary-passphrase-expired", "login.abandoned empty-answer")
}

func TestTemporaryIsTypedAsPeopleDo(t *testing.T) {
	for name, typed := range map[string]func(string) string{
		"upper case":    strings.ToUpper,
		"no dashes":     func(s string) string { return strings.ReplaceAll(s, "-", "") },
		"spaces":        func(s string) string { return " " + strings.ReplaceAll(s, "-", "  ") },
		"look-alikes":   func(s string) string { return strings.NewReplacer("0", "O", "1", "l").Replace(s) },
		"one per group": func(s string) string { return strings.Join(strings.Split(s, ""), " ") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			temp, err := w.a.AddUser(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.login(attempt("alice"), round{askPass, typed(temp)}, round{askOwn, ""})
			wantErr(t, err, identity.ErrAbandoned)
		})
	}
}

func TestPassphraseResetKeepsAuthenticator(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	temp, err := w.a.ResetPassphrase(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	from := w.log.Mark()
	// The code is asked here, right temporary passphrase or not; and one field works.
	_, err = w.login(attempt("alice"), round{askPass, temp}, round{codeBehind, u.wrongCode()}, round{noPass, good}, round{askCode, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	next := "seven lanterns above the harbour"
	id, err := w.login(attempt("alice"),
		round{askPass, temp + u.code()}, round{askOwn, next}, round{"Repeat new entry passphrase: ", next})
	if err != nil || id.Method() != "temporary+otp" {
		t.Fatalf("%q %v", id.Method(), err)
	}
	w.wantLog(from, "login.failed wrong-code", "login.failed wrong-passphrase", "login.abandoned empty-answer",
		"passphrase.changed", "login.succeeded temporary+otp")
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, next}, round{askCode, u.code()}); err != nil {
		t.Errorf("with the new passphrase and the old authenticator: %v", err)
	}
}

func TestDisabled(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	w.clock.Advance(time.Minute)
	_, err = w.login(attempt("alice"),
		round{askPass, "wrong wrong wrong"}, round{askCode, u.code()},
		round{noPass, good}, round{askCode, u.codeAfter(30 * time.Second)},
		round{"This account is disabled: ask your lab's administrator. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if err := w.a.Enable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	if err := w.a.Check(t.Context(), identity.Identity{}); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("the zero identity: %v", err)
	}
}

func TestThreeDialoguesOverSeveralCalls(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	c := identity.NewConnState()
	for range 3 {
		_, err := w.loginOn(c, attempt("alice"), round{askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	_, err := w.loginOn(c, attempt("alice"), round{"Nothing was typed. " + lastTry, ""})
	wantErr(t, err, identity.ErrExhausted)
}

const noSuchName = "No user here can be called as you connected: names are in lower case and without a domain, as in your guide. Put yours before the @, or under User in your client."

// A name that nobody can have is told from its form alone; one that somebody could have
// reads the same whether somebody has it.
func TestNamesThatCantBe(t *testing.T) {
	t.Parallel()
	const no = noSuchName
	for _, name := range []string{"Alice", `UNI\alice`, "alice@uni.example", "1alice", ""} {
		w := newWorld(t)
		try := func(first string) []round { return []round{{first, "some passphrase"}, {askCode, "123456"}} }
		rounds := append(try(askPass), append(try("Not accepted. "+no+" "+askPass), try("Not accepted. "+no+" "+askPass)...)...)
		rounds = append(rounds, round{"Not accepted. " + no + " That was the last try on this connection: connect again, which may be at once, or ask your lab's administrator. Press Enter to leave entry: ", ""})
		if _, err := w.login(attempt(name), rounds...); !errors.Is(err, identity.ErrExhausted) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
