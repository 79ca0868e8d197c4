package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A policy larger than this is a mistake or an attack, not a reviewed text.
const (
	maxFiles     = 1000
	maxTotalSize = 32 << 20 // bytes, all files together
)

// Load reads every *.yaml and *.yml file of dir, in the order of their names,
// and runs the tests they hold. Hidden files and other names are left alone;
// folders inside dir aren't read, with a warning. An empty directory is a
// policy that denies everything.
//
// The error is [Problems], every one that was found, where the files are to
// blame, and anything else where dir can't be read. Nobody else may be able to
// write to dir or the files: whoever can makes the policy.
func Load(dir string) (*Policy, error) {
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
	var files []File
	var found Problems
	if worldWritable(info) {
		found = append(found, fileProblem(dir, CodeUnreadable, "every account may write to this directory; take that away (chmod o-w)"))
	}
	total := 0
	for _, e := range entries { // ReadDir sorts by name
		path := filepath.Join(dir, e.Name())
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.IsDir() {
			p := fileProblem(path, codeIgnoredContent, "folders inside the policy directory aren't read")
			p.Warning = true
			found = append(found, p)
			continue
		}
		if ext != ".yaml" && ext != ".yml" {
			continue
		}
		f, problem := ReadFile(path)
		if problem != nil {
			found = append(found, *problem)
			continue
		}
		files = append(files, f)
		if total += len(f.Data); len(files) > maxFiles || total > maxTotalSize {
			return nil, append(found, fileProblem(dir, CodeTooLarge, "more than 1000 files or 32 MiB")).sorted()
		}
	}
	return build(files, found)
}

// Parse makes a policy of files, in the order of their base names, as [Load]
// does. The error is [Problems].
func Parse(files ...File) (*Policy, error) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int {
		return strings.Compare(filepath.Base(a.Name), filepath.Base(b.Name))
	})
	return build(files, nil)
}

func build(files []File, found Problems) (*Policy, error) {
	b := newBuilder()
	for _, f := range files {
		b.readFile(Read(f))
	}
	p := b.finish()
	if len(b.problems(found).fatal()) == 0 {
		p.index()
		b.checkWhole(p)
		for _, t := range b.tests {
			t.try(p)
		}
	}
	found = b.problems(found)
	if len(found.fatal()) > 0 {
		return nil, found
	}
	for _, l := range p.labs {
		l.at = Value{} // or the files' trees would stay in memory
	}
	p.hash, p.tests = hashOf(files), len(b.tests)
	p.warnings = found
	return p, nil
}

// hashOf binds names and contents; each part is preceded by its length, so that
// no two policies share an input.
func hashOf(files []File) string {
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

// ReadFile reads one regular file that not everybody may write to, up to a byte
// more than [MaxFileSize], so that [Read] can tell. The problem is nil or says
// why it couldn't; where the file isn't there, that is all it says.
func ReadFile(path string) (File, *Problem) {
	fail := func(code, message string) (File, *Problem) {
		p := fileProblem(path, code, message)
		return File{}, &p
	}
	// Before opening it: a named pipe would block.
	if info, err := os.Stat(path); err != nil {
		return fail(CodeUnreadable, reason(err))
	} else if !info.Mode().IsRegular() {
		return fail(CodeUnreadable, "not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(CodeUnreadable, reason(err))
	}
	defer func() { _ = f.Close() }() // opened for reading: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return fail(CodeUnreadable, reason(err))
	}
	if worldWritable(info) {
		return fail(CodeUnreadable, "every account may write to this file; take that away (chmod o-w)")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return fail(CodeUnreadable, reason(err))
	}
	return File{Name: path, Data: data}, nil
}

// reason is the cause without the path, which a problem names already.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func worldWritable(info os.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }

func fileProblem(name, code, message string) Problem {
	return Problem{File: name, Code: code, Message: message}
}
