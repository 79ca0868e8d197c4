package audit

import "testing"

// Two people are two logins, which don't share an account; that both became root, each by
// a login of their own, is how operators work.
func TestAnother(t *testing.T) {
	for _, tt := range []struct {
		a, b Actor
		want bool
	}{
		{Actor{UID: 1001, LoginUID: 1001}, Actor{UID: 1002, LoginUID: 1002}, true},
		{Actor{LoginUID: 1001}, Actor{LoginUID: 1002}, true},
		{Actor{LoginUID: 1001}, Actor{UID: 1002, LoginUID: 1002}, true},
		{Actor{LoginUID: 1001}, Actor{UID: 1001, LoginUID: 1001}, false},
		{Actor{LoginUID: 1001}, Actor{LoginUID: 1001}, false},
		{Actor{UID: 990, LoginUID: 1001}, Actor{UID: 990, LoginUID: 1002}, false},
		{Actor{LoginUID: UnsetLoginUID}, Actor{LoginUID: 1002}, false},
		{Actor{LoginUID: 1001}, Actor{UID: 1002, LoginUID: UnsetLoginUID}, false},
	} {
		for _, x := range []*Actor{&tt.a, &tt.b} { // each has an account
			x.Name, x.LoginName = "somebody", "somebody"
		}
		if got, back := tt.a.Another(tt.b), tt.b.Another(tt.a); got != tt.want || back != tt.want {
			t.Errorf("%+v, %+v: %v, %v", tt.a, tt.b, got, back)
		}
	}
}

// A login that no account of the machine has is nobody's: root writes any number there.
func TestLoginsOfNobody(t *testing.T) {
	carol := Actor{LoginUID: 1001, Name: "root", LoginName: "carol"}
	for _, tt := range []struct {
		a    Actor
		want bool
	}{
		{Actor{LoginUID: 1002, Name: "root", LoginName: "dave"}, true},
		{Actor{UID: 1002, LoginUID: 1002, Name: "dave"}, true},
		{Actor{LoginUID: 1002, Name: "root"}, false},
		{Actor{UID: 1002, LoginUID: 1002}, false},
		{Actor{UID: 1002, LoginUID: 1003, Name: "dave"}, false},
	} {
		if got := tt.a.KnownLogin(); got != tt.want {
			t.Errorf("%+v: known: %v", tt.a, got)
		}
		if got := tt.a.Another(carol); got != tt.want {
			t.Errorf("%+v: another: %v", tt.a, got)
		}
	}
}
