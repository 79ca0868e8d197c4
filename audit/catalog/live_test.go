package catalog

import (
	"errors"
	"strings"
	"testing"

	"entry/session/recording"
)

// A name ends a session only where it can mean no other one, running or recorded.
func TestRunning(t *testing.T) {
	t.Parallel()
	const one, two, old = "01JQ8Z3M6W0000000000000001", "01JQ8Z3M6W0000000000000002", "01JQ8Z3M6V0000000000000003"
	running := []string{one, two}
	recorded := func() ([]recording.Info, error) {
		return []recording.Info{{Header: recording.Header{ID: old}}, {Header: recording.Header{ID: one}}}, nil
	}
	unreadable := func() ([]recording.Info, error) { return nil, errors.New("not for you") }
	for _, tc := range []struct {
		name     string
		recorded func() ([]recording.Info, error)
		want     string // an ID, or what the error says and advises
	}{
		{one, recorded, one},
		{strings.ToLower(one), unreadable, one},
		{"01JQ8Z3M5V0000000000000009", unreadable, "01JQ8Z3M5V0000000000000009"}, // elsewhere, perhaps
		{one[:25], recorded, `is the start of 2 session IDs; the first two are ` + one + " and " + two},
		{one[:9], recorded, `is the start of 3 session IDs`},
		{"01jq8z3m6v", recorded, old},
		{"01JR", recorded, "no running session here has an ID that starts with"},
		{"", recorded, "no running session here has an ID that starts with"},
		{one[:9], unreadable, "can't be told: not for you; give the whole ID"},
		{Last, recorded, `"last" isn't taken here`},
	} {
		got, err := Running(tc.name, running, tc.recorded)
		if err != nil {
			got = err.Error() + "; " + err.(interface{ Hint() string }).Hint()
		}
		if (err != nil || got != tc.want) && (err == nil || !strings.Contains(got, tc.want)) {
			t.Errorf("%q: %s, want %s", tc.name, got, tc.want)
		}
	}
	_, err := Running(Last, running, recorded)
	if e := new(notRunning); !errors.As(err, &e) || !e.Misused() || e.NotFound() {
		t.Errorf("%v", err)
	}
	_, err = Running("01JR", running, recorded)
	if e := new(notRunning); !errors.As(err, &e) || e.Misused() || !e.NotFound() {
		t.Errorf("%v", err)
	}
}
