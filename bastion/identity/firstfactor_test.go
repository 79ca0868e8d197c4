package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// directory is a FirstFactor that answers as it is told and counts how often it
// was asked.
type directory struct {
	mu     sync.Mutex
	asked  []string
	groups []string
	at     time.Time
	entry  string
	err    error
	held   <-chan struct{} // what it answers only after; nil for nothing
}

const kept = "a phrase that duo keeps"

func (d *directory) Check(_ context.Context, user, passphrase string) (bool, []string, time.Time, string, error) {
	d.mu.Lock()
	held := d.held
	d.mu.Unlock()
	if held != nil {
		<-held
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, user)
	if d.err != nil {
		return false, nil, time.Time{}, "", d.err
	}
	if passphrase != kept {
		return false, nil, time.Time{}, "", nil
	}
	return true, d.groups, d.at, d.entry, nil
}

func (d *directory) Where() string { return "https://duo.example.org" }

func (d *directory) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// hang has it answer only once free is closed.
func (d *directory) hang(free <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = free
}

func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// no is what a directory says of an account that it lets nowhere.
type no struct {
	text  string
	right bool
}

func (n no) Error() string          { return "barred" }
func (n no) Barred() (string, bool) { return n.text, n.right }

// inRealm makes a user of realm duo who has enrolled with a temporary passphrase.
func inRealm(t *testing.T, with func(*identity.Options)) (*world, *directory, *user) {
	t.Helper()
	dir := &directory{groups: []string{"cn=a,dc=org", "cn=b,dc=org"}, at: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)}
	w := newWorldWith(t, func(o *identity.Options) {
		o.Realms = map[string]identity.FirstFactor{"duo": dir}
		if with != nil {
			with(o)
		}
	})
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	u := &user{w: w, name: "alice"}
	// The directory's passphrase opens nothing yet, and it isn't asked.
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	id, err := w.login(attempt("alice"), append([]round{{askPass, temp}}, u.enrol()...)...)
	if err != nil || id.Method() != "temporary+enrolment" || id.Realm() != "duo" {
		t.Fatalf("first login: %v %q %q", err, id.Method(), id.Realm())
	}
	if groups, at := id.Groups(); groups != nil || !at.IsZero() || dir.times() != 0 {
		t.Fatalf("the directory was asked %d times: %q at %v", dir.times(), groups, at)
	}
	w.clock.Advance(time.Minute)
	return w, dir, u
}

// TestADirectorysUserReadsNothingOfTheClock: whether the passphrase in front of a code
// of another time is right isn't asked of a directory, so nothing is told.
func TestADirectorysUserReadsNothingOfTheClock(t *testing.T) {
	w, _, u := inRealm(t, nil)
	for _, typed := range []string{"a stranger's guess", kept} {
		_, err := w.login(attempt("alice"), round{askPass, typed}, round{askCode, u.codeAfter(5 * time.Minute)}, round{noPass, w.settledThen(kept)}, round{askCode, ""}, round{backPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
}

func TestRealmLogin(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	from := w.log.Mark()
	id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()})
	if err != nil || id.Method() != "passphrase+otp" || id.Realm() != "duo" {
		t.Fatalf("%v %q", err, id.Method())
	}
	if groups, at := id.Groups(); !slices.Equal(groups, dir.groups) || !at.Equal(dir.at) {
		t.Errorf("groups %q at %v", groups, at)
	}
	w.wantLog(from, "login.succeeded passphrase+otp")
	if n := dir.times(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.clock.Advance(time.Minute)
	if id, err := w.login(attempt("alice"), round{askPass, kept + u.code()}); err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("in one field: %v", err)
	}
}

// One bind a dialogue, and none without a code that lies in its window.
func TestRealmIsAskedAfterTheCode(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	used := u.code()
	if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, used}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, passphrase, code string
		asked                  int
		verdict                string
	}{
		{"wrong code", kept, u.wrongCode(), 0, noPass},
		{"early code", kept, u.codeAfter(5 * time.Minute), 0, noPass},
		{"used code", kept, used, 1, "Code already used, wait for the next one. " + askPass},
		{"used code, wrong passphrase", "wrong", used, 1, noPass},
		{"recovery code, wrong passphrase", "wrong", u.recovery[0], 1, noPass},
		{"right code, wrong passphrase", "wrong", u.codeAfter(30 * time.Second), 1, noPass},
	} {
		before := dir.times()
		_, err := w.login(attempt("alice"), round{askPass, c.passphrase}, round{askCode, c.code}, round{c.verdict, ""})
		wantErr(t, err, identity.ErrAbandoned)
		if n := dir.times() - before; n != c.asked {
			t.Errorf("%s: asked %d times, not %d", c.name, n, c.asked)
		}
	}
	before := dir.times()
	_, err := w.login(attempt("nobody"), round{askPass, kept}, round{askCode, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if n := dir.times() - before; n != 0 {
		t.Errorf("asked %d times for an unknown name", n)
	}
}

func TestRealmDown(t *testing.T) {
	const down = "The directory duo that knows your passphrase can't be asked right now, which is not your fault: try again later. Press Enter to leave entry: "
	w, dir, u := inRealm(t, nil)
	dir.fail(fmt.Errorf("dial tcp 192.0.2.1:636: %w", io.ErrUnexpectedEOF))
	from := w.log.Mark()
	id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}, round{down, ""})
	wantErr(t, err, identity.ErrUnavailable)
	wantErr(t, err, io.ErrUnexpectedEOF)
	if id.Valid() {
		t.Error("somebody got in")
	}
	w.wantLog(from, "login.failed directory-unavailable")
	// A directory that isn't configured any more lets nobody in either.
	w.with = func(*identity.Options) {}
	w.a = w.authenticator(w.store)
	w.clock.Advance(time.Minute)
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}, round{down, ""})
	wantErr(t, err, identity.ErrUnavailable)
}

func TestRealmBars(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	from := w.log.Mark()
	dir.fail(no{"Your account there is locked.", false})
	used := u.code()
	_, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, used}, round{"Your account there is locked. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	// With a code that somebody else may have seen, nothing is said before a
	// right passphrase; after one, it is.
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, used}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	dir.fail(no{"Your passphrase has expired.", true})
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, used}, round{"Your passphrase has expired. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if got := w.log.Lines(from); !slices.Contains(got, "login.failed barred-by-directory") {
		t.Errorf("%q", got)
	}
}

func TestRealmPassphraseIsChangedElsewhere(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	p, err := w.a.Fresh(t.Context(), id, attempt("alice"), &script{t: t, rounds: []round{{askCode, u.code()}}})
	if err != nil {
		t.Fatal(err)
	}
	err = w.a.ChangePassphrase(t.Context(), p, &script{t: t})
	var refused *identity.Refusal
	if !errors.As(err, &refused) || refused.Text != "Your passphrase is not kept by entry: change it at https://duo.example.org." {
		t.Errorf("%v", err)
	}
	// Confirm asks the directory once.
	before := dir.times()
	if err := w.a.Confirm(t.Context(), id, attempt(""), &script{t: t, rounds: []round{{askPass, kept}}}); err != nil {
		t.Error(err)
	}
	if err := w.a.Confirm(t.Context(), id, attempt(""), &script{t: t, rounds: []round{{askPass, "wrong"}, {"Not accepted. Connect once more to try again. Press Enter to leave entry: ", ""}}}); !errors.Is(err, identity.ErrRefused) {
		t.Error(err)
	}
	if n := dir.times() - before; n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// A key doesn't outlive the account in the directory: the passphrase is asked
// beside it, and the key is remembered for a while as any other.
func TestRealmAndKeys(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	k := edKey(t)
	if _, err := w.a.AddKey(t.Context(), "alice", k.line); err != nil {
		t.Fatal(err)
	}
	at := attempt("alice")
	at.Key = k.pub
	if !w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("the key is not known")
	}
	_, err := w.login(at, round{askPass, "wrong"}, round{askCode, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	id, err := w.login(at, round{askPass, kept}, round{askCode, u.code()})
	if err != nil || id.Method() != "passphrase+otp" || id.Key() == "" {
		t.Fatalf("%v %q", err, id.Method())
	}
	asked := dir.times()
	id, ok, err := w.a.Remembered(t.Context(), at, nil)
	if !ok || err != nil || id.Method() != "publickey+remembered" || id.Realm() != "duo" || dir.times() != asked {
		t.Errorf("%v %v %q", ok, err, id.Method())
	}
	w.clock.Advance(13 * time.Hour)
	if _, ok, err := w.a.Remembered(t.Context(), at, nil); ok || err != nil {
		t.Errorf("after 13 h: %v %v", ok, err)
	}
}

func TestSetRealm(t *testing.T) {
	dir := &directory{}
	w := newWorldWith(t, func(o *identity.Options) { o.Realms = map[string]identity.FirstFactor{"duo": dir} })
	u := w.enrolled("alice")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	var refused *identity.Refusal
	if err := w.a.SetRealm(t.Context(), "alice", "other"); !errors.As(err, &refused) {
		t.Errorf("an unknown realm: %v", err)
	}
	from := w.log.Mark()
	if err := w.a.SetRealm(audit.WithActor(t.Context(), audit.Actor{UID: 7}), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	w.wantLog(from, "user.changed")
	if e := w.log.All()[from]; e.Actor == nil || e.Actor.UID != 7 || !strings.Contains(e.Detail, "duo") {
		t.Errorf("%+v", e)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	w.clock.Advance(time.Minute)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
		t.Errorf("with the directory's: %v", err)
	}
	// A reset locks the directory's way in until the temporary passphrase is used;
	// no passphrase is asked for then.
	temp, err := w.a.ResetPassphrase(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	asked := dir.times()
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	if id, err := w.login(attempt("alice"), round{askPass, temp}, round{codeBehind, u.code()}); err != nil || id.Method() != "temporary+otp" || dir.times() != asked {
		t.Errorf("%v %q", err, id.Method())
	}
	// Back at entry, it has no passphrase until somebody gives it one.
	if err := w.a.SetRealm(t.Context(), "alice", ""); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	for _, p := range []string{kept, good} {
		_, err = w.login(attempt("alice"), round{askPass, p}, round{askCode, u.code()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		w.clock.Advance(time.Minute)
	}
	if dir.times() != asked {
		t.Error("the directory was asked for an account that it has no more")
	}
}
