package bundle

import (
	"errors"
	"io"
	"os"
)

// OpenFile opens the bundle in a file. The recording's files, sealed as they are, go into
// a folder of their own, dir, which leave removes. Errors are as Open's.
func OpenFile(path string) (b *Bundle, dir string, leave func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", nil, err
	}
	defer f.Close()
	if one, err := isProof(f); err != nil {
		return nil, "", nil, err
	} else if one {
		return nil, "", nil, notBundle("it is the proof of one record, which entry verify-bundle checks and shows")
	}
	if dir, err = os.MkdirTemp("", "entry-bundle-"); err != nil {
		return nil, "", nil, err
	}
	leave = func() error { return os.RemoveAll(dir) }
	if b, err = Open(f, dir); err != nil {
		return nil, "", nil, errors.Join(err, leave())
	}
	return b, dir, leave, nil
}

// ErrNoKey says that a record alone was to be verified without its log's key.
var ErrNoKey = errors.New("one record doesn't say whose log it is of")

// VerifyFile verifies the bundle, or the one record, in a file. Errors are as
// Bundle.Verify's, Open's and ParseRecord's, and ErrNoKey.
func VerifyFile(path string, t Trust) (rep Report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return rep, err
	}
	defer f.Close()
	if one, err := isProof(f); err != nil {
		return rep, err
	} else if one {
		return verifyRecord(f, t)
	}
	b, _, leave, err := OpenFile(path)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	return b.Verify(t)
}

// isProof tells whether a file is the proof of one record, by its beginning.
func isProof(f *os.File) (bool, error) {
	const proof = "c2sp.org/tlog-proof@"
	head := make([]byte, len(proof))
	n, err := f.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(head[:n]) == proof, err
}

func verifyRecord(r io.Reader, t Trust) (rep Report, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err != nil {
		return rep, err
	}
	record, err := ParseRecord(text)
	if err != nil {
		return rep, err
	}
	return record.Verify(t)
}
