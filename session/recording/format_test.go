package recording

import (
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
)

var update = flag.Bool("update", false, "write testdata/v1 anew; only for a new version of the format")

// golden is a recording of version 1 with its auditor's identity.
const golden = "testdata/v1"

// TestFormatStays reads a recording that was written once. It fails when a
// change of the code changes the format.
func TestFormatStays(t *testing.T) {
	const dir = golden
	if *update {
		seal(t, dir, 1)
		testkit.Check(t, os.WriteFile(filepath.Join(dir, "identity"), []byte(auditor().String()+"\n"), 0o600))
	}
	f, err := os.Open(filepath.Join(dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	ids, err := age.ParseIdentities(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRecording(dir, id(1), ids...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // only read
	for i, want := range []string{"a", "b", "c"} {
		f, err := r.Next()
		if err != nil || string(f.Data) != want || f.At != time.Duration(i+1)*time.Second || f.Kind != Output {
			t.Fatalf("frame %d = %+v, %v", i, f, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if r.Segments() != 4 || r.Header().User != "alice" {
		t.Errorf("%d segments of %q", r.Segments(), r.Header().User)
	}
}

// TestMerkleRoot holds the roots that RFC 6962 implementations share; they come
// from certificate-transparency-go's tests.
func TestMerkleRoot(t *testing.T) {
	var leaves [][]byte
	for _, l := range []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"} {
		b, err := hex.DecodeString(l)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, b)
	}
	for n, want := range map[int]string{
		0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		if root := merkleRoot(leaves[:n]); hex.EncodeToString(root[:]) != want {
			t.Errorf("%d leaves: %x, want %s", n, root, want)
		}
	}
}

func TestRatchetForgets(t *testing.T) {
	r, err := newRatchet(newKey(), [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 100 {
		before := r.state
		key, err := r.next()
		if err != nil || seen[string(key)] || r.state == before || string(key) == string(r.state[:]) {
			t.Fatalf("a key or state came twice, %v", err)
		}
		seen[string(key)] = true
	}
}

// What scp wrote isn't known where it may have been told a folder or a name for the file.
func TestNamesOfFiles(t *testing.T) {
	for want, f := range map[string]File{
		`"a"`:                                 {Path: "a"},
		`"a" to "b"`:                          {Path: "a", To: "b", Protocol: "sftp", Operation: "rename"},
		`"a" (or "a/b", if that is a folder)`: {Path: "a", To: "a/b", Protocol: "scp", Operation: "put"},
	} {
		if got := f.Names(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
