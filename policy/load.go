package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"entry/policy/strict"
)

// A policy larger than this is a mistake or an attack, not a reviewed text.
const (
	maxFiles     = 1000
	maxTotalSize = 32 << 20 // bytes, all files together
)

// Check is asked about a policy whose files are right, before its tests run.
// What it returns is reported with what else there is; what isn't a warning
// refuses the policy. It doesn't keep the policy, and changes nothing.
type Check func(*Policy) strict.Problems

// Load reads every *.yaml and *.yml file of dir, in the order of their names,
// and runs the tests they hold. Hidden files and other names are left alone;
// folders inside dir aren't read, with a warning. An empty directory is a
// policy that denies everything.
//
// The error is [strict.Problems], every one that was found, where the files are to
// blame, and anything else where dir can't be read. Nobody else may be able to
// write to dir or the files: whoever can makes the policy.
func Load(dir string, checks ...Check) (*Policy, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("load policy %s: not a directory", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	var files []strict.File
	var found strict.Problems
	if strict.WorldWritable(info) {
		found = append(found, strict.Problem{File: dir, Code: strict.CodeUnreadable, Message: "every account may write to this directory; take that away (chmod o-w)"})
	}
	total := 0
	for _, e := range entries { // ReadDir sorts by name
		path := filepath.Join(dir, e.Name())
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.IsDir() {
			found = append(found, strict.Problem{File: path, Code: codeIgnoredContent, Warning: true, Message: "folders inside the policy directory aren't read"})
			continue
		}
		if ext != ".yaml" && ext != ".yml" {
			continue
		}
		f, problem := strict.ReadFile(path)
		if problem != nil {
			found = append(found, *problem)
			continue
		}
		files = append(files, f)
		if total += len(f.Data); len(files) > maxFiles || total > maxTotalSize {
			return nil, append(found, strict.Problem{File: dir, Code: strict.CodeTooLarge, Message: "more than 1000 files or 32 MiB"}).Sorted()
		}
	}
	return build(files, found, checks)
}

// LoadFiles is Load for files, wherever they lie. An unreadable one is a problem;
// a directory among them is an error that isn't [strict.Problems].
func LoadFiles(paths []string, checks ...Check) (*Policy, error) {
	var files []strict.File
	var found strict.Problems
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s is a directory: name one directory, or files", path)
		}
		f, problem := strict.ReadFile(path)
		if problem != nil {
			found = append(found, *problem)
			continue
		}
		files = append(files, f)
	}
	if len(found) > 0 {
		return nil, found
	}
	return build(inOrder(files), nil, checks)
}

// Parse makes a policy of files, in the order of their base names, as [Load]
// does. The error is [strict.Problems].
func Parse(files ...strict.File) (*Policy, error) { return build(inOrder(files), nil, nil) }

func inOrder(files []strict.File) []strict.File {
	return slices.SortedStableFunc(slices.Values(files), func(a, b strict.File) int {
		return strings.Compare(filepath.Base(a.Name), filepath.Base(b.Name))
	})
}

func build(files []strict.File, found strict.Problems, checks []Check) (*Policy, error) {
	b := newBuilder()
	b.others = found
	for _, f := range files {
		b.readFile(strict.Read(f))
	}
	p := b.finish()
	if len(b.problems().Fatal()) == 0 {
		p.index()
		b.checkWhole(p)
		for _, check := range checks {
			b.add(check(p))
		}
		for _, t := range b.tests {
			t.try(p)
		}
	}
	found = b.problems()
	if len(found.Fatal()) > 0 {
		return nil, found
	}
	for _, l := range p.labs {
		l.at = strict.Value{} // or the files' trees would stay in memory
	}
	p.hash, p.tests = hashOf(files), len(b.tests)
	p.warnings = found
	return p, nil
}

// OnlyTests reports whether err, of [Load] or [Parse], says that tests fail and
// nothing else.
func OnlyTests(err error) bool {
	var found strict.Problems
	errors.As(err, &found)
	found = found.Fatal()
	return len(found) > 0 && !slices.ContainsFunc(found, func(p strict.Problem) bool { return p.Code != codeTest })
}

// hashOf binds names and contents; each part is preceded by its length, so that
// no two policies share an input.
func hashOf(files []strict.File) string {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, f := range files {
		part([]byte(filepath.Base(f.Name)))
		part(f.Data)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
