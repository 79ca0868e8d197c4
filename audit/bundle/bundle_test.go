//go:build linux

package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// Both implementations agree on bundles as they are written: with every session's end,
// against whatever keys.
func TestBundles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := newSite(t)
	without := s.Source
	without.Recordings = ""
	for _, tt := range []struct {
		id      string
		from    Source
		records int
		later   int
		state   recording.State
		words   string
	}{
		{whole, s.Source, 4, 1, recording.Complete, "complete, "},
		{cut, s.Source, 4, 0, recording.StateAborted, "cut by a crash"},
		{whole, without, 4, 1, "", ""},
	} {
		var made bytes.Buffer
		sum := testkit.Must(tt.from.Write(&made, tt.id))(t)
		b := made.Bytes()
		if sum.Records != tt.records || sum.Later != tt.later || len(sum.Cosigned) != 1 || (sum.Recording > 0) != (tt.state != "") {
			t.Errorf("%s: %+v", tt.id, sum)
		}
		for _, trust := range []Trust{{}, {Key: s.Key}, {Key: s.Key, Witnesses: s.Witnesses}, {Key: s.Key, Witnesses: s.Witnesses, Need: 1}} {
			rep, err := verify(t, b, trust)
			if err != nil || len(rep.Events) != tt.records || len(rep.Cosigned) != 1 || rep.OwnKey != (trust.Key == "") || rep.OwnNames != (trust.Witnesses == nil) {
				t.Errorf("%s against %+v: %+v, %v", tt.id, trust, rep, err)
			}
			if tt.state == "" != (rep.Recording == nil) || rep.Recording != nil && rep.Recording.State != tt.state {
				t.Errorf("%s: %+v", tt.id, rep.Recording)
			}
		}
		code, out := python(t, b, "--log-key", s.Key, "--witness", s.Witnesses[0])
		if code != 0 || !strings.Contains(out, fmt.Sprintf("%d records proven to stand in the log entry.test, of ", tt.records)) || !strings.Contains(out, "cosigned by w.example (") || !strings.Contains(out, tt.words) {
			t.Errorf("%d, %s", code, out)
		}
		// Who makes a bundle could make up witnesses.
		const own = "), by a key that the bundle itself names\n"
		if strings.Contains(out, own) {
			t.Errorf("%s", out)
		}
		if code, out := python(t, b, "--log-key", s.Key); code != 0 || !strings.Contains(out, own) || !strings.Contains(out, "no witness whose key was given") {
			t.Errorf("%d, %s", code, out)
		}
		for _, tt := range []struct {
			args []string
			code int
			want string
		}{
			{[]string{"--witness", s.Witnesses[0], "--witness", other.Witnesses[0], "--need", "1"}, 0, "cosigned by w.example ("},
			{[]string{"--witness", s.Witnesses[0], "--witness", other.Witnesses[0], "--need", "2"}, 1, "NOT PROVEN: the tree head lacks cosignatures: of w.example\n"},
			{[]string{"--witness", s.Witnesses[0], "--witness", s.Witnesses[0], "--need", "2"}, 2, "at most as many as witnesses are given"},
			{[]string{"--need", "1"}, 2, "at most as many as witnesses are given"},
			{[]string{"--witness", s.Witnesses[0] + "A"}, 2, "no key: '" + s.Witnesses[0] + "A' isn't a witness's public key, or has a mistyped character\n"},
			{[]string{"--witness", s.Key}, 2, "no key: '" + s.Key + "' isn't a witness's"},
			{[]string{"--log-key", "none.pub"}, 2, "no key: 'none.pub' isn't a log's"},
			{[]string{"--log-key", "verify_bundle.py"}, 2, "no key: "},
		} {
			if code, out := python(t, b, tt.args...); code != tt.code || !strings.Contains(out, tt.want) || strings.Contains(out, "not a bundle") {
				t.Errorf("%q: %d, %s", tt.args, code, out)
			}
		}
		if code, out := python(t, b); code != 0 || !strings.Contains(out, "whose log it is isn't shown") {
			t.Errorf("%d, %s", code, out)
		}
		for what, trust := range map[string]Trust{"another log's key": {Key: other.Key}, "a witness that hasn't": {Key: s.Key, Witnesses: other.Witnesses}} {
			if _, err := verify(t, b, trust); !isDisproof(err) {
				t.Errorf("%s: %v", what, err)
			}
			args := []string{"--log-key", trust.Key}
			for _, w := range trust.Witnesses {
				args = append(args, "--witness", w)
			}
			if code, out := python(t, b, args...); code != 1 || !strings.HasPrefix(out, "NOT PROVEN: ") {
				t.Errorf("%s: %d, %s", what, code, out)
			}
		}
		if !bytes.Equal(b, func() []byte {
			var again bytes.Buffer
			testkit.Must(tt.from.Write(&again, tt.id))(t)
			return again.Bytes()
		}()) {
			t.Error("the same session makes another file")
		}
	}
	if _, err := s.Write(io.Discard, runs); !errors.Is(err, ErrRunning) {
		t.Errorf("of a running session: %v", err)
	}
	if _, err := s.Write(io.Discard, gone); !errors.Is(err, ErrUnknown) {
		t.Errorf("of an unknown session: %v", err)
	}
}

func isDisproof(err error) bool {
	var d *Disproof
	return errors.As(err, &d)
}

// No witness has the last records: they are proven against the log's own tree head.
func TestWithoutWitness(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	size := s.log.Position().Size
	r := testkit.Must(s.Prove(size))(t)
	rep, err := r.Verify(Trust{Key: s.Key})
	if err != nil || rep.Size != size || len(rep.Cosigned) != 0 || rep.Events[0].Type != audit.RecordingRead {
		t.Errorf("%+v, %v", rep, err)
	}
	r = testkit.Must(s.Prove(1))(t)
	if rep, err := r.Verify(Trust{Key: s.Key, Witnesses: s.Witnesses}); err != nil || len(rep.Cosigned) != 1 || rep.Size >= size {
		t.Errorf("%+v, %v", rep, err)
	}
	text := r.Marshal()
	if code, out := python(t, text, "--log-key", s.Key, "--witness", s.Witnesses[0]); code != 0 || !strings.HasPrefix(out, "1 record proven to stand in the log entry.test, of ") || !strings.Contains(out, "cosigned by w.example (") || !strings.Contains(out, `"seq":1,`) {
		t.Errorf("by the script: %d, %s", code, out)
	}
	if code, out := python(t, text); code != 2 || !strings.Contains(out, "give the log's key") {
		t.Errorf("by the script, without a key: %d, %s", code, out)
	}
	for n := 0; n < len(text); n += max(1, len(text)/testkit.Long(20, 200)) {
		bad := bytes.Clone(text)
		bad[n] ^= 1
		if code, out := python(t, bad, "--log-key", s.Key, "--witness", s.Witnesses[0]); code != 1 && code != 2 {
			t.Errorf("byte %d changed: the script says %d, %s", n, code, out)
		}
	}
	if _, err := r.Verify(Trust{}); err == nil {
		t.Error("a record alone says whose log it is of")
	}
	if _, err := s.Prove(size + 1); err == nil {
		t.Error("a record that isn't there is proven")
	}
	again, err := ParseRecord(r.Marshal())
	if err != nil || !bytes.Equal(again.Marshal(), r.Marshal()) || again.Seq != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}

// file is one in a bundle.
type file struct {
	name string
	data []byte
}

func unpack(t *testing.T, b []byte) (all []file) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		testkit.Check(t, err)
		all = append(all, file{h.Name, testkit.Must(io.ReadAll(r))(t)})
	}
}

func pack(t *testing.T, all []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range all {
		testkit.Check(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: 0o644}))
		testkit.Must(w.Write(f.data))(t)
	}
	testkit.Check(t, w.Close())
	return b.Bytes()
}

// No byte of a bundle can be changed but in README.txt, no file be missing but records
// without which the recording is still proven, or stand for another one.
func TestTampered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, id := range []string{whole, cut} {
		all := unpack(t, s.made(id))
		fails := func(what string, files []file, both bool) {
			t.Helper()
			b := pack(t, files)
			_, err := verify(t, b, Trust{Key: s.Key, Witnesses: s.Witnesses})
			if err == nil {
				t.Errorf("%s: %s passes", id, what)
			}
			// What is wrong in a recording or its key is told as all else that isn't proven.
			if strings.HasPrefix(what, "recording/") && !isDisproof(err) && !errors.Is(err, ErrNotBundle) {
				t.Errorf("%s: %s: %v", id, what, err)
			}
			if !both || id != whole && testkit.Long(0, 1) == 0 {
				return
			}
			if code, out := python(t, b, "--log-key", s.Key, "--witness", s.Witnesses[0]); code != 1 && code != 2 {
				t.Errorf("%s: %s passes the script: %s", id, what, out)
			}
		}
		for n, f := range all {
			with := func(data []byte) []file {
				out := append([]file(nil), all...)
				out[n].data = data
				return out
			}
			if f.name == readmeName {
				continue
			}
			proven := len(f.data)
			if f.name == aboutName { // which witnesses there are is for the reader to know
				proven = bytes.Index(f.data, []byte(s.Key)) + len(s.Key)
			}
			for at := range proven {
				if at > 16 && at < len(f.data)-16 && at%testkit.Long(101, 1) != 0 {
					continue
				}
				data := bytes.Clone(f.data)
				data[at] ^= 1 << (at % 8)
				fails(fmt.Sprintf("%s with byte %d changed", f.name, at), with(data), at%97 == testkit.Long(-1, 0))
			}
			fails(f.name+" cut", with(f.data[:len(f.data)-1]), true)
			fails(f.name+" emptied", with(nil), true)
			fails(f.name+" grown", with(append(bytes.Clone(f.data), 0)), true)
			fails(f.name+" twice", append(append([]file(nil), all...), f), true)
			without := append(append([]file(nil), all[:n]...), all[n+1:]...)
			switch {
			case strings.HasSuffix(f.name, recording.Ext): // then it is the records alone
				if _, err := verify(t, pack(t, without), Trust{}); err == nil {
					t.Errorf("%s: a key without a recording passes", id)
				}
			case !strings.HasPrefix(f.name, "records/"):
				fails("without "+f.name, without, true)
			case n == 4 || n == 5: // session.started, and the end
				fails("without "+f.name, without, true)
			}
		}
		for _, name := range []string{"../x", "/etc/x", "recording/" + gone + ".rec", "records/x", "recording/" + id + ".rec.gz"} {
			fails("with "+name, append(append([]file(nil), all...), file{name, []byte("x")}), true)
		}
	}
	// A record of elsewhere, as true as the others.
	all := unpack(t, s.made(whole))
	foreign := testkit.Must(s.Prove(3))(t)
	name := recordName(3)
	mixed := append(append([]file(nil), all[:2]...), append([]file{}, all[2:]...)...)
	for i, f := range mixed {
		if f.name > name && strings.HasPrefix(f.name, "records/") {
			mixed = append(mixed[:i:i], append([]file{{name, foreign.Marshal()}}, mixed[i:]...)...)
			break
		}
	}
	if _, err := verify(t, pack(t, mixed), Trust{}); !isDisproof(err) {
		t.Errorf("with a record of somebody else: %v", err)
	}
}

// What a recording's log doesn't know isn't proven: of one that failed no bundle is made,
// and none passes, in either implementation; nor does a recording that was cut since.
func TestCutRecordings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fails := func(what string, b []byte) {
		t.Helper()
		if _, err := verify(t, b, Trust{Key: s.Key}); err == nil {
			t.Errorf("%s passes", what)
		}
		if code, out := python(t, b, "--log-key", s.Key); code != 1 && code != 2 || strings.Contains(out, "proven to stand") {
			t.Errorf("%s passes the script: %d, %s", what, code, out)
		}
	}
	all := unpack(t, s.made(whole))
	rec := filepath.Join(s.Recordings, whole+recording.Ext)
	data := testkit.ReadFile(t, rec)
	testkit.WriteFile(t, rec, data[:len(data)-1])
	if _, err := s.Write(io.Discard, whole); err == nil {
		t.Error("a bundle is made of a recording that was cut")
	}
	testkit.WriteFile(t, rec, data)
	// Somebody else's failure excuses nothing.
	s.append(audit.Event{Type: audit.RecordingFailed, Session: runs, Detail: "no space left on device"})
	testkit.Check(t, s.pusher.Round(t.Context()))
	failed := s.log.Position().Size
	foreign := testkit.Must(s.Prove(failed))(t)
	var same []file
	for _, f := range all {
		if strings.HasPrefix(f.name, "records/") { // against the same tree head
			seq := testkit.Must(ParseRecord(f.data))(t).Seq
			f.data = testkit.Must(s.Prove(seq))(t).Marshal()
		}
		if f.name == recordingName(whole, recording.Ext) {
			same = append(same, file{recordName(failed), foreign.Marshal()})
		}
		same = append(same, f)
	}
	fails("with another session's failure", pack(t, same))
	// Its own: nothing says how much of it there was.
	s.append(audit.Event{Type: audit.RecordingFailed, Session: cut, Detail: "no space left on device"})
	testkit.Check(t, s.pusher.Round(t.Context()))
	if _, err := s.Write(io.Discard, cut); !errors.Is(err, ErrFailed) {
		t.Errorf("of one that failed: %v", err)
	}
	only := s.Source
	only.Recordings = ""
	var b bytes.Buffer
	testkit.Must(only.Write(&b, cut))(t)
	if _, err := verify(t, b.Bytes(), Trust{Key: s.Key}); err != nil {
		t.Errorf("its records alone: %v", err)
	}
	with := unpack(t, b.Bytes())
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		with = append(with, file{recordingName(cut, ext), []byte(testkit.ReadFile(t, filepath.Join(s.Recordings, cut+ext)))})
	}
	fails("a recording that failed", pack(t, with))
}

// A record that is left out is told of, where every session has it; what is behind the tar
// file's end, and what is longer than it is, is refused.
func TestLacks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := unpack(t, s.made(whole)) // README.txt, bundle, two logins, start, end
	without := append(append([]file(nil), all[:2]...), all[4:]...)
	rep, err := verify(t, pack(t, without), Trust{Key: s.Key})
	if err != nil || len(rep.Lacks) != 1 || rep.Lacks[0] != lacksLogin {
		t.Errorf("%q, %v", rep.Lacks, err)
	}
	if code, out := python(t, pack(t, without), "--log-key", s.Key); code != 0 || !strings.Contains(out, "it lacks the record of the login") {
		t.Errorf("%d, %s", code, out)
	}
	key := filepath.Join(t.TempDir(), "audit.pub")
	testkit.WriteFile(t, key, s.Key+"\n")
	if code, out := python(t, pack(t, all), "--log-key", key); code != 0 {
		t.Errorf("with the key in a file: %d, %s", code, out)
	}
	if code, out := python(t, pack(t, all), "--log-key", "nothing"); code != 2 {
		t.Errorf("with no key: %d, %s", code, out)
	}
	sparse := func() []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, f := range all {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: 0o644}
			testkit.Check(t, w.WriteHeader(h))
			testkit.Must(w.Write(f.data))(t)
		}
		testkit.Check(t, w.Close())
		return b.Bytes()
	}
	for what, b := range map[string][]byte{
		"a second archive":   append(pack(t, all), pack(t, all)...),
		"junk at its end":    append(pack(t, all), 'x'),
		"a hole in a file":   bytes.Replace(sparse(), []byte(recordingName(whole, recording.Ext)), []byte("GNU.sparse.major=1\n"), 1),
		"compressed by gzip": {0x1f, 0x8b, 8, 0},
	} {
		if _, err := verify(t, b, Trust{Key: s.Key}); !errors.Is(err, ErrNotBundle) {
			t.Errorf("%s: %v", what, err)
		}
		if code, out := python(t, b, "--log-key", s.Key); code != 2 {
			t.Errorf("%s, by the script: %d, %s", what, code, out)
		}
	}
	if !sparseHeader("GNU.sparse.realsize") || sparseHeader("mtime") {
		t.Error("holes aren't told")
	}
}

func sparseHeader(key string) bool {
	return sparse(&tar.Header{PAXRecords: map[string]string{key: "8"}})
}

// A bundle of which a record's tree head was changed was a bundle: that is no wrong file, but
// not proven, for both.
func TestABrokenTreeHeadIsDisproof(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := unpack(t, s.made(whole))
	last := len(all) - 1
	for ; !strings.HasPrefix(all[last].name, "records/"); last-- {
	}
	signature := bytes.LastIndex(all[last].data, []byte("entry.test ")) + len("entry.test ") + 20
	all[last].data = bytes.Clone(all[last].data)
	if all[last].data[signature]++; all[last].data[signature] != 'B' {
		all[last].data[signature] = 'A' // base64 still
	}
	b := pack(t, all)
	if _, err := verify(t, b, Trust{Key: s.Key}); !isDisproof(err) || errors.Is(err, ErrNotBundle) {
		t.Errorf("%v", err)
	}
	if code, out := python(t, b, "--log-key", s.Key); code != 1 || !strings.HasPrefix(out, "NOT PROVEN: ") {
		t.Errorf("by the script: %d, %s", code, out)
	}
}

// Of a recording that a crash cut nobody reads that it is whole: not in the bundle's own
// words, nor in what is said of it.
func TestACrashIsToldToLayReaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for id, crashed := range map[string]bool{whole: false, cut: true} {
		b := s.made(id)
		about := string(unpack(t, b)[0].data)
		if strings.Contains(about, "the server's crash cut it") != crashed || strings.Contains(about, "whole from its first byte") == crashed {
			t.Errorf("%s: %s", id, about)
		}
		rep, err := verify(t, b, Trust{Key: s.Key})
		if said := strings.Join(rep.Notes(), "\n"); err != nil || strings.Contains(said, "a crash of the server cut the recording") != crashed {
			t.Errorf("%s: %s, %v", id, said, err)
		}
	}
}

// FuzzOpen: whatever a file says, reading it ends, writes nowhere else and says why.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("bundle"))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, x := range []file{{readmeName, []byte("x")}, {aboutName, []byte(Schema + "\n" + whole + "\nk\n")}, {recordName(1), []byte("c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nx\n1\nx\n")}, {recordingName(whole, ".rec"), []byte("x")}} {
		if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: x.name, Size: int64(len(x.data))}), func() error { _, err := w.Write(x.data); return err }()); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		into := filepath.Join(top, "into")
		testkit.Check(t, os.Mkdir(into, 0o700))
		o, err := Open(bytes.NewReader(b), into)
		if err == nil {
			_, err = o.Verify(Trust{})
		}
		if err == nil || err.Error() == "" {
			t.Errorf("%v", err)
		}
		for _, e := range testkit.Must(os.ReadDir(top))(t) {
			if e.Name() != "into" {
				t.Errorf("%s was written", e.Name())
			}
		}
	})
}

// FuzzParseRecord: what is read has one spelling.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nx\n1\nx\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err == nil && !bytes.Equal(r.Marshal(), b) {
			t.Errorf("%q is read as %q", b, r.Marshal())
		}
	})
}
