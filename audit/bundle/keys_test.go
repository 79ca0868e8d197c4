//go:build linux

package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// Whoever knows a key of the log, the first, the last or one between, proves a bundle of
// after the key was changed; so does the script. What the bundle says of changes counts only
// where both keys signed it.
func TestBundlesFollowTheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Witnesses = nil
	keys := []string{s.Key}
	for range 2 {
		signer, public, err := audit.GenerateKey("entry.test")
		testkit.Check(t, err)
		testkit.Check(t, s.log.ChangeKey(t.Context(), audit.Options{Key: signer}, audit.Event{}))
		s.Key = public
		keys = append(keys, public)
	}
	_, another, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	for _, own := range keys { // that the server's configuration names
		s.Key = own
		b := s.made(whole)
		for i, key := range append(slices.Clone(keys), "") {
			rep, err := verify(t, b, Trust{Key: key})
			if err != nil || len(rep.Changes) != 2 || rep.Changes[1].To != keys[2] {
				t.Errorf("key %d: %+v, %v", i, rep.Changes, err)
			}
			args := []string{"--log-key", key}
			if key == "" {
				args = nil
			}
			if code, out := python(t, b, args...); code != 0 || strings.Count(out, "signed by another key, as the one before it signed") != 2 {
				t.Errorf("key %d: python3: %d %s", i, code, out)
			}
		}
		if _, err := verify(t, b, Trust{Key: another}); err == nil {
			t.Error("proven against another key")
		}
	}
	b := s.made(whole)
	at := bytes.Index(b, []byte("entry audit log changes its key"))
	end := at + bytes.Index(b[at:], []byte{0})
	changes := b[at:end]
	lines := bytes.SplitAfter(changes, []byte("\n"))
	with := func(change func(list [][]byte)) []byte {
		list := slices.Clone(lines)
		change(list)
		n := bytes.Join(list, nil)
		out := bytes.Clone(b)
		if len(n) != len(changes) {
			t.Fatal("another length")
		}
		copy(out[at:end], n)
		return out
	}
	for name, bad := range map[string][]byte{
		"signed by one key twice": with(func(l [][]byte) { l[8] = l[7] }),
		"a signature that isn't valid": with(func(l [][]byte) {
			l[7] = bytes.Clone(l[7])
			l[7][60] ^= 2 // another digit of base64
		}),
		"another size":     with(func(l [][]byte) { l[2] = bytes.Replace(l[2], l[2][:1], []byte("9"), 1) }),
		"in another order": with(func(l [][]byte) { copy(l, append(slices.Clone(l[9:18]), l[:9]...)) }),
		"another's key":    with(func(l [][]byte) { l[5] = []byte(another + "\n") }),
	} {
		for _, key := range keys[:2] {
			if _, err := verify(t, bad, Trust{Key: key}); err == nil {
				t.Errorf("%s: proven", name)
			}
			if code, out := python(t, bad, "--log-key", key); code != 1 && code != 2 {
				t.Errorf("%s: python3: %d %s", name, code, out)
			}
		}
	}
}

// Whoever has a key that the log has changed makes a bundle by it, and puts the change, which is
// in every bundle since, into it: nobody who knows of the change takes it, whichever key they
// were given.
func TestBundlesByAKeyOfBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Witnesses = nil
	first, before := s.Key, s.made(whole)
	signer, public, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	testkit.Check(t, s.log.ChangeKey(t.Context(), audit.Options{Key: signer}, audit.Event{}))
	s.Key = public
	log := testkit.Must(audit.ReadKeys(s.Log, public))(t)
	after, ok := log.Changed()
	if !ok {
		t.Fatal("the key wasn't changed")
	}
	changes := log.Changes(after + 1)
	var out bytes.Buffer
	w := &writer{Writer: tar.NewWriter(&out)}
	r := tar.NewReader(bytes.NewReader(before))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		testkit.Check(t, err)
		w.text(h.Name, string(testkit.Must(io.ReadAll(r))(t)))
		if h.Name == aboutName {
			w.text(keysName, string(changes))
		}
	}
	testkit.Check(t, errors.Join(w.err, w.Close()))
	if _, err := verify(t, before, Trust{Key: first}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{first, public, ""} {
		var bad *Disproof
		if _, err := verify(t, out.Bytes(), Trust{Key: key}); !errors.As(err, &bad) || !strings.Contains(bad.Why, "whoever has that key still could have made it") {
			t.Errorf("%v", err)
		}
		args := []string{"--log-key", key}
		if key == "" {
			args = nil
		}
		if code, said := python(t, out.Bytes(), args...); code != 1 || !strings.Contains(said, "whoever has that key still could have made it") {
			t.Errorf("python3: %d %s", code, said)
		}
	}
	// One that is made now is by the present key, though it has the same records.
	if rep, err := verify(t, s.made(whole), Trust{Key: public}); err != nil || rep.Size <= after {
		t.Errorf("%+v, %v", rep, err)
	}
}
