package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/evidence"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
)

// operators are some who share one server; each request has its own actor, as
// the admin socket's peer.
type operators struct {
	t       *testing.T
	handler http.Handler
	log     logbook.Log
	file    *audit.Log // the same events
	store   *store.Store
}

func newOperators(t *testing.T, needTwo bool) *operators {
	t.Helper()
	st, err := store.OpenSQLite(filepath.Join(t.TempDir(), "entry.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	ops := &operators{t: t}
	o := identity.Options{Config: configs.Default(), Store: st, Secret: bytes.Repeat([]byte{7}, 32)}
	o.Config.Operators.ResetNeedsTwo = needTwo
	o.Events = ops.log.Append
	auth, err := identity.New(o)
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	dir := filepath.Join(t.TempDir(), "audit")
	ops.file = testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	t.Cleanup(func() { testkit.Check(t, ops.file.Close()) })
	ops.store = st
	ops.handler = (&Server{Auth: auth, Events: ops, Holds: st, Erasures: st, Log: zap.NewNop(),
		Retention: evidence.Retention{Dir: t.TempDir(), Log: dir, Orders: new(evidence.Orders), Append: ops.Append, Holds: st.Holds, Erasures: st.Erasures, NeedsTwo: needTwo}}).Handler()
	return ops
}

// Append has events in the log, and remembers them.
func (o *operators) Append(ctx context.Context, e ...audit.Event) error {
	if err := o.file.Append(ctx, e...); err != nil {
		return err
	}
	return o.log.Append(ctx, e...)
}

// actor is one of accounts that there are.
func actor(uid, login uint32) audit.Actor {
	a := audit.Actor{UID: uid, LoginUID: login, Name: fmt.Sprint("op", uid)}
	if login != uid && login != audit.UnsetLoginUID {
		a.LoginName = fmt.Sprint("op", login)
	}
	return a
}

// ask does one operation as an account under a login, and gives its status and
// what it says.
func (o *operators) ask(uid, login uint32, method, path, body string) (int, string) {
	o.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r = r.WithContext(audit.WithActor(o.t.Context(), actor(uid, login)))
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestTwoOperatorsReset: one asks, another confirms, and both stand in the log.
// The same person under another account, or the same account under another
// login, is no second one.
func TestTwoOperatorsReset(t *testing.T) {
	o := newOperators(t, true)
	const users = "/v1/users/alice"
	if code, text := o.ask(1, 1, "POST", users, ""); code != http.StatusOK {
		t.Fatal(text)
	}
	if code, text := o.ask(2, 2, "POST", users+"/confirm", ""); code != http.StatusNotFound || !strings.Contains(text, "no reset waits") {
		t.Errorf("nothing to confirm: %d %s", code, text)
	}
	code, text := o.ask(1, 1, "POST", users+"/reset", "")
	if code != http.StatusForbidden || !strings.Contains(text, "entry user confirm alice") || strings.Contains(text, "temporary") {
		t.Errorf("the first: %d %s", code, text)
	}
	for _, who := range [][2]uint32{{1, 1}, {1, 2}, {0, 1}, {2, audit.UnsetLoginUID}} {
		if code, text := o.ask(who[0], who[1], "POST", users+"/confirm", ""); code != http.StatusForbidden || !strings.Contains(text, "a reset needs two operators") {
			t.Errorf("uid %d, login %d confirms: %d %s", who[0], who[1], code, text)
		}
	}
	var shown identity.UserInfo
	if _, text := o.ask(1, 1, "GET", users, ""); json.Unmarshal([]byte(text), &shown) != nil || shown.PendingReset == nil || shown.PendingReset.By.UID != 1 {
		t.Errorf("shown %s", text)
	}
	code, text = o.ask(0, 2, "POST", users+"/confirm", "")
	var out Issued
	if err := json.Unmarshal([]byte(text), &out); code != http.StatusOK || err != nil || len(out.Passphrase) != 23 || time.Until(out.Until) < 239*time.Hour {
		t.Errorf("the second: %d %s", code, text)
	}
	if code, _ := o.ask(0, 3, "POST", users+"/confirm", ""); code != http.StatusNotFound {
		t.Errorf("confirmed twice: %d", code)
	}
	var log []string
	for _, e := range o.log.All()[1:] {
		log = append(log, string(e.Type))
	}
	if got := strings.Join(log, " "); got != "user.reset-requested user.reset" || o.log.All()[1].Actor.UID != 1 || o.log.All()[2].Actor.LoginUID != 2 {
		t.Errorf("log %s: %+v", got, o.log.All())
	}
}

// TestAdminRequestsAreBounded: what no verb sends is refused in words, and
// changes nothing.
func TestAdminRequestsAreBounded(t *testing.T) {
	o := newOperators(t, false)
	if code, text := o.ask(1, 1, "POST", "/v1/users/alice", ""); code != http.StatusOK {
		t.Fatal(text)
	}
	for path, body := range map[string]string{
		"/v1/users/alice/reset": `{"passphrase_only": "yes"}`,
		"/v1/users/alice/end":   `{"until": "2027-01-01T00:00:00Z"}`,
		"/v1/users/alice/realm": `["duo"]`,
		"/v1/users/alice/phone": `{`,
		"/v1/import":            `{"users": [{"user": "` + strings.Repeat("a", maxAdminBody) + `"}]}`,
	} {
		if code, text := o.ask(1, 1, "POST", path, body); code != http.StatusBadRequest || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if len(o.log.All()) != 1 {
		t.Errorf("events %+v", o.log.All())
	}
	if code, text := o.ask(1, 1, "POST", "/v1/users/alice/invite", ""); code != http.StatusInternalServerError || !strings.Contains(text, "no policy") {
		t.Errorf("an invitation without a policy: %d %s", code, text)
	}
}
