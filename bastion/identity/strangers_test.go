package identity_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

func stranger(name string, i int) identity.Attempt {
	at := attempt(name)
	at.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 4242)
	return at
}

// enters has n dialogues come to nothing by Enter, and returns what is noted of them.
func (w *world) enters(n int, at func(i int) identity.Attempt) []audit.Event {
	from := w.log.Mark()
	for i := range n {
		prompt := askPass
		if at(i).Key != nil {
			prompt = askCode
		}
		_, err := w.login(at(i), round{prompt, ""})
		wantErr(w.t, err, identity.ErrAbandoned)
	}
	return w.log.All()[from:]
}

// TestAFloodOfStrangersIsCounted: what nothing is known of has a thousand events, and
// then is counted; who comes from a network that somebody has logged in from is noted
// meanwhile.
func TestAFloodOfStrangersIsCounted(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.clock.Advance(time.Minute)
	if all := w.enters(1100, func(i int) identity.Attempt { return stranger(fmt.Sprint("nobody", i), i) }); len(all) != 1000 {
		t.Errorf("%d events of 1100 strangers", len(all))
	}
	from := w.log.Mark()
	at := attempt("alice")
	at.Familiar = true
	_, err := w.login(at, round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "login.failed wrong-code", "login.abandoned empty-answer")
	w.clock.Advance(time.Minute)
	from = w.log.Mark()
	_, err = w.login(stranger("nobody", 2000), round{askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	sum := w.log.All()[from]
	if sum.Type != "login.abandoned" || sum.Count != 100 || sum.Source != "" || sum.User != "" || sum.Detail == "" {
		t.Errorf("the sum is %+v", sum)
	}
	w.wantLog(from, "login.abandoned empty-answer", "login.abandoned empty-answer")
}

// TestNoNameIsToldByBeingNoted: what is noted takes longer than what is counted, so a
// name that has logged in from a network is counted there as every other one is,
// whether or not the network is known to somebody.
func TestNoNameIsToldByBeingNoted(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice") // and has logged in from attempt's network
	w.clock.Advance(time.Minute)
	w.enters(1100, func(i int) identity.Attempt { return stranger(fmt.Sprint("nobody", i), i) })
	for _, familiar := range []bool{false, true} {
		noted := map[string]int{}
		for _, name := range []string{"alice", "bob", "alice", "bob"} {
			noted[name] += len(w.enters(1, func(int) identity.Attempt {
				at := attempt(name)
				at.Familiar = familiar
				return at
			}))
		}
		if noted["alice"] != noted["bob"] || familiar != (noted["bob"] == 2) {
			t.Errorf("in a network that is known to somebody=%t there are %v events", familiar, noted)
		}
	}
}

// TestAKnownNetworkHasAPace: who is in one fills no log either, and takes nothing from
// the others.
func TestAKnownNetworkHasAPace(t *testing.T) {
	w := newWorld(t)
	familiar := func(i int) func(int) identity.Attempt {
		return func(n int) identity.Attempt {
			at := stranger(fmt.Sprint("nobody", n%7), i)
			at.Familiar = true
			return at
		}
	}
	if all := w.enters(250, familiar(1)); len(all) != 200 {
		t.Errorf("%d events of 250 dialogues of one network", len(all))
	}
	if all := w.enters(10, familiar(2)); len(all) != 10 {
		t.Errorf("%d events of 10 dialogues of another network", len(all))
	}
	w.clock.Advance(time.Minute)
	all := w.enters(1, familiar(2))
	if len(all) != 2 || all[0].Count != 50 || !strings.Contains(all[0].Detail, "203.0.0.1/32") {
		t.Errorf("a minute later: %+v", all)
	}
}

// TestAThiefOfAKeyHasAPace: who signs with a key and leaves at the code's prompt, from
// however many addresses, is summed under the account's name; a wrong code behind it
// is noted all the same.
func TestAThiefOfAKeyHasAPace(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	proven, _ := u.withKey()
	thief := func(i int) identity.Attempt {
		at := stranger("alice", i)
		at.Key = proven.Key
		return at
	}
	w.clock.Advance(time.Minute)
	if all := w.enters(300, thief); len(all) != 200 {
		t.Errorf("%d events of 300 dialogues behind a key", len(all))
	}
	from := w.log.Mark()
	_, err := w.login(thief(301), round{askCode, u.wrongCode()}, round{"Not accepted. " + askCode, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "login.failed wrong-code")
	w.clock.Advance(time.Minute)
	all := w.enters(1, thief)
	if len(all) != 2 || all[0].Count != 101 || all[0].User != "alice" || all[0].Detail == "" {
		t.Errorf("a minute later: %+v", all)
	}
}

// TestLocksOfStrangersHaveAPace: what follows from failures is as many events as they
// are at most, so the locks that a flood from many addresses leads to are counted with it.
func TestLocksOfStrangersHaveAPace(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(time.Minute)
	w.enters(1000, func(i int) identity.Attempt { return stranger(fmt.Sprint("nobody", i), i) })
	from := w.log.Mark()
	w.fail("nobody", stranger("nobody", 5000).Source, "000000", 9)
	if all := w.log.All()[from:]; len(all) != 0 {
		t.Errorf("beyond the rate: %+v", all)
	}
	w.clock.Advance(time.Minute)
	w.enters(1, func(int) identity.Attempt { return stranger("nobody", 2000) })
	locks := 0
	for _, e := range w.log.All()[from:] {
		if e.Type == audit.LoginLocked {
			locks += e.Count
		}
	}
	if locks == 0 {
		t.Errorf("nothing says that a lock began: %+v", w.log.All()[from:])
	}
}
