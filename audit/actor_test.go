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
		if got, back := tt.a.Another(tt.b), tt.b.Another(tt.a); got != tt.want || back != tt.want {
			t.Errorf("%+v, %+v: %v, %v", tt.a, tt.b, got, back)
		}
	}
}
