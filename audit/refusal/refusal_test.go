package refusal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// told is an error of another package that users may read.
type told struct{ text string }

func (t *told) Error() string { return "internal words" }

func (t *told) As(target any) bool {
	e, ok := target.(**Error)
	if ok {
		*e = &Error{Code: Denied, Text: t.text, Cause: t}
	}
	return ok
}

func TestOf(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7:5432: password authentication failed")
	own := &Error{Code: Budget, Text: "the limit is reached", Ref: "abc234", Cause: secret}
	for _, c := range []struct {
		name       string
		err        error
		code       Code
		text, line string
	}{
		{"own", own, Budget, "the limit is reached", "the limit is reached (ref abc234)"},
		{"wrapped", fmt.Errorf("take: %w", own), Budget, "the limit is reached", "the limit is reached (ref abc234)"},
		{"another type's", fmt.Errorf("decide: %w", &told{"ask grace"}), Denied, "ask grace", "ask grace"},
		{"anything else", secret, Unavailable, "access can't be checked right now", "access can't be checked right now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := Of(c.err)
			if e.Code != c.code || e.Text != c.text || e.Line() != c.line {
				t.Errorf("Of gives %q, %q, %q", e.Code, e.Text, e.Line())
			}
			if strings.Contains(e.Line(), "10.0.0.7") {
				t.Error("the cause reaches the user")
			}
		})
	}
	if !errors.Is(Of(secret), secret) {
		t.Error("the cause is lost to the log")
	}
}

// A site's contact stands wherever texts say whom to ask.
func TestContact(t *testing.T) {
	const text = "home.tinker isn't open to you; ask " + Someone
	if s := Contact("").In(text); s != text {
		t.Errorf("%q", s)
	}
	if s := Contact("it@tinker.example").In(text); s != "home.tinker isn't open to you; ask it@tinker.example" {
		t.Errorf("%q", s)
	}
}
