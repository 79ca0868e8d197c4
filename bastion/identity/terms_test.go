package identity_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/configs"
)

const askTerms = "\nBe kind.\n\nDo you accept these terms of entry? Type yes, or no: "

// TestTermsAreAcceptedOncePerVersion: inside the first login before anything is
// chosen, at the next login for who was here before, again for another text; an event
// says so, and there is no login without, not by a remembered key either.
func TestTermsAreAcceptedOncePerVersion(t *testing.T) {
	text := ""
	w := newWorldWith(t, func(o *identity.Options) { o.Terms = text })
	u := w.enrolled("alice")
	at, _ := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if !w.remembers(at) {
		t.Fatal("not remembered")
	}
	temp, err := w.a.AddUser(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}

	text = "Be kind.\r\n"
	w.a = w.authenticator(w.store)
	from := w.log.Mark()
	if w.remembers(at) {
		t.Error("a remembered key gets in without accepting")
	}
	const left = "Without accepting the terms there is no login, and nothing was changed. Questions: ask your lab's administrator. Press Enter to leave entry: "
	for _, r := range [][]round{
		{{askTerms, "no"}, {left, ""}},
		{{askTerms, "what?"}, {"Do you accept the terms above? Type yes, or no: ", "y"}, {"Do you accept the terms above? Type yes, or no: ", good}, {left, ""}},
	} {
		_, err := w.login(attempt("bob"), append([]round{{askPass, temp}}, r...)...)
		wantErr(t, err, identity.ErrExhausted)
	}
	_, err = w.login(attempt("bob"), round{askPass, temp}, round{askTerms, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "login.failed terms-not-accepted", "login.failed terms-not-accepted", "login.abandoned empty-answer")
	if info, err := w.a.User(t.Context(), "bob"); err != nil || info.TemporaryExpires.IsZero() || !info.TermsAccepted.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
	bob := &user{w: w, name: "bob"}
	first := bob.firstLogin(temp)
	if _, err := w.login(attempt("bob"), append([]round{first[0], {askTerms, " Yes "}}, first[1:]...)...); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	from = w.log.Mark()
	if _, err := w.login(at, round{askCode, u.code()}, round{askTerms, "yes"}); err != nil {
		t.Fatal(err)
	}
	w.wantLog(from, "terms.accepted", "key.remembered", "login.succeeded publickey+otp")
	if e := w.log.All()[from]; e.User != "alice" || !strings.HasPrefix(e.Detail, "version ") || len(e.Detail) != 20 {
		t.Errorf("%+v", e)
	}
	w.clock.Advance(time.Minute)
	for _, one := range []*user{u, bob} { // once is enough
		if _, err := w.login(attempt(one.name), round{askPass, good}, round{askCode, one.code()}); err != nil {
			t.Error(err)
		}
	}
	w.clock.Advance(time.Minute)
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.TermsAccepted.IsZero() {
		t.Errorf("%+v %v", info, err)
	}

	// A long line is broken at words, and what a recovery code cost is said.
	text = strings.Repeat("word ", 16) + "the end."
	w.a = w.authenticator(w.store)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.recovery[0]},
		round{"\n" + strings.Repeat("word ", 14) + "word\nword the end.\n\nDo you accept these terms of entry? Type yes, or no: ", "no"},
		round{strings.Replace(left, "nothing was changed", "nothing was changed but that the recovery code is used up", 1), ""})
	wantErr(t, err, identity.ErrExhausted)
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.RecoveryLeft != 9 {
		t.Errorf("%+v %v", info, err)
	}
	w.clock.Advance(time.Minute)

	text = strings.Repeat("A line.\n", 45) + "The end."
	w.a = w.authenticator(w.store)
	page := "\n" + strings.Repeat("A line.\n", 20) + "\nPress Enter for page "
	_, err = w.login(attempt("bob"), round{askPass, good}, round{askCode, bob.code()}, round{page + "2 of 3 of the terms of entry: ", ""}, round{page + "3 of 3 of the terms of entry: ", good},
		round{"\n" + strings.Repeat("A line.\n", 5) + "The end.\n\nDo you accept these terms of entry? Type yes, or no: ", "yes"})
	if err != nil {
		t.Error(err)
	}
}

func TestTermsThatCannotBeShown(t *testing.T) {
	for _, text := range []string{"", " \n", "a\x1b[2Jb", "a\tb", "\xff", strings.Repeat("x", 17<<10), "\u202eab"} {
		if identity.CheckTerms(text) == nil {
			t.Errorf("%q can be shown", text[:min(20, len(text))])
		}
	}
	if err := identity.CheckTerms("Vær snill.\r\n\r\nDet er alt.\n"); err != nil {
		t.Error(err)
	}
}

// TestCodesBySMSEnd: for as long as the site says a login warns; after that it enrols
// an app, with the same answers as before.
func TestCodesBySMSEnd(t *testing.T) {
	w, g := texting(t, func(o *identity.Options) {
		c := *o.Config
		c.SMS = &configs.SMS{Until: 14 * 24 * time.Hour}
		o.Config = &c
	})
	info, err := w.a.User(t.Context(), "alice")
	if err != nil || info.SMSUntil.IsZero() {
		t.Fatalf("%+v %v", info, err)
	}
	at, _ := (&user{w: w, name: "alice"}).withKey()
	id, err := w.login(at, round{askCode, g.code(t)})
	if err != nil || id.Method() != "publickey+sms" {
		t.Fatal(id.Method(), err)
	}
	want := "Codes go to you by SMS until " + info.SMSUntil.UTC().Format("2006-01-02 15:04 UTC") + "; then an authenticator app gives them. Enrol it before that with ssh entry enroll."
	if got := id.Warnings(); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
	w.clock.Advance(info.SMSUntil.Sub(w.clock.Now()) - time.Hour)
	if id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil || id.Method() != "passphrase+sms" {
		t.Fatal(id.Method(), err)
	}
	if _, err := w.login(at, round{askCode, g.code(t)}); err != nil || !w.remembers(at) {
		t.Error("not remembered", err)
	}
	w.clock.Advance(2 * time.Hour)
	if w.remembers(at) {
		t.Error("a remembered key goes on after the end of codes by SMS")
	}
	u := &user{w: w, name: "alice"}
	moved := u.enrol()
	ask := moved[0].answer.(func(string) string)
	moved[0].answer = func(p string) string {
		if !strings.HasPrefix(p, "\nCodes went to you by SMS until ") || !strings.Contains(p, "\nFrom now on an authenticator app gives them.\nAdd entry to an authenticator app.\n") {
			t.Errorf("prompt %q", p)
		}
		return ask(p)
	}
	if _, err := w.login(attempt("alice"), append([]round{{askPass, good}, {askCode, g.code(t)}}, moved...)...); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil || id.Method() != "passphrase+otp" || len(id.Warnings()) != 0 {
		t.Error(id.Method(), id.Warnings(), err)
	}
}

// TestChangePhone: a code of now and one that came to the new number; the old one is
// told, and the next code goes to the new one.
func TestChangePhone(t *testing.T) {
	w, g := texting(t, nil)
	const next = "+4790000012"
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	fresh := func() identity.Proof {
		t.Helper()
		w.clock.Advance(61 * time.Minute) // five codes an hour
		p, err := w.prove(id, round{askCode, g.code(t)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	change := func(number string, rounds ...round) error {
		t.Helper()
		return w.a.ChangePhone(t.Context(), fresh(), number, w.ask(rounds...))
	}
	ask := "Code that was sent to " + next + ": "
	wantRefusal(t, change("0701"), "must have the form")
	wantRefusal(t, w.a.CheckPhone("0701"), "must have the form")
	if err := w.a.CheckPhone("+46 70-123 45 67"); err != nil {
		t.Error(err)
	}
	wantRefusal(t, change(phone), "your number already")
	wantRefusal(t, change(next, round{ask, "000000"}, round{"Not accepted. " + ask, "1"}, round{"Not accepted. " + ask, good}), "was not changed")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.Phone != phone {
		t.Errorf("%+v %v", info, err)
	}
	<-g.out // what came to the new number
	w.clock.Advance(time.Minute)
	late := round{ask, func(p string) string { c := g.code(t)(p); w.clock.Advance(2 * time.Minute); return c }}
	wantRefusal(t, change(next, late, round{"Not accepted. " + ask, "1"}, round{"Not accepted. " + ask, "1"}), "was not changed")
	from := w.log.Mark()
	w.notices = nil
	if err := change("+47 900 00-012", round{ask, g.code(t)}); err != nil {
		t.Fatal(err)
	}
	w.wantLog(from, "sms.sent", "sms.sent", "user.changed")
	w.wantNotices("phone-changed new number ending in 12, by its owner")
	told := <-g.out
	if g.to[len(g.to)-1] != phone || !strings.Contains(told, "was changed to one ending in 12") || strings.Contains(told, next) {
		t.Errorf("told %q to %q", told, g.to)
	}
	if err := w.a.Check(context.Background(), id); err != nil {
		t.Errorf("the connection that changed it: %v", err)
	}
	w.clock.Advance(2 * time.Hour)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil || g.to[len(g.to)-1] != next {
		t.Errorf("the next code went to %q: %v", g.to, err)
	}
}

// TestChangePhoneTakesAway: keys that a code to the old number made remembered need a
// code again, and codes to new numbers are few, from however many networks.
func TestChangePhoneTakesAway(t *testing.T) {
	w, g := texting(t, nil)
	at, _ := (&user{w: w, name: "alice"}).withKey()
	w.clock.Advance(time.Hour)
	id, err := w.login(at, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !w.remembers(at) {
		t.Fatal("the key isn't remembered")
	}
	change := func(network int, number string, rounds ...round) error {
		t.Helper()
		w.clock.Advance(2 * time.Minute)
		from := attempt("alice")
		from.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(network), 7}), 4022)
		p, err := w.a.Fresh(t.Context(), id, from, w.ask(round{askCode, g.code(t)}))
		if err != nil {
			t.Fatal(err)
		}
		return w.a.ChangePhone(t.Context(), p, number, w.ask(rounds...))
	}
	const next = "+4790000012"
	if err := change(1, next, round{"Code that was sent to " + next + ": ", g.code(t)}); err != nil {
		t.Fatal(err)
	}
	<-g.out // what the old number is told
	if w.remembers(at) {
		t.Error("a key is remembered by a code to the number before")
	}
	for n := range 6 {
		number := fmt.Sprintf("+479000010%d", n)
		rounds := []round{{"Code that was sent to " + number + ": ", "1"}, {"Not accepted…", "1"}, {"Not accepted…", "1"}}
		if n < 4 {
			wantRefusal(t, change(2+n, number, rounds...), "was not changed")
			<-g.out
			continue
		}
		wantRefusal(t, change(2+n, number), "5 codes were sent for you within an hour")
	}
}
