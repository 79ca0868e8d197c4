//go:build linux

package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// anew has the log begin anew, as after a loss of so many records, and returns the keys of
// before and after.
func (s *site) anew(lost int) (before, after string) {
	s.t.Helper()
	testkit.Check(s.t, s.log.Close())
	witness := ""
	if lost > 0 {
		witness = filepath.Join(s.dir, "checkpoints")
		testkit.Check(s.t, os.Mkdir(witness, 0o700))
		testkit.Check(s.t, os.CopyFS(filepath.Join(s.dir, "older"), os.DirFS(s.Log)))
		s.log = testkit.Must(audit.Open(s.Log, audit.Options{Key: s.signer, Witness: witness}))(s.t)
		for range lost {
			s.append(audit.Event{Type: audit.ServerStarted})
		}
		testkit.Check(s.t, s.log.Close())
		testkit.Check(s.t, os.Rename(s.Log, filepath.Join(s.dir, "newer")))
		testkit.Check(s.t, os.Rename(filepath.Join(s.dir, "older"), s.Log))
	}
	auditor, _, err := audit.GenerateKey("auditor")
	testkit.Check(s.t, err)
	key, public := filepath.Join(s.dir, "audit.key"), filepath.Join(s.dir, "audit.pub")
	testkit.WriteFile(s.t, public, s.Key)
	before = s.Key
	testkit.Check(s.t, audit.BeginAnew(audit.Anew{Dir: s.Log, Witness: witness, Key: key, PublicKey: public, Auditor: auditor, Reason: "a disk was lost", Known: s.log.Position().Size}))
	s.Key = testkit.Must(audit.ReadKey(public))(s.t)
	s.signer = testkit.ReadFile(s.t, key)
	s.log = testkit.Must(audit.Open(s.Log, audit.Options{Key: s.signer}))(s.t)
	s.t.Cleanup(func() { testkit.Check(s.t, s.log.Close()) })
	return before, s.Key
}

// A session of a log before a gap has a bundle too: it is proven down from the present log,
// by the first record of each that came after; or by the old key alone.
func TestBundlesOfALogBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := s.anew(0)
	s.append(audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.SessionReviewed, Session: whole, Detail: "seen"})
	_, third := s.anew(0)
	s.append(audit.Event{Type: audit.ServerStarted})
	s.Witnesses = nil
	_, another, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	b := s.made(whole)
	for i, tt := range []struct {
		key           string
		followed, off int
		reviewed      bool
	}{{third, 2, 0, true}, {"", 2, 0, true}, {second, 1, 1, true}, {first, 0, 2, false}} {
		rep, err := verify(t, b, Trust{Key: tt.key})
		if err != nil || len(rep.Followed) != tt.followed || rep.Rest != tt.off || rep.Recording == nil || rep.OwnKey != (tt.key == "") {
			t.Errorf("%d: %+v, %v", i, rep, err)
			continue
		}
		var said bytes.Buffer
		testkit.Check(t, rep.Tell(&said))
		if strings.Contains(said.String(), "session.reviewed") != tt.reviewed {
			t.Errorf("%d: %s", i, said.String())
		}
		args := []string{"--log-key", tt.key}
		if tt.key == "" {
			args = nil
		}
		if code, out := python(t, b, args...); code != 0 || strings.Contains(out, "session.reviewed") != tt.reviewed || strings.Count(out, "the log before ended with") != tt.followed {
			t.Errorf("%d: python3: %d %s", i, code, out)
		}
	}
	if _, err := verify(t, b, Trust{Key: another}); !isDisproof(err) {
		t.Errorf("another key: %v", err)
	}
	if code, out := python(t, b, "--log-key", another); code != 1 {
		t.Errorf("another key: python3: %d %s", code, out)
	}

	files := unpack(t, b)
	changed := func(change func(name string, data []byte) []byte) []byte {
		var all []file
		for _, f := range files {
			if data := change(f.name, bytes.Clone(f.data)); data != nil {
				f.data = data
				all = append(all, f)
			}
		}
		return pack(t, all)
	}
	other := newSite(t) // a log of the same name, with another key, that somebody makes up
	other.Witnesses = nil
	forged := unpack(t, other.made(whole))
	for name, bad := range map[string][]byte{
		"a log's keys away": changed(func(name string, data []byte) []byte { return unless(name == "next/01/keys", data) }),
		"a log away":        changed(func(name string, data []byte) []byte { return unless(strings.HasPrefix(name, "next/02/"), data) }),
		"its first record": changed(func(name string, data []byte) []byte {
			return unless(name == "next/02/records/000000000001.tlog-proof", data)
		}),
		"records made up": changed(func(name string, data []byte) []byte {
			for _, f := range forged {
				if f.name == name && strings.HasPrefix(name, "records/") {
					return f.data
				}
			}
			return data
		}),
		"a log made up, with its key": pack(t, slices.Concat(forged[:at(forged, "recording/")], files[at(files, "next/"):at(files, "recording/")], forged[at(forged, "recording/"):])),
	} {
		if _, err := verify(t, bad, Trust{Key: third}); err == nil {
			t.Errorf("%s: proven", name)
		}
		if code, out := python(t, bad, "--log-key", third); code != 1 && code != 2 {
			t.Errorf("%s: python3: %d %s", name, code, out)
		}
	}
}

// Where records of the log before were lost, what is left is proven by its key, up to there;
// whoever still has that key proves nothing beyond the end that the next log names.
func TestBundlesOfALogThatLostRecords(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	signer, newer := s.signer, s.Source
	first, second := s.anew(3)
	s.append(audit.Event{Type: audit.ServerStarted})
	s.Witnesses, newer.Witnesses, newer.Log = nil, nil, filepath.Join(s.dir, "newer")
	b := s.made(whole)
	rep, err := verify(t, b, Trust{Key: second})
	if err != nil || len(rep.Followed) != 1 || rep.Followed[0].Earlier == 0 || rep.Followed[0].Earlier+4 != rep.Followed[0].At { // and log.recovered, of the witness
		t.Errorf("%+v, %v", rep, err)
	}
	if notes := strings.Join(rep.Notes(), "\n"); !strings.Contains(notes, "are lost") {
		t.Errorf("%s", notes)
	}
	if code, out := python(t, b, "--log-key", second); code != 0 || !strings.Contains(out, "; it is proven up to record") {
		t.Errorf("python3: %d %s", code, out)
	}

	// joined has the records of another tree in the place of the log before's.
	joined := func() []byte {
		var out bytes.Buffer
		testkit.Must(newer.Write(&out, whole))(t)
		theirs, ours := unpack(t, out.Bytes()), unpack(t, b)
		return pack(t, slices.Concat(theirs[:at(theirs, "recording/")], ours[at(ours, "next/"):]))
	}
	if rep, err := verify(t, joined(), Trust{Key: second}); err != nil || rep.Followed[0].Earlier != 0 {
		t.Errorf("with the lost records: %+v, %v", rep, err)
	}
	log := testkit.Must(audit.Open(newer.Log, audit.Options{Key: signer}))(t)
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionReviewed, Session: whole}))
	testkit.Check(t, log.Close())
	if _, err := verify(t, joined(), Trust{Key: second}); !isDisproof(err) || !strings.Contains(err.Error(), "nor an earlier one") {
		t.Errorf("beyond the end: %v", err)
	}
	if code, out := python(t, joined(), "--log-key", second); code != 1 || !strings.Contains(out, "nor an earlier one") {
		t.Errorf("beyond the end: python3: %d %s", code, out)
	}
	if _, err := verify(t, joined(), Trust{Key: first}); err != nil { // as was said of old keys
		t.Errorf("by the old key alone: %v", err)
	}
}

func unless(b bool, data []byte) []byte {
	if b {
		return nil
	}
	return data
}

// at is where the first file lies that is called so.
func at(all []file, prefix string) int {
	return slices.IndexFunc(all, func(f file) bool { return strings.HasPrefix(f.name, prefix) })
}

// The proof of one record isn't taken for a bundle, and is called what it is.
func TestAProofIsNoBundle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	path := filepath.Join(s.dir, "1.tlog-proof")
	testkit.WriteFile(t, path, string(testkit.Must(s.Prove(1))(t).Marshal()))
	if _, _, _, err := OpenFile(path); !errors.Is(err, ErrNotBundle) || !strings.Contains(err.Error(), "the proof of one record") {
		t.Errorf("%v", err)
	}
	if rep, err := VerifyFile(path, Trust{Key: s.Key}); err != nil || len(rep.Events) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A file that can't be read is neither a bundle nor a record's proof.
func TestAReadErrorIsNoProof(t *testing.T) {
	t.Parallel()
	var path *os.PathError
	if _, _, _, err := OpenFile(t.TempDir()); !errors.As(err, &path) || errors.Is(err, ErrNotBundle) || strings.Contains(err.Error(), "proof") {
		t.Errorf("%v", err)
	}
}
