package bastion_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/evidence"
	"entry/bastion/access"
	"entry/e2e/testkit"
)

func TestAdminOperations(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newKey().PublicKey())))
	body := func(field, value string) string { return fmt.Sprintf("{%q:%q}", field, value) }
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/users", "", 200, `"user":"alice"`},
		{"GET", "/v1/users/alice", "", 200, `"user":"alice"`},
		{"GET", "/v1/users/nobody", "", 404, "no such user"},
		{"POST", "/v1/users/dora", "", 200, `"temporary_passphrase":`},
		{"POST", "/v1/users/dora", "", 409, "the user exists already"},
		{"POST", "/v1/users/Dora", "", 400, "a user name is"},
		{"POST", "/v1/users/a%2Fb", "", 400, "a user name is"},
		{"POST", "/v1/users/nobody/reset", "", 404, "no such user"},
		{"POST", "/v1/users/dora/keys", body("key", key), 200, `"fingerprint":"SHA256:`},
		{"POST", "/v1/users/dora/keys", body("key", key), 400, "has this key already"},
		{"POST", "/v1/users/dora/keys", body("key", "ssh-dss AAAA"), 400, ""},
		{"POST", "/v1/users/dora/keys", "{", 400, "the request holds no key"},
		{"POST", "/v1/users/dora/keys", body("key", strings.Repeat("x", 100_000)), 400, ""},
		{"DELETE", "/v1/users/dora/keys/SHA256:none", "", 404, "no such key"},
		{"POST", "/v1/users/dora/disable", "", 200, ""},
		{"POST", "/v1/users/dora/enable", "", 200, ""},
		{"DELETE", "/v1/users/dora", "", 200, ""},
		{"DELETE", "/v1/users/dora", "", 404, "no such user"},
		{"GET", "/v1/sessions", "", 200, ""},
		{"DELETE", "/v1/sessions/none", body("reason", "x"), 404, "no session has this ID"},
		{"DELETE", "/v1/sessions/none", "", 400, "gives no reason"},
		{"DELETE", "/v1/sessions/none", body("reason", " "), 400, "ended with a reason"},
		{"DELETE", "/v1/sessions/none", `{"reason":"a\u001b[2Jb"}`, 400, "one line without control characters"},
		{"DELETE", "/v1/sessions/none", body("reason", "two\nlines"), 400, "one line without control characters"},
		{"DELETE", "/v1/sessions/none", body("reason", strings.Repeat("x", 301)), 400, "at most 300"},
		{"POST", "/v1/recordings/01JQ8Z3M6W0000000000000001/review", body("note", "fine"), 200, ""},
		{"POST", "/v1/recordings/01JQ8Z3M6W0000000000000001/review", `{"note":"a\u202eb"}`, 400, "one line without control characters"},
		{"POST", "/v1/recordings/01X/review", body("note", ""), 404, "no session has this ID"},
		{"POST", "/v1/recordings/read", `{"verb":"play","sessions":["01X"]}`, 200, ""},
		{"POST", "/v1/recordings/read", `{"verb":"grep","sessions":["01X","01Y"],"pattern":"x"}`, 200, ""},
		{"POST", "/v1/recordings/read", `{"verb":"grep","sessions":["01X"` + strings.Repeat(`,"01Y"`, 200) + `]}`, 400, "at most 200"},
		{"POST", "/v1/recordings/read", `{"verb":"grep","sessions":[]}`, 400, "at least one"},
		{"POST", "/v1/recordings/read", `{"sessions":["01X"]}`, 400, "doesn't say what is done"},
		{"POST", "/v1/recordings/read", "", 400, ""},
		{"GET", "/v1/holds", "", 200, "[]"},
		{"POST", "/v1/holds", `{"user":"alice","reason":"case 17"}`, 200, `"user":"alice"`},
		{"GET", "/v1/holds", "", 200, `"reason":"case 17"`},
		{"POST", "/v1/holds", `{"user":"alice","reason":"case 17"}`, 409, "held already"},
		{"POST", "/v1/holds", `{"user":"alice"}`, 400, "with a reason"},
		{"POST", "/v1/holds", `{"reason":"x"}`, 400, "name one of them"},
		{"POST", "/v1/holds", `{"user":"alice","lab":"tinker","reason":"x"}`, 400, "name one of them"},
		{"POST", "/v1/holds", `{"user":"../alice","reason":"x"}`, 400, "no name of a user"},
		{"POST", "/v1/holds", `{"session":"01X","reason":"x"}`, 404, "no session has this ID"},
		{"POST", "/v1/holds", "", 400, "what is held"},
		{"DELETE", "/v1/holds/none", body("reason", "x"), 404, "no hold has this ID"},
		{"DELETE", "/v1/holds/none", body("reason", " "), 400, "with a reason"},
		{"GET", "/v1/nothing", "", 404, ""},
		{"PUT", "/v1/users/dora", "", 405, ""},
	} {
		status, answer := s.operate(tt.method, tt.path, tt.body)
		if status != tt.status || !strings.Contains(answer, tt.says) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, status, answer)
		}
	}
	// Of the holds above one is left, which is released by its ID.
	_, list := s.operate("GET", "/v1/holds", "")
	var holds []evidence.Hold
	if err := json.Unmarshal([]byte(list), &holds); err != nil || len(holds) != 1 {
		t.Fatalf("%s: %v", list, err)
	}
	if status, answer := s.operate("DELETE", "/v1/holds/"+holds[0].ID, body("reason", "closed")); status != 200 || !strings.Contains(answer, holds[0].ID) {
		t.Errorf("%d %s", status, answer)
	}
	if _, list := s.operate("GET", "/v1/holds", ""); strings.TrimSpace(list) != "[]" {
		t.Errorf("left: %s", list)
	}
	for _, typ := range []audit.Type{audit.HoldPlaced, audit.HoldReleased} {
		if e := s.log.All(typ); len(e) != 1 || e[0].Ref != holds[0].ID || e[0].User != "alice" || e[0].Actor == nil {
			t.Errorf("%s: %+v", typ, e)
		}
	}
	for _, e := range s.log.All() {
		if e.Actor == nil || e.Actor.Name != "root" {
			t.Errorf("nobody did %+v", e)
		}
	}
}

// An operation goes on when the operator hangs up in the middle: it can't be
// half done, or done without a trace.
func TestOperatorHangsUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	said := begin(t, s.login("alice").jump("home"))
	ctx, hangUp := context.WithCancel(audit.WithActor(context.Background(), audit.Actor{Name: "root"}))
	s.log.Before(func(e audit.Event) {
		if e.Type == audit.UserReset || e.Type == audit.SessionKilled {
			hangUp()
		}
	})
	w := httptest.NewRecorder()
	s.admin.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/v1/users/alice/reset", nil).WithContext(ctx))
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text := said(); !strings.Contains(text, "your access was changed") {
		t.Errorf("%q", text)
	}
	s.idle(t, 0)
}

func TestKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	said := begin(t, s.login("alice").jump("home"))
	status, answer := s.operate("GET", "/v1/sessions", "")
	var list []access.SessionInfo
	if err := json.Unmarshal([]byte(answer), &list); err != nil || status != 200 || len(list) != 1 || list[0].User != "alice" || list[0].Target != "home.tinker" {
		t.Fatalf("%d %s, %v", status, answer, err)
	}
	if status, answer := s.operate("DELETE", "/v1/sessions/"+list[0].ID, `{"reason":"the machine is needed"}`); status != 200 || !strings.Contains(answer, `"elsewhere":false`) {
		t.Fatalf("%d %s", status, answer)
	}
	if text := said(); !strings.Contains(text, "an administrator ended this session: the machine is needed") {
		t.Errorf("%q", text)
	}
	killed, ended := s.log.Await(t, audit.SessionKilled, ""), s.log.Await(t, audit.SessionEnded, "killed")
	if killed.Actor == nil || killed.Session != ended.Session || killed.User != "alice" || killed.Detail != "the machine is needed" || killed.Target != "home.tinker" {
		t.Errorf("%+v\n%+v", killed, ended)
	}
}

// Of several who end one session at once one is told that it ended by them, and the
// user reads their reason; the others read whose it was.
func TestKillOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	said := begin(t, s.login("alice").jump("home"))
	id := s.server.Access().Sessions()[0].ID
	s.log.Before(func(e audit.Event) { // the session is still there for all of them
		if e.Type == audit.SessionKilled {
			for i := range 3 {
				status, answer := s.operate("DELETE", "/v1/sessions/"+id, fmt.Sprintf(`{"reason":"me too %d"}`, i))
				if status != 404 || !strings.Contains(answer, "session "+id+" was ended already, by root: \\\"die Maschine wird gebraucht – bis später\\\"") {
					t.Errorf("%d %s", status, answer)
				}
			}
		}
	})
	if status, answer := s.operate("DELETE", "/v1/sessions/"+id, `{"reason":"die Maschine wird gebraucht – bis später"}`); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if text := said(); !strings.Contains(text, "entry: an administrator ended this session: die Maschine wird gebraucht – bis später") {
		t.Errorf("%q", text)
	}
	s.log.Await(t, audit.SessionEnded, "killed")
	if n := len(s.log.All(audit.SessionKilled)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A log that can't be written refuses what an operator does, but never keeps
// a session alive that was to end.
func TestKillWithoutALog(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	begin(t, s.login("alice").jump("home"))
	id := s.server.Access().Sessions()[0].ID
	s.log.Refuse(func(e audit.Event) bool { return e.Actor != nil })
	if status, _ := s.operate("DELETE", "/v1/sessions/"+id, `{"reason":"x"}`); status != 500 {
		t.Errorf("%d", status)
	}
	if status, _ := s.operate("POST", "/v1/users/bob/disable", ""); status != 500 {
		t.Errorf("%d", status)
	}
	if u, err := s.auth.User(t.Context(), "bob"); err != nil || u.Disabled {
		t.Errorf("%+v, %v", u, err)
	}
	s.idle(t, 0)
}

// The kernel says who is at the socket: without that nothing is served.
func TestAdminSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	dir := testkit.Must(os.MkdirTemp("", "adm"))(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	serve := func(network, address string) (string, func()) {
		l := testkit.Must(net.Listen(network, address))(t)
		served := make(chan error, 1)
		go func() { served <- s.admin.Serve(l) }()
		return l.Addr().String(), func() {
			l.Close()
			testkit.Finishes(t, "the socket's end", func() {
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		}
	}
	get := func(network, address string) (int, string) {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}}}
		r := testkit.Must(c.Get("http://entry/v1/users"))(t)
		defer r.Body.Close()
		return r.StatusCode, string(testkit.Must(io.ReadAll(r.Body))(t))
	}
	path, stop := serve("unix", filepath.Join(dir, "s"))
	if code, text := get("unix", path); code != 200 || !strings.Contains(text, "alice") {
		t.Errorf("%d %s", code, text)
	}
	// Somebody who only holds on doesn't keep the server from ending.
	idle := testkit.Must(net.Dial("unix", path))(t)
	defer idle.Close()
	if _, err := io.WriteString(idle, "POST /v1/users/alice/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	stop()
	address, stop := serve("tcp", "127.0.0.1:0")
	if code, text := get("tcp", address); code != 403 || strings.Contains(text, "alice") {
		t.Errorf("%d %s", code, text)
	}
	stop()
}
