package transfer

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// plant makes a tree of files of random content and gives the digest of each by
// path.
func plant(t testing.TB, dir string, largest int) map[string]string {
	t.Helper()
	names := []string{"a", "sp ace", "Ümlaut", "sub/b.csv", "sub/c'd", "sub/deep/e f", "sub/deep/largest"}
	random := rand.New(rand.NewPCG(3, 4))
	sums := map[string]string{}
	for i, size := range sizes(len(names), largest, random) {
		path := filepath.Join(dir, names[i])
		testkit.Check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		fill(t, path, min(size, largest), random)
		sums[names[i]] = hex.EncodeToString(sha(t, path))
	}
	return sums
}

// sumsBelow is what is below dir, by path.
func sumsBelow(t testing.TB, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	testkit.Check(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			sums[strings.TrimPrefix(path, dir+"/")] = hex.EncodeToString(sha(t, path))
		}
		return err
	}))
	return sums
}

// told is what the manifests of runs say of content: digests by path.
func told(t testing.TB, runs []run, operation string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, r := range runs {
		for _, e := range r.Entries {
			if e.Operation == operation {
				if e.Outcome != OK || e.SHA256 == nil {
					t.Errorf("%s", line(e))
				}
				sums[e.Path] = hex.EncodeToString(e.SHA256)
			}
		}
	}
	return sums
}

func alike(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for path, sum := range want {
		if got[path] != sum {
			t.Errorf("%s: %q has %q, want %q", what, path, got[path], sum)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s: %q is there", what, path)
		}
	}
}

// TestSoakScpHashes has OpenSSH's scp copy trees both ways: every file is in the
// manifest, with the digest that sha256sum gives.
func TestSoakScpHashes(t *testing.T) {
	largest := testkit.Long(4<<20, 64<<20)
	here := t.TempDir()
	want := plant(t, here, largest)
	g := newTarget(t, "upload,download")

	result, runs := g.run(t, here, "scp", "-O", "-S", g.ssh(t), "-rp", "a", "sp ace", "Ümlaut", "sub", "home:")
	if result.Code != 0 {
		t.Fatal(result)
	}
	alike(t, "at the target", sumsBelow(t, g.dir), want)
	alike(t, "manifest of the upload", told(t, runs, "put"), want)

	back := t.TempDir()
	result, runs = g.run(t, back, "scp", "-O", "-S", g.ssh(t), "-rp", "home:a", "home:sp\\ ace", "home:Ümlaut", "home:sub", ".")
	if result.Code != 0 {
		t.Fatal(result)
	}
	alike(t, "at the client", sumsBelow(t, back), want)
	alike(t, "manifest of the download", told(t, runs, "get"), want)
}

// TestScpLines has OpenSSH's scp ask in its many ways; what it asks for comes.
func TestScpLines(t *testing.T) {
	here := t.TempDir()
	plant(t, here, 1<<10)
	g := newTarget(t, "upload,download")
	plant(t, g.dir, 1<<10)
	scp := []string{"scp", "-O", "-S", g.ssh(t)}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"a", "home:up"}, []string{"put upload up ok to=up/a"}},
		{[]string{"a", "home:new dir/"}, nil}, // OpenSSH sends both words
		{[]string{"a", "home:sub/deep/"}, []string{"put upload sub/deep/a ok"}},
		{[]string{"-v", "-p", "-C", "-l", "100000", "a", "home:"}, []string{"put upload a ok"}},
		{[]string{"-q", "a", "sp ace", "home:sub"}, []string{"put upload sub/a ok", "put upload sub/sp ace ok"}},
		{[]string{"-r", "sub", "home:fresh"}, []string{
			"mkdir  fresh ok to=fresh/sub",
			"put upload fresh/b.csv ok to=fresh/sub/b.csv", "put upload fresh/c'd ok to=fresh/sub/c'd",
			"mkdir  fresh/deep ok to=fresh/sub/deep",
			"put upload fresh/deep/e f ok to=fresh/sub/deep/e f", "put upload fresh/deep/largest ok to=fresh/sub/deep/largest",
		}},
		{[]string{"home:a", "got"}, []string{"get download a ok"}},
		{[]string{"home:./sub/*.csv", "home:sub/c\\'d", "."}, []string{"get download ./sub/b.csv ok", "get download sub/c'd ok"}},
		{[]string{"-T", "home:'sp ace' Ümlaut", "."}, []string{"get download sp ace ok", "get download Ümlaut ok"}},
		{[]string{"-r", "home:sub/deep", "got2"}, []string{"get download sub/deep/a ok", "get download sub/deep/e f ok", "get download sub/deep/largest ok"}},
		{[]string{"home:" + g.dir + "/a", "."}, []string{"get download " + g.dir + "/a ok"}},
		{[]string{"home:nothing", "."}, []string{"get download nothing failed"}},
		{[]string{"a", "home:none/there"}, []string{"put upload none/there failed to=none/there/a"}},
		{[]string{"home:sub", "."}, []string{"get download sub failed"}},
	} {
		result, runs := g.run(t, here, append(slices.Clone(scp), tt.args...)...)
		var got []string
		for _, r := range runs {
			if r.Error != "" {
				t.Errorf("%q: %s", tt.args, r.Error)
			}
			for _, e := range r.Entries {
				e.SHA256, e.Unknown, e.Detail = nil, "", ""
				before, after, _ := strings.Cut(line(e), fmt.Sprintf(" size=%d", e.Size))
				got = append(got, before+after)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(tt.want))
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q\n%s", tt.args, got, want, result)
		}
	}
}

// TestScpWithoutRight has the real client show the reason: of a program that
// isn't started, and of a right that is lost before a file.
func TestScpWithoutRight(t *testing.T) {
	here := t.TempDir()
	plant(t, here, 1<<10)
	for _, tt := range []struct {
		may    string
		args   []string
		status int
		want   []string
	}{
		{"download", []string{"a", "home:up"}, 255, nil},
		{"upload", []string{"home:a", "got"}, 255, nil},
		{"once upload", []string{"a", "home:up"}, 1, []string{"put upload up refused to=up/a size=0 unknown=it was refused detail=entry: you may not upload here: ask Ines"}},
		{"once upload", []string{"-r", "sub", "home:up"}, 1, []string{"mkdir  up refused to=up/sub unknown=it was refused detail=entry: you may not upload here: ask Ines"}},
		{"once download", []string{"home:a", "got"}, 1, []string{"get download a refused size=0 unknown=it was refused detail=entry: you may not download here: ask Ines"}},
	} {
		g := newTarget(t, tt.may)
		plant(t, g.dir, 1<<10)
		before := sumsBelow(t, g.dir)
		result, runs := g.run(t, here, append([]string{"scp", "-O", "-S", g.ssh(t)}, tt.args...)...)
		if result.Code == 0 || len(runs) != 1 || runs[0].Status != tt.status || !strings.Contains(result.Stderr, "entry: you may not") {
			t.Errorf("%s %q: %s %+v", tt.may, tt.args, result, runs)
			continue
		}
		var got []string
		for _, e := range runs[0].Entries {
			got = append(got, line(e))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s %q: %q", tt.may, tt.args, got)
		}
		alike(t, "at the target", sumsBelow(t, g.dir), before)
		if _, err := os.Lstat(filepath.Join(here, "got")); err == nil {
			t.Error("a file came")
		}
	}
}
