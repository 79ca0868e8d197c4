package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"entry/configs"
	"entry/e2e/testkit"
)

func noAnnouncement(ssh.PublicKey) error { return nil }

// A CA in a file is followed by one beside it; whatever step it is cut off at, a start finds
// the one before, or the next one.
func TestNextInAFile(t *testing.T) {
	now, path := authority(t, "user_ca")
	c := configs.CA{File: path}
	if _, _, ok, err := Next(c); ok || err != nil {
		t.Fatalf("there is one: %v", err)
	}
	no := errors.New("the log is full")
	if err := MakeNext(c, "entry user CA", "", func(ssh.PublicKey) error { return no }); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if _, _, ok, err := Next(c); ok || err != nil {
		t.Fatalf("one is there that isn't in the log: %v", err)
	}
	var announced ssh.PublicKey
	testkit.Check(t, MakeNext(c, "entry user CA", "", func(k ssh.PublicKey) error { announced = k; return nil }))
	refused(t, MakeNext(c, "entry user CA", "ssh-ed25519 AAAA", noAnnouncement), "the key is in a file, and so is the next one")
	next := testkit.Must(OpenNext(c))(t)
	if !sameKey(next.PublicKey(), announced) || sameKey(next.PublicKey(), now.PublicKey()) {
		t.Error("another one was announced, or it is the same")
	}
	if info := testkit.Must(os.Stat(path + ".next"))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	testkit.Check(t, SettleNext(c)) // which has nothing to do
	if !sameKey(testkit.Must(loadFile(path))(t).PublicKey(), now.PublicKey()) {
		t.Error("settling has changed the key")
	}

	testkit.Check(t, os.Rename(path+".next", path)) // cut off there
	if a, err := OpenNext(c); a != nil || err != nil {
		t.Errorf("cut off in between: %v, %v", a, err)
	}
	testkit.Check(t, SettleNext(c))
	if key := testkit.Must(LoadPublic(path + ".pub"))(t); !sameKey(key, announced) {
		t.Error("the public half wasn't put in its place")
	}
	if _, _, ok, _ := Next(c); ok {
		t.Error("it is still to follow")
	}

	testkit.Check(t, MakeNext(c, "entry user CA", "", noAnnouncement))
	testkit.Check(t, DropNext(c))
	testkit.Check(t, MakeNext(c, "entry user CA", "", noAnnouncement))
	want := testkit.Must(OpenNext(c))(t).PublicKey()
	testkit.Check(t, PlaceNext(c))
	if got := testkit.Must(loadFile(path))(t).PublicKey(); !sameKey(got, want) {
		t.Error("another one is in its place")
	}
	for _, ext := range []string{".next", ".next.pub"} {
		if _, err := os.Stat(path + ext); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", ext, err)
		}
	}
	testkit.Check(t, MakeNext(c, "entry user CA", "", noAnnouncement))
	testkit.Check(t, os.Remove(path+".next"))
	if _, err := OpenNext(c); err == nil {
		t.Error("a next one without its private half was opened")
	}
}

// One in an agent is followed by one that the agent has to hold.
func TestNextInAnAgent(t *testing.T) {
	socket := filepath.Join(testkit.ShortDir(t), "a")
	keys := agent.NewKeyring()
	agentAt(t, socket, keys)
	private := func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		testkit.Check(t, err)
		return key
	}
	now, next := private(), private()
	testkit.Check(t, keys.Add(agent.AddedKey{PrivateKey: now}))
	c := configs.CA{Agent: socket, PublicKey: publicFile(t, now)}
	text := string(testkit.Must(os.ReadFile(publicFile(t, next)))(t))
	refused(t, MakeNext(c, "", "", noAnnouncement), "name its public key")
	refused(t, MakeNext(c, "", "nonsense", noAnnouncement), "not a public key")
	refused(t, MakeNext(c, "", text, noAnnouncement), "doesn't hold key")
	testkit.Check(t, keys.Add(agent.AddedKey{PrivateKey: next}))
	testkit.Check(t, MakeNext(c, "", text, noAnnouncement))
	a := testkit.Must(OpenNext(c))(t)
	testkit.Check(t, PlaceNext(c))
	if got := testkit.Must(fromAgent(socket, c.PublicKey))(t); !sameKey(got.PublicKey(), a.PublicKey()) {
		t.Error("another one is in its place")
	}
}

// While one CA is to follow, each login is tried by both, and the next one's comes first; one
// that can't sign is left out.
func TestIssueByBoth(t *testing.T) {
	u := userCA(t)
	old := u.PublicKey()
	next, _ := authority(t, "next")
	testkit.Check(t, u.Follow(next))
	r := UserRequest{Principal: "alice", Now: testkit.Noon}
	all := testkit.Must(u.Issue(r))(t)
	if len(all) != 2 || !sameKey(all[0].By, next.PublicKey()) || !sameKey(all[1].By, old) {
		t.Fatalf("%d certificates", len(all))
	}
	for _, i := range all {
		if _, err := (UserCheck{CA: i.By, Login: "alice", Now: testkit.Noon}).Verify(i.Signer.PublicKey()); err != nil {
			t.Error(err)
		}
	}
	host, _ := authority(t, "host")
	testkit.Must(NewHostCA(host))(t)
	if err := u.Follow(host); !errors.Is(err, ErrClaimed) {
		t.Errorf("the host CA is to follow on it: %v", err)
	}
	u.Turn()
	if all := testkit.Must(u.Issue(r))(t); len(all) != 1 || !sameKey(all[0].By, next.PublicKey()) || u.Next() != nil {
		t.Errorf("%d certificates once it has followed", len(all))
	}
	gone := &Authority{signer: &agentSigner{socket: filepath.Join(t.TempDir(), "none"), key: old, limit: agentDeadline}}
	testkit.Check(t, u.Follow(gone))
	if all := testkit.Must(u.Issue(r))(t); len(all) != 1 || !sameKey(all[0].By, next.PublicKey()) {
		t.Errorf("%d certificates, where the next one's agent is away", len(all))
	}
}

// The host keys stay as the CA is changed, and certificates by both are good until then.
func TestHostKeysFollowTheCA(t *testing.T) {
	h := hostCA(t)
	keys := testkit.Must(OpenHostKeys(HostKeysOptions{Dir: t.TempDir(), CA: h, Now: testkit.NewClock(testkit.Noon).Now}))(t)
	t.Cleanup(func() { testkit.Check(t, keys.Close()) })
	shown := func() *ssh.Certificate {
		t.Helper()
		return testkit.Must(keys.Signers("home.tinker", "home"))(t)[0].PublicKey().(*ssh.Certificate)
	}
	first := shown()
	next, _ := authority(t, "next")
	h.Follow(next, next.PublicKey())
	if now, then := keys.CAs(); !sameKey(now, first.SignatureKey) || !sameKey(then, next.PublicKey()) || !sameKey(shown().SignatureKey, now) {
		t.Error("another one vouches for it before it is finished")
	}
	h.Turn()
	after := shown()
	if !sameKey(after.SignatureKey, next.PublicKey()) || !sameKey(after.Key, first.Key) {
		t.Error("the certificate isn't by the next CA, or not over the same key")
	}
	if now, then := keys.CAs(); !sameKey(now, next.PublicKey()) || then != nil {
		t.Error("it is still to follow")
	}
}
