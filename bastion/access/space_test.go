package access

import (
	"testing"

	"entry/audit"
	"entry/audit/refusal"
)

// TestUnfit: what the log can't take, or what nobody would vouch for, isn't begun, but
// by rescuers as long as there is anything left.
func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		space       audit.Space
		unwitnessed bool
		user        string
		want        refusal.Code
	}{
		{audit.Ample, false, "alice", ""},
		{audit.Ample, true, "alice", "log-unwitnessed"},
		{audit.Ample, true, "carol", ""},
		{audit.Reserved, false, "alice", "log-full"},
		{audit.Reserved, true, "carol", ""},
		{audit.Spent, true, "carol", "log-full"},
	} {
		g := &Gate{o: Options{Rescue: []string{"carol"}, Space: func() audit.Space { return c.space }, Unwitnessed: func() bool { return c.unwitnessed }}}
		if code, text := g.unfit(c.user); code != c.want || (code == "") != (text == "") {
			t.Errorf("%v, unwitnessed %v, %s: %q %q, want %q", c.space, c.unwitnessed, c.user, code, text, c.want)
		}
	}
}
