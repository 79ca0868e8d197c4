package audit

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	format "github.com/transparency-dev/formats/log"

	"entry/e2e/testkit"
)

// TestTreeIsTlogs compares the right-edge tree with x/mod's, which stores and
// rereads every hash.
func TestTreeIsTlogs(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var ours tree
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := ours.root(); got != want {
			t.Fatalf("root of %d: %v, want %v", n, got, want)
		}
		line := fmt.Appendf(nil, "line %d", n)
		hashes, err := tlog.StoredHashes(n, line, reader)
		if err != nil {
			t.Fatal(err)
		}
		var got []tlog.Hash
		ours.add(tlog.RecordHash(line), func(h tlog.Hash) { got = append(got, h) })
		if fmt.Sprint(got) != fmt.Sprint(hashes) || len(got) != storedFor(uint64(n+1)) {
			t.Fatalf("stored for line %d: %v, want %v", n, got, hashes)
		}
		stored = append(stored, hashes...)
		if count := tlog.StoredHashCount(n + 1); int64(len(stored)) != count {
			t.Fatalf("%d stored hashes after line %d, want %d", len(stored), n, count)
		}
	}
}

// TestCheckpointIsC2SPs reads our checkpoint with transparency-dev's parser,
// the one witnesses and monitors use.
func TestCheckpointIsC2SPs(t *testing.T) {
	s, v, err := GenerateKey("entry.tinker.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(s)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(v)
	if err != nil {
		t.Fatal(err)
	}
	if derived, err := PublicOf(s); err != nil || derived != v {
		t.Fatalf("PublicOf: %v, %v", derived, err)
	}
	ours := checkpoint{size: 7, root: tlog.RecordHash([]byte("x"))}
	signed, err := ours.sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	theirs, rest, _, err := format.ParseCheckpoint(signed, "entry.tinker.example", verifier)
	if err != nil || len(rest) != 0 {
		t.Fatalf("rest %q, %v", rest, err)
	}
	if theirs.Size != 7 || string(theirs.Hash) != string(ours.root[:]) || theirs.Origin != "entry.tinker.example" {
		t.Errorf("%+v", theirs)
	}
	if string(theirs.Marshal()) != ours.text("entry.tinker.example") {
		t.Errorf("text %q, theirs %q", ours.text("entry.tinker.example"), theirs.Marshal())
	}
	if back, err := openCheckpoint(signed, testkit.Must(KeysOf(v, nil))(t)); err != nil || back != ours {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestGenerateKeyNames(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b", "a\nb", "å"} {
		if _, _, err := GenerateKey(name); err == nil {
			t.Errorf("%q accepted", name)
		}
	}
}
