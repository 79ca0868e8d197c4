package identity_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestAFloodOfStrangersIsCounted: what nothing is known of has a thousand events, and
// then is counted; who has proven something, or comes from a network that somebody has
// logged in from, is noted meanwhile.
func TestAFloodOfStrangersIsCounted(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.clock.Advance(time.Minute)
	stranger := func(i int) identity.Attempt {
		at := attempt(fmt.Sprint("nobody", i))
		at.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 4242)
		return at
	}
	from := w.log.Mark()
	for i := range 1100 {
		_, err := w.login(stranger(i), round{askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	all := w.log.All()[from:]
	if len(all) != 1000 {
		t.Errorf("%d events of 1100 strangers", len(all))
	}
	from = w.log.Mark()
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(from, "login.failed wrong-code", "login.abandoned empty-answer")
	w.clock.Advance(time.Minute)
	from = w.log.Mark()
	_, err = w.login(stranger(2000), round{askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	sum := w.log.All()[from]
	if sum.Type != "login.abandoned" || sum.Count != 100 || sum.Source != "" || sum.Detail == "" {
		t.Errorf("the sum is %+v", sum)
	}
	w.wantLog(from, "login.abandoned empty-answer", "login.abandoned empty-answer")
}
