package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
)

func (o *operators) types() string {
	var all []string
	for _, e := range o.log.All() {
		all = append(all, string(e.Type))
	}
	return strings.Join(all, " ")
}

// TestTwoOperatorsErase: one orders, another confirms, and both stand in the log. The same
// person under another account, or the same account under another login, is no second one.
func TestTwoOperatorsErase(t *testing.T) {
	t.Parallel()
	o := newOperators(t, true)
	const path, body = "/v1/erasures", `{"user":"alice","reason":"request 44"}`
	if code, text := o.ask(0, audit.UnsetLoginUID, "POST", path, body); code != http.StatusForbidden || !strings.Contains(text, "two operators") {
		t.Errorf("nobody's: %d %s", code, text)
	}
	if code, text := o.ask(1, 1, "POST", path+"/preview", body); code != http.StatusOK || !strings.Contains(text, `"needs_two":true`) {
		t.Errorf("%d %s", code, text)
	}
	code, text := o.ask(1, 1, "POST", path, body)
	var e Erasure
	if err := json.Unmarshal([]byte(text), &e); code != http.StatusOK || err != nil || !e.Stands.IsZero() || e.ID == "" {
		t.Fatalf("the first: %d %s", code, text)
	}
	if code, text := o.ask(2, 2, "POST", path, body); code != http.StatusConflict || !strings.Contains(text, "is ordered already, by erasure "+e.ID) {
		t.Errorf("twice: %d %s", code, text)
	}
	for _, who := range [][2]uint32{{1, 1}, {1, 2}, {0, 1}, {2, audit.UnsetLoginUID}} {
		want := "two operators"
		if who[1] == 1 {
			want = "you ordered it yourself"
		}
		if code, text := o.ask(who[0], who[1], "POST", path+"/"+e.ID, ""); code != http.StatusForbidden || !strings.Contains(text, want) {
			t.Errorf("uid %d, login %d confirms: %d %s", who[0], who[1], code, text)
		}
	}
	if code, text := o.ask(0, 2, "POST", path+"/"+e.ID, ""); code != http.StatusOK || !strings.Contains(text, `"confirmed_by":{"uid":0,"login_uid":2,"name":"op0","login_name":"op2"}`) {
		t.Errorf("the second: %d %s", code, text)
	}
	if code, text := o.ask(0, 3, "POST", path+"/"+e.ID, ""); code != http.StatusConflict || !strings.Contains(text, "stands already") {
		t.Errorf("confirmed twice: %d %s", code, text)
	}
	if code, text := o.ask(0, 3, "POST", path+"/none", ""); code != http.StatusNotFound {
		t.Errorf("%d %s", code, text)
	}
	if got := o.types(); got != "erasure.ordered erasure.confirmed" || o.log.All()[0].Actor.UID != 1 || o.log.All()[1].Actor.LoginUID != 2 || o.log.All()[1].Ref != e.ID {
		t.Errorf("log %s: %+v", got, o.log.All())
	}
	if code, text := o.ask(1, 1, "GET", path, ""); code != http.StatusOK || !strings.Contains(text, e.ID) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := o.ask(1, 1, "DELETE", path+"/"+e.ID, ""); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if _, text := o.ask(1, 1, "GET", path, ""); strings.TrimSpace(text) != "[]" || !strings.HasSuffix(o.types(), " erasure.withdrawn") {
		t.Errorf("withdrawn: %s, %s", text, o.types())
	}
}

// What is ordered by one is done at once; what no order can be is refused in words, and noted
// nowhere.
func TestEraseAlone(t *testing.T) {
	t.Parallel()
	o := newOperators(t, false)
	for body, says := range map[string]string{
		``:                              "what is to be erased",
		`{"reason":"x"}`:                "an erasure is on a session, on a user or on a lab",
		`{"user":"a","lab":"b"}`:        "an erasure is on a session, on a user or on a lab",
		`{"user":"alice"}`:              "with a reason",
		`{"user":"Alice","reason":"x"}`: "no name of a user",
		`{"lab":"tinker","reason":"a\u001b[2Jb"}`: "one line without control characters",
		`{"session":"../x","reason":"x"}`:         "no session has this ID",
	} {
		if code, text := o.ask(1, 1, "POST", "/v1/erasures", body); code < 400 || code >= 500 || !strings.Contains(text, says) {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	if len(o.log.All()) != 0 {
		t.Errorf("log: %s", o.types())
	}
	code, text := o.ask(1, audit.UnsetLoginUID, "POST", "/v1/erasures", `{"lab":"tinker","reason":"request 44"}`)
	var e Erasure
	if err := json.Unmarshal([]byte(text), &e); code != http.StatusOK || err != nil || e.Stands.IsZero() || e.Removed != 0 {
		t.Errorf("%d %s", code, text)
	}
	if code, text := o.ask(2, 2, "POST", "/v1/erasures/"+e.ID, ""); code != http.StatusConflict {
		t.Errorf("%d %s", code, text)
	}
}

// What another server on the database ordered is carried out here once somebody confirms it
// here: that a row says that two did so elsewhere is nobody's word.
func TestEraseElsewhere(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		o := newOperators(t, two)
		now := time.Now()
		row := evidence.Erasure{Order: evidence.Order{ID: "zzzz9999", User: "alice", Reason: "request 44", By: audit.Actor{UID: 1001, LoginUID: 1001}, At: now}, Stands: now}
		testkit.Check(t, o.store.OrderErasure(t.Context(), row))
		if _, text := o.ask(1, 1, "GET", "/v1/erasures", ""); !strings.Contains(text, `"elsewhere":true`) || strings.Contains(text, "stands_since") {
			t.Errorf("%s", text)
		}
		if code, text := o.ask(1, 1, "POST", "/v1/erasures", `{"user":"alice","reason":"x"}`); code != http.StatusConflict || !strings.Contains(text, "--confirm zzzz9999 has it carried out here") {
			t.Errorf("%d %s", code, text)
		}
		if code, text := o.ask(1, 1, "POST", "/v1/erasures/zzzz9999", ""); code != http.StatusOK || strings.Contains(text, "stands_since") != !two {
			t.Errorf("adopted: %d %s", code, text)
		}
		if e := o.log.All()[0]; o.types() != "erasure.ordered" || e.Ref != "zzzz9999" || e.Until == nil || !e.Until.Equal(now.Truncate(time.Microsecond)) || (e.Reason == audit.ReasonWaits) != two || e.Actor.UID != 1 {
			t.Errorf("%s: %+v", o.types(), e)
		}
		if !two {
			continue
		}
		if code, text := o.ask(1, 1, "POST", "/v1/erasures/zzzz9999", ""); code != http.StatusForbidden {
			t.Errorf("confirmed alone: %d %s", code, text)
		}
		if code, text := o.ask(2, 2, "POST", "/v1/erasures/zzzz9999", ""); code != http.StatusOK || !strings.Contains(text, "stands_since") {
			t.Errorf("confirmed: %d %s", code, text)
		}
	}
}

// A hold that the database has lost is listed, and can be released.
func TestHoldsAreTheLogs(t *testing.T) {
	t.Parallel()
	o := newOperators(t, false)
	code, text := o.ask(1, 1, "POST", "/v1/holds", `{"user":"alice","reason":"case 17"}`)
	var h evidence.Hold
	if err := json.Unmarshal([]byte(text), &h); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s", code, text)
	}
	testkit.Check(t, o.store.ReleaseHold(t.Context(), h.ID))
	if _, text := o.ask(1, 1, "GET", "/v1/holds", ""); !strings.Contains(text, h.ID) {
		t.Errorf("%s", text)
	}
	if code, text := o.ask(1, 1, "POST", "/v1/holds", `{"user":"alice","reason":"case 17"}`); code != http.StatusConflict {
		t.Errorf("%d %s", code, text)
	}
	if code, text := o.ask(1, 1, "DELETE", "/v1/holds/"+h.ID, `{"reason":"closed"}`); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if _, text := o.ask(1, 1, "GET", "/v1/holds", ""); strings.TrimSpace(text) != "[]" {
		t.Errorf("%s", text)
	}
}

// An answer that takes as long as there are recordings to remove is waited for, for longer than
// any other one; where none comes, that is said as what it is.
func TestLastingAnswers(t *testing.T) {
	t.Parallel()
	var deadlines []bool
	c := &Client{do: func(r *http.Request) (*http.Response, error) {
		_, ok := r.Context().Deadline()
		deadlines = append(deadlines, ok)
		return nil, io.ErrUnexpectedEOF
	}}
	for _, path := range []string{"/v1/erasures", "/v1/erasures/zzzz9999", "/v1/holds", "/v1/users"} {
		if err := c.Call(t.Context(), "POST", path, nil, nil); !errors.Is(err, ErrUnanswered) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if !slices.Equal(deadlines, []bool{false, false, false, true}) {
		t.Errorf("%v", deadlines)
	}
}
