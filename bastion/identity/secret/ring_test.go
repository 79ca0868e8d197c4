package secret

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// What was made by a secret opens, and is found, as long as that is among the secrets; what
// is made is made by the present one. Counts go on as long as the oldest is there.
func TestKeysOfSeveralSecrets(t *testing.T) {
	old, now := New(), New()
	before := testkit.Must(Secrets{Now: old}.Keys())(t)
	begun := testkit.Must(Secrets{Now: old, Next: now}.Keys())(t)
	turned := testkit.Must(Secrets{Now: old, Next: now}.Turned().Keys())(t)
	alone := testkit.Must(DeriveKeys(now))(t)
	seed := NewSeed()
	sealed := before.SealSeed("a", "d", seed)
	opens := func(k Keys, sealed []byte) bool {
		got, err := k.OpenSeed("a", "d", sealed)
		return err == nil && bytes.Equal(got, seed)
	}
	if !opens(begun, sealed) || !opens(turned, sealed) || opens(alone, sealed) {
		t.Error("what the one before has sealed opens without it, or not with it")
	}
	if begun.SealAnew("a", "d", sealed) != nil {
		t.Error("it is sealed anew by the same secret")
	}
	anew := turned.SealAnew("a", "d", sealed)
	if !opens(alone, anew) || opens(before, anew) || !opens(begun, anew) {
		t.Error("it isn't sealed by the next one")
	}
	if back := begun.SealAnew("a", "d", anew); !opens(before, back) {
		t.Error("it isn't sealed by the present one again")
	}
	if turned.SealAnew("a", "another", sealed) != nil || alone.SealAnew("a", "d", sealed) != nil {
		t.Error("what doesn't open is sealed anew")
	}

	h, _ := before.HashRecovery("a", "abcd-efgh-jkmn")
	all, _ := turned.RecoveryHashes("a", "abcd-efgh-jkmn")
	if len(all) != 2 || all[1] != h || all[0] == h {
		t.Errorf("%d hashes of a recovery code", len(all))
	}
	if n := turned.NameHashes("mallory"); len(n) != 2 || n[1] != before.HashName("mallory") || n[0] != alone.HashName("mallory") || turned.HashName("mallory") != n[0] {
		t.Errorf("hashes of a name: %q", n)
	}
	if f := turned.FileHashes("path", []byte("x")); len(f) != 2 || f[1] != before.HashFile("path", []byte("x")) || turned.HashFile("path", []byte("x")) != alone.HashFile("path", []byte("x")) {
		t.Errorf("hashes of a file: %q", f)
	}
	if before.HashTally("x") != begun.HashTally("x") || before.HashTally("x") != turned.HashTally("x") || before.HashTally("x") == alone.HashTally("x") {
		t.Error("what is counted begins anew with the next secret")
	}
	recovery := func(k Keys, account, typed string) string {
		name, ok := k.TallyRecovery(account, typed)
		if !ok {
			t.Errorf("%q isn't taken for a recovery code", typed)
		}
		return name
	}
	if name := recovery(before, "a", "abcd-efgh-jkmn"); name != recovery(begun, "a", "ABCD EFGH JKMN") || name != recovery(turned, "a", "abcdefghjkmn") ||
		name == recovery(alone, "a", "abcd-efgh-jkmn") || name == recovery(before, "b", "abcd-efgh-jkmn") {
		t.Error("what is counted of a recovery code begins anew with the next secret, or is another's")
	}
	same := before
	before.Become(alone)
	if same.HashName("mallory") != alone.HashName("mallory") {
		t.Error("a copy has other keys")
	}
}

func TestReadSecrets(t *testing.T) {
	files := map[string][]byte{}
	read := func() (Secrets, error) {
		return ReadSecrets("s", func(path string) ([]byte, error) {
			if b, ok := files[path]; ok {
				return b, nil
			}
			return nil, fs.ErrNotExist
		})
	}
	if _, err := read(); err == nil {
		t.Error("none is there")
	}
	a, b, c := New(), New(), New()
	files["s"] = a
	files["s.old"] = slices.Concat(b, c)
	files["s.next"] = New()
	s, err := read()
	if err != nil || !bytes.Equal(s.Now, a) || len(s.Older) != 2 || !bytes.Equal(s.Older[1], c) || !bytes.Equal(s.Next, files["s.next"]) {
		t.Errorf("%v", err)
	}
	if d := s.Dropped(); d.Next != nil || len(d.Older) != 2 {
		t.Error("it isn't dropped")
	}
	if u := s.Turned(); !bytes.Equal(u.Now, s.Next) || len(u.Older) != 3 || !bytes.Equal(u.Older[0], a) || u.Next != nil {
		t.Error("it hasn't followed")
	}
	files["s.old"] = slices.Concat(a, b) // cut off before the next one was in its place
	if s, err := read(); err != nil || len(s.Older) != 1 || !bytes.Equal(s.Older[0], b) {
		t.Errorf("%d before, %v", len(s.Older), err)
	}
	for name, bad := range map[string][]byte{"s": a[:31], "s.next": a[:5], "s.old": make([]byte, 33)} {
		was := files[name]
		files[name] = bad
		if _, err := read(); err == nil || !strings.Contains(err.Error(), "restore it from your backup") {
			t.Errorf("%s: %v", name, err)
		}
		files[name] = was
	}
}
