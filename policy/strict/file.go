package strict

import (
	"errors"
	"io"
	"os"
)

// MaxFileSize bounds one file, in bytes: 5,000 rules of a policy take about
// 1.5 MiB.
const MaxFileSize = 4 << 20

// File is one file's name, as it should stand in messages, and its content.
type File struct {
	Name string
	Data []byte
}

// ReadFile reads one regular file that not everybody may write to, up to a byte
// more than [MaxFileSize], so that [Read] can tell. The problem is nil or says
// why it couldn't; where the file isn't there, that is all it says.
func ReadFile(path string) (File, *Problem) {
	fail := func(code, message string) (File, *Problem) {
		return File{}, &Problem{File: path, Code: code, Message: message}
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
	if WorldWritable(info) {
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

// WorldWritable reports whether every account may write to a file or directory:
// what stands there is then anybody's word.
func WorldWritable(info os.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }
