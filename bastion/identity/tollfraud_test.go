package identity_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/configs"
)

// TestCodesToNewNumbersOfADay: whoever earns by SMS to a number can have few sent a
// day, by one account or by many, from whatever networks and however slowly.
func TestCodesToNewNumbersOfADay(t *testing.T) {
	w, _ := texting(t, nil)
	sent := func(account string) error { return w.a.TakeNew(t.Context(), account) }
	took := func(account string) (n int) {
		t.Helper()
		for hour := range 5 {
			for n < 5*(hour+1) {
				err := sent(account)
				if errors.Is(err, identity.ErrTooManyTexts) || errors.Is(err, identity.ErrTooManyNew) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if hour == 0 && n != 5 {
				t.Errorf("%d in the first hour", n)
			}
			w.clock.Advance(61 * time.Minute)
		}
		return n
	}
	if n := took("a"); n != 10 {
		t.Errorf("%d codes in a day", n)
	}
	w.clock.Advance(24 * time.Hour)
	if n := took("a"); n != 10 {
		t.Errorf("%d codes on the next day", n)
	}
	w.clock.Advance(24 * time.Hour)
	all := 0
	for account := range 60 {
		for range 2 {
			if err := sent(fmt.Sprint("u", account)); err == nil {
				all++
			} else if !errors.Is(err, identity.ErrTooManyNew) {
				t.Fatal(err)
			}
		}
	}
	if all != 100 {
		t.Errorf("%d codes of a site in a day", all)
	}
	before := len(w.log.All(audit.SMSSent))
	// The bound is of new numbers: one that is an account's gets its codes.
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, "1"}, round{noPass, ""}); !errors.Is(err, identity.ErrAbandoned) {
		t.Error(err)
	}
	w.settled()
	// It is sent beside the dialogue, so that it may be noted before or after that ends.
	if n := len(w.log.All(audit.SMSSent)) - before; n != 1 {
		t.Errorf("%d codes were sent", n)
	}
	if n := len(w.log.All(audit.LoginAbandoned)); n != 1 {
		t.Errorf("%d dialogues ended", n)
	}
}

// TestCountries: SMS go to the countries of the list alone, however a number came
// here: by its owner, an operator, a list of people, or before there was a list.
func TestCountries(t *testing.T) {
	var list []string
	w, g := texting(t, func(o *identity.Options) { o.Config.SMS = &configs.SMS{Countries: list} })
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(61 * time.Minute)
	p, err := w.prove(id, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	list = []string{"+47", "+4512"}
	a := w.authenticator(w.store)
	const only = "SMS go only to numbers that begin with +47, +4512"
	n := g.sent()
	wantRefusal(t, a.ChangePhone(t.Context(), p, "+88213300001", w.ask()), only)
	for _, number := range []string{"+88213300001", "+4511345678", "+14745678901"} {
		wantRefusal(t, a.SetPhone(t.Context(), "alice", number, true), only)
		_, err = a.AddAll(t.Context(), []identity.Person{{Name: "bob", Phone: number}}, false)
		wantRefusal(t, err, "bob: "+only)
	}
	// alice's own is +46…, of before.
	refused := func(string) string {
		if e := w.log.Await(t, audit.SMSFailed, ""); e.Reason != "country" {
			t.Errorf("%+v", e)
		}
		return "1"
	}
	_, err = a.Login(t.Context(), attempt("alice"), identity.NewConnState(), w.ask(round{askPass, good}, round{askCode, refused}, round{"No SMS are sent to your number's country: ask your lab's administrator. " + askPass, ""}))
	wantErr(t, err, identity.ErrAbandoned)
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if g.sent() != n {
		t.Errorf("%d codes were sent", g.sent()-n)
	}
	if err := a.SetPhone(t.Context(), "alice", "+4790000012", true); err != nil {
		t.Error(err)
	}
	if err := a.SetPhone(t.Context(), "alice", "", false); err != nil {
		t.Error(err)
	}
}
