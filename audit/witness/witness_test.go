//go:build linux

package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	format "github.com/transparency-dev/formats/note"
	theirclient "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/persistence/inmemory"
	theirs "github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/configs"
	"entry/e2e/testkit"
)

// growing is a log in memory, which can show any of its past and another one that
// differs from it from one record on.
type growing struct {
	t      testing.TB
	signer note.Signer
	public string
	hashes []tlog.Hash
	n      int64
}

func newGrowing(t testing.TB, name string) *growing {
	s, v, err := audit.GenerateKey(name)
	testkit.Check(t, err)
	return &growing{t: t, signer: testkit.Must(note.NewSigner(s))(t), public: v}
}

func (g *growing) ReadHashes(at []int64) (out []tlog.Hash, err error) {
	for _, i := range at {
		out = append(out, g.hashes[i])
	}
	return out, nil
}

// grow adds records until there are n.
func (g *growing) grow(n int64, what string) *growing {
	for ; g.n < n; g.n++ {
		more := testkit.Must(tlog.StoredHashes(g.n, fmt.Appendf(nil, "%s %d", what, g.n), g))(g.t)
		g.hashes = append(g.hashes, more...)
	}
	return g
}

func (g *growing) at(size int64) []byte {
	root := testkit.Must(tlog.TreeHash(size, g))(g.t)
	return g.signed(fmt.Sprintf("%s\n%d\n%s\n", g.signer.Name(), size, root))
}

func (g *growing) signed(text string) []byte {
	return testkit.Must(note.Sign(&note.Note{Text: text}, g.signer))(g.t)
}

func (g *growing) Consistency(from, to uint64) ([]tlog.Hash, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	return tlog.ProveTree(int64(to), int64(from), g)
}

// request asks for size, as if the witness knew old.
func (g *growing) request(old, size int64) request {
	return request{uint64(old), testkit.Must(g.Consistency(uint64(old), uint64(size)))(g.t), g.at(size)}
}

// newWitness is one in a directory of its own that knows these logs.
func newWitness(t testing.TB, logs ...*growing) (*Witness, string) {
	dir := filepath.Join(t.TempDir(), "witness")
	testkit.Must(Init(dir, "witness.example/w1"))(t)
	var text string
	for _, g := range logs {
		text += g.public + "\n"
	}
	testkit.WriteFile(t, filepath.Join(dir, logsName), text)
	w := testkit.Must(Open(dir))(t)
	t.Cleanup(func() { testkit.Check(t, w.Close()) })
	return w, dir
}

func TestAnswers(t *testing.T) {
	a, b := newGrowing(t, "a.example/log").grow(20, "a"), newGrowing(t, "b.example/log").grow(20, "b")
	other := &growing{t: t, signer: a.signer, public: a.public}
	other.grow(4, "a").grow(20, "other") // the same key, and another record from the fifth on
	stranger := newGrowing(t, "a.example/log").grow(20, "a")
	w, _ := newWitness(t, a, b)
	var told []Answered
	h := w.Handler(func(a Answered) { told = append(told, a) })
	post := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(body))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	text := func(r request) string { return string(r.append(nil)) }
	root := testkit.Must(tlog.TreeHash(9, a))(t)
	steps := []struct {
		name, body string
		status     int
		says       string
	}{
		{"nothing", "", 400, "malformed"},
		{"no old size", "size 0\n\n" + string(a.at(3)), 400, ""},
		{"zeros before the size", "old 00\n\n" + string(a.at(3)), 400, ""},
		{"a sign before the size", "old +0\n\n" + string(a.at(3)), 400, ""},
		{"no end of the proof", "old 0\n", 400, ""},
		{"a short hash", "old 0\nAAAA\n\n" + string(a.at(3)), 400, ""},
		{"64 hashes", "old 0\n" + strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 64) + "\n" + string(a.at(3)), 400, ""},
		{"no note", "old 0\n\nhello\n", 400, ""},
		{"beyond the bound", "old 0\n\n" + strings.Repeat("x", maxRequest), 400, ""},
		{"another origin", text(newGrowing(t, "c.example/log").grow(3, "c").request(0, 3)), 404, ""},
		{"another key", text(stranger.request(0, 3)), 403, ""},
		{"a signature that isn't", strings.Replace(text(a.request(0, 3)), "\n3\n", "\n4\n", 1), 403, ""},
		{"signed, and no checkpoint", "old 0\n\n" + string(a.signed("a.example/log\nthree\n"+root.String()+"\n")), 400, ""},
		{"zeros before its size", "old 0\n\n" + string(a.signed("a.example/log\n09\n"+root.String()+"\n")), 400, ""},
		{"a size beyond any", "old 0\n\n" + string(a.signed("a.example/log\n18446744073709551615\n"+root.String()+"\n")), 400, ""},
		{"old beyond the checkpoint", text(request{9, nil, a.at(3)}), 400, ""},
		{"old that was never", text(a.request(2, 3)), 409, "0\n"},
		{"a proof of nothing", text(request{0, make([]tlog.Hash, 1), a.at(3)}), 422, ""},
		{"no records, and their root isn't", "old 0\n\n" + string(a.signed("a.example/log\n0\n"+root.String()+"\n")), 422, ""},
		{"no records", text(a.request(0, 0)), 200, "— witness.example/w1 "},
		{"the first", text(a.request(0, 3)), 200, "— witness.example/w1 "},
		{"the same again", text(a.request(3, 3)), 200, "— witness.example/w1 "},
		{"from nothing again", text(a.request(0, 9)), 409, "3\n"},
		{"smaller", text(a.request(0, 2)), 409, "3\n"},
		{"growth without proof", text(request{3, nil, a.at(9)}), 422, ""},
		{"growth with another's proof", text(request{3, b.request(3, 9).proof, a.at(9)}), 422, ""},
		{"growth", text(a.request(3, 9)), 200, "— witness.example/w1 "},
		{"another tree of the same size", text(request{9, nil, other.at(9)}), 409, "same size"},
		{"the same with a proof", text(request{9, make([]tlog.Hash, 2), a.at(9)}), 422, ""},
		{"another tree that grew", text(other.request(9, 12)), 422, ""},
		{"lines of the log's own", "old 9\n\n" + string(a.signed(fmt.Sprintf("a.example/log\n9\n%s\nmore of it\n", root))), 200, "— "},
		{"the other log", text(b.request(0, 9)), 200, "— witness.example/w1 "},
	}
	for _, s := range steps {
		rec := post(s.body)
		if rec.Code != s.status || !strings.HasPrefix(rec.Body.String(), s.says) && !strings.Contains(rec.Body.String(), "same size") {
			t.Errorf("%s: %d %q, want %d %q", s.name, rec.Code, rec.Body, s.status, s.says)
		}
		isSize := rec.Header().Get("Content-Type") == "text/x.tlog.size"
		if want := rec.Code == 409 && !strings.Contains(rec.Body.String(), "same size"); isSize != want {
			t.Errorf("%s: content type %q", s.name, rec.Header().Get("Content-Type"))
		}
		last := told[len(told)-1]
		if evidence := last.Evidence != ""; evidence != (s.status == 422 || s.status == 409 && !isSize) {
			t.Errorf("%s: evidence kept: %v", s.name, evidence)
		}
	}
	for _, r := range []*http.Request{httptest.NewRequest("GET", "/add-checkpoint", nil), httptest.NewRequest("POST", "/", nil), httptest.NewRequest("GET", "/state", nil)} {
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != 404 && rec.Code != 405 {
			t.Errorf("%s %s: %d", r.Method, r.URL, rec.Code)
		}
	}
}

// A log may have two keys while it changes them, and its checkpoints either's
// signature: its origin, and what is known of it, stay.
func TestKeyRotation(t *testing.T) {
	before := newGrowing(t, "a.example/log").grow(9, "a")
	after := newGrowing(t, "a.example/log").grow(9, "a")
	w, _ := newWitness(t, before, after)
	for _, r := range []request{before.request(0, 3), after.request(3, 5)} {
		if _, err := w.add(r); err != nil {
			t.Fatal(err)
		}
	}
	w.Know(testkit.Must(ParseLogs(after.public))(t))
	if _, err := w.add(before.request(5, 6)); !errors.Is(err, errSigner) {
		t.Errorf("the key that was taken away: %v", err)
	}
	if _, err := w.add(after.request(5, 6)); err != nil {
		t.Error(err)
	}
}

// Once a log has grown by another key, the one before is worth nothing to whoever still has it,
// though its line stands there still, and after a start too; to ask whether the next key is
// taken, at the size that is known, changes nothing.
func TestAKeyThatWasChanged(t *testing.T) {
	before := newGrowing(t, "a.example/log").grow(9, "a")
	after := newGrowing(t, "a.example/log").grow(9, "a")
	w, dir := newWitness(t, before, after)
	for _, r := range []request{before.request(0, 3), after.request(3, 3), before.request(3, 4), after.request(4, 5)} {
		if _, err := w.add(r); err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(w *Witness) {
		t.Helper()
		for _, r := range []request{before.request(5, 5), before.request(5, 6)} {
			if v, err := w.add(r); !errors.Is(err, errSpent) || status(err) != 403 || v.lines != "" {
				t.Errorf("by the key of before: %v", err)
			}
		}
	}
	refuses(w)
	testkit.Check(t, w.Close())
	again := testkit.Must(Open(dir))(t)
	w.close = again.close
	refuses(again)
	if _, err := again.add(after.request(5, 6)); err != nil {
		t.Error(err)
	}
}

// TestAtOnce: of two histories that are pushed at the same time one is cosigned.
func TestAtOnce(t *testing.T) {
	a := newGrowing(t, "a.example/log").grow(3, "a")
	w, dir := newWitness(t, a)
	testkit.Must(w.add(a.request(0, 3)))(t)
	type got struct {
		size  uint64
		lines string
	}
	var mu sync.Mutex
	var all []got
	var wait sync.WaitGroup
	for i := range 16 {
		branch := &growing{t: t, signer: a.signer, public: a.public}
		branch.grow(3, "a").grow(9, fmt.Sprint("branch ", i%4))
		wait.Go(func() {
			for size := int64(4); size <= 9; size++ {
				if v, err := w.add(branch.request(size-1, size)); err == nil {
					mu.Lock()
					all = append(all, got{v.head.size, v.head.root.String()})
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	roots := map[uint64]string{}
	for _, g := range all {
		if first, ok := roots[g.size]; ok && first != g.lines {
			t.Errorf("two trees of %d records were cosigned", g.size)
		}
		roots[g.size] = g.lines
	}
	if len(all) == 0 {
		t.Error("none was cosigned")
	}
	largest := slices.MaxFunc(all, func(a, b got) int { return int(a.size) - int(b.size) })
	testkit.Check(t, w.Close())
	again := testkit.Must(Open(dir))(t)
	w.close = again.close
	if k := again.known["a.example/log"]; k.size != largest.size || k.root.String() != largest.lines {
		t.Errorf("after a start it knows %d records, %d were cosigned", k.size, largest.size)
	}
}

// broken is a disk that fails.
type broken struct{}

func (broken) keep(stored) error { return errors.New("disk failed") }

// What can't be kept isn't cosigned, and isn't known afterwards.
func TestNothingBeforeItIsKept(t *testing.T) {
	a := newGrowing(t, "a.example/log").grow(9, "a")
	w, _ := newWitness(t, a)
	testkit.Must(w.add(a.request(0, 3)))(t)
	good := w.keeper
	w.keeper = broken{}
	for _, r := range []request{a.request(3, 5), a.request(3, 4)} {
		if v, err := w.add(r); err == nil || v.lines != "" || status(err) != 500 {
			t.Fatalf("cosigned without a disk: %q, %v", v.lines, err)
		}
	}
	w.keeper = good
	testkit.Must(w.add(a.request(3, 4)))(t)
}

// TestState: a witness that doesn't know what it has cosigned cosigns nothing.
func TestState(t *testing.T) {
	a := newGrowing(t, "a.example/log").grow(9, "a")
	w, dir := newWitness(t, a)
	testkit.Must(w.add(a.request(0, 3)))(t)
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	testkit.Check(t, w.Close())
	w.close = func() error { return nil }
	path := filepath.Join(dir, stateName)
	good := testkit.ReadFile(t, path)
	for name, bad := range map[string]string{
		"empty": "", "cut": good[:len(good)/2], "another size": strings.Replace(good, `\n3\n`, `\n2\n`, 1),
		"unsigned": `{"checkpoints":["a.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"]}`,
	} {
		testkit.WriteFile(t, path, bad)
		if _, err := Open(dir); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	testkit.Check(t, os.Remove(path))
	if _, err := Open(dir); !errors.Is(err, ErrNoState) {
		t.Errorf("missing: %v", err)
	}
	testkit.WriteFile(t, path, good)
	again := testkit.Must(Open(dir))(t)
	defer again.Close()
	if _, err := again.add(a.request(0, 2)); !errors.As(err, new(*errSize)) {
		t.Errorf("smaller, after a start: %v", err)
	}
	if _, err := Init(dir, "x"); !errors.Is(err, os.ErrExist) {
		t.Errorf("init over a witness: %v", err)
	}
}

// TestTheirClient has transparency-dev's client grow a log at our witness, from every
// size to every one.
func TestTheirClient(t *testing.T) {
	const most = 18
	w, _ := newWitness(t)
	key := testkit.Must(format.NewVerifierForCosignatureV1(w.PublicKey()))(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.Handler(nil).ServeHTTP(rw, r) // with new rates each time: this isn't about those
	}))
	defer server.Close()
	client := theirclient.NewWitness(testkit.Must(url.Parse(server.URL))(t), server.Client())
	for from := int64(0); from <= most; from++ {
		for to := from; to <= most; to++ {
			g := newGrowing(t, fmt.Sprintf("a.example/%d-%d", from, to)).grow(most, "a")
			w.Know(testkit.Must(ParseLogs(g.public))(t))
			for _, step := range [][2]int64{{0, from}, {from, to}} {
				r := g.request(step[0], step[1])
				var proof [][]byte
				for _, h := range r.proof {
					proof = append(proof, h[:])
				}
				lines, _, err := client.Update(t.Context(), r.old, r.checkpoint, proof)
				if err != nil {
					t.Fatalf("%d to %d: %v", step[0], step[1], err)
				}
				if n, err := note.Open(append(r.checkpoint, lines...), note.VerifierList(key)); err != nil || len(n.Sigs) != 1 {
					t.Fatalf("%d to %d: no cosignature: %v", step[0], step[1], err)
				}
			}
		}
	}
	g := newGrowing(t, "a.example/errors").grow(9, "a")
	other := (&growing{t: t, signer: g.signer, public: g.public}).grow(9, "other")
	for _, s := range []struct {
		know string
		r    request
		want error
		size uint64
	}{
		{"", g.request(0, 3), theirs.ErrUnknownLog, 0},
		{newGrowing(t, "a.example/errors").public, g.request(0, 3), theirs.ErrNoValidSignature, 0},
		{g.public, g.request(2, 3), theirs.ErrCheckpointStale, 0},
		{g.public, g.request(0, 4), nil, 0},
		{g.public, g.request(3, 5), theirs.ErrCheckpointStale, 4},
		{g.public, request{9, nil, g.at(5)}, theirs.ErrOldSizeInvalid, 0},
		{g.public, request{4, nil, other.at(4)}, theirs.ErrRootMismatch, 0},
		{g.public, other.request(4, 5), theirs.ErrInvalidProof, 0},
	} {
		w.Know(testkit.Must(ParseLogs(s.know))(t))
		var proof [][]byte
		for _, h := range s.r.proof {
			proof = append(proof, h[:])
		}
		_, size, err := client.Update(t.Context(), s.r.old, s.r.checkpoint, proof)
		if !errors.Is(err, s.want) || size != s.size {
			t.Errorf("%d to %q: %v, size %d; want %v, %d", s.r.old, s.r.checkpoint, err, size, s.want, s.size)
		}
	}
}

// TestTheirWitness has our client get cosignatures from transparency-dev's witness.
func TestTheirWitness(t *testing.T) {
	g := newGrowing(t, "a.example/log").grow(40, "a")
	skey, vkey, err := note.GenerateKey(nil, "their.example/w")
	testkit.Check(t, err)
	signer := testkit.Must(format.NewSignerForCosignatureV1(skey))(t)
	known := map[string]string{g.signer.Name(): g.public}
	w := testkit.Must(theirs.New(t.Context(), theirs.Opts{Persistence: inmemory.New(), Signers: []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			key, ok := known[origin]
			if !ok {
				return nil, false, nil
			}
			v, err := note.NewVerifier(key)
			return v, true, err
		}}))(t)
	server := httptest.NewServer(http.HandlerFunc(theirs.NewHTTPHandler(w).AddCheckpoint))
	defer server.Close()
	p := testkit.Must(NewPeer(configs.Witness{URL: server.URL, Key: vkey}))(t)
	defer p.Close()
	// known is wrong now and then: the witness's word counts.
	for i, size := range []uint64{1, 2, 3, 3, 7, 8, 9, 16, 31, 40} {
		line, err := p.cosign(t.Context(), g, g.at(int64(size)), size, uint64(i*4%41))
		if err != nil {
			t.Fatalf("%d records: %v", size, err)
		}
		n, err := note.Open([]byte(string(g.at(int64(size)))+line), note.VerifierList(p.verifier))
		if err != nil {
			t.Fatalf("%d records: %q: %v", size, line, err)
		}
		if at := testkit.Must(format.CoSigV1Timestamp(n.Sigs[0]))(t); time.Since(at).Abs() > time.Minute {
			t.Errorf("cosigned at %v", at)
		}
	}
	if _, err := p.cosign(t.Context(), g, g.at(9), 9, 9); !errors.Is(err, ErrBehind) {
		t.Errorf("put back: %v", err)
	}
	other := (&growing{t: t, signer: g.signer, public: g.public}).grow(45, "other")
	for _, size := range []uint64{40, 45} {
		if _, err := p.cosign(t.Context(), other, other.at(int64(size)), size, 40); !errors.Is(err, ErrForked) {
			t.Errorf("another log of %d records: %v", size, err)
		}
	}
	delete(known, g.signer.Name())
	if _, err := p.cosign(t.Context(), g, g.at(40), 40, 40); !errors.Is(err, ErrRefused) {
		t.Errorf("unknown: %v", err)
	}
}

// FuzzRequest: what parses is written the same way again.
func FuzzRequest(f *testing.F) {
	g := newGrowing(f, "a.example/log").grow(9, "a")
	for _, r := range []request{g.request(0, 0), g.request(0, 3), g.request(3, 9)} {
		f.Add(r.append(nil))
	}
	f.Add([]byte("old 1\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		if again := r.append(nil); string(again) != string(body) {
			t.Fatalf("%q is written %q", body, again)
		}
		text, _, _ := strings.Cut(string(r.checkpoint), "\n\n")
		if h, err := parseHead(text + "\n"); err == nil && h.size>>63 != 0 {
			t.Fatalf("size %d", h.size)
		}
	})
}
