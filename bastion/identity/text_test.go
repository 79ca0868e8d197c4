package identity_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
)

// TestPassphraseFromTwoKeyboards: a passphrase that was set composed is right
// decomposed, and the reverse; so it is where it is changed and where it is repeated.
func TestPassphraseFromTwoKeyboards(t *testing.T) {
	const composed = "blåbær på brød åtte"
	decomposed := norm.NFD.String(composed)
	for _, set := range []string{composed, decomposed} {
		w := newWorld(t)
		temp, err := w.a.AddUser(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		u := &user{w: w, name: "alice"}
		if _, err := w.login(attempt("alice"), append([]round{
			{"entry passphrase: ", temp}, {askOwn, set}, {"Repeat new entry passphrase: ", composed},
		}, u.enrol()...)...); err != nil {
			t.Fatal(err)
		}
		for _, typed := range []string{composed, decomposed, strings.ReplaceAll(composed, " ", "\u00a0")} {
			w.clock.Advance(time.Minute)
			if _, err := w.login(attempt("alice"), round{askPass, typed}, round{askCode, u.code()}); err != nil {
				t.Errorf("set as %q, typed as %q: %v", set, typed, err)
			}
			w.clock.Advance(time.Minute)
			if _, err := w.login(attempt("alice"), round{askPass, typed + u.code()}); err != nil {
				t.Errorf("in one field: set as %q, typed as %q: %v", set, typed, err)
			}
		}
		w.clock.Advance(time.Minute)
		id, err := w.login(attempt("alice"), round{askPass, composed}, round{askCode, u.code()})
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
		s := w.ask(round{"Current entry passphrase: ", decomposed}, round{askChanged, composed},
			round{"Refused: it is the old one. New entry passphrase: ", decomposed}, round{"Refused: it is the old one. New entry passphrase: ", ""})
		if err := w.a.ChangePassphrase(t.Context(), u.fresh(id), s); err == nil {
			t.Error("the same passphrase in other bytes is a new one")
		}
	}
}
