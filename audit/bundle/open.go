package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"entry/audit/plain"
	"entry/session/recording"
)

// Names in a bundle.
const (
	readmeName = "README.txt"
	aboutName  = "bundle"
	keysName   = "keys"
)

func recordName(seq uint64) string { return fmt.Sprintf("records/%012d.tlog-proof", seq) }

func recordingName(id, ext string) string { return "recording/" + id + ext }

// Bounds of what is read.
const (
	maxRecords = 100_000
	maxText    = 64 << 10 // bytes of README.txt and of the file "bundle"
	maxChanges = 256 << 10
	maxSmall   = 1 << 20 // bytes of a recording's key
	maxKeys    = 64
)

// Bundle is a bundle that was read. Nothing in it is proven before Verify.
type Bundle struct {
	Session   string
	Key       string   // of the log, as who made the bundle says
	Witnesses []string // keys, likewise
	Changes   []byte   // of the log's key, as audit.KeysOf takes them
	Records   []Record // rising
	Next      []Next   // where the session's log is one before: those after it
	Dir       string   // has the recording's files; "" where there are none
}

// ErrNotBundle says that a file is no bundle, or isn't whole.
var ErrNotBundle = errors.New("is not a bundle of entry's, or not a whole one")

func notBundle(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotBundle, fmt.Sprintf(format, args...))
}

// Open reads a bundle, and puts the recording's files into the directory into, under
// their own names. The error wraps ErrNotBundle for a file that isn't one.
func Open(r io.Reader, into string) (*Bundle, error) {
	b := &Bundle{}
	size := 0
	in := bufio.NewReaderSize(r, 64<<10)
	t := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var path *os.PathError
		if errors.As(err, &path) {
			return nil, err
		}
		if err != nil {
			return nil, notBundle("%v", err)
		}
		if h.Typeflag != tar.TypeReg || sparse(h) {
			return nil, notBundle("%s isn't a file", plain.Word(h.Name))
		}
		if n < 2 {
			err = b.first(n, h, t)
		} else if n == 2 && h.Name == keysName {
			b.Changes, err = small(h, t, maxChanges)
		} else if strings.HasPrefix(h.Name, "records/") {
			size += int(min(h.Size, maxRecord))
			if len(b.Next) > 0 {
				return nil, notBundle("%s doesn't belong there", plain.Word(h.Name))
			}
			err = b.record(&b.Records, "", h, t, size)
		} else if strings.HasPrefix(h.Name, "next/") {
			size += int(min(h.Size, maxRecord))
			err = b.next(h.Name, h, t, size)
		} else {
			err = b.file(h, t, into)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := onlyZeros(in); err != nil {
		return nil, err
	}
	if b.Session == "" || len(b.Records) == 0 {
		return nil, notBundle("it has no record")
	}
	return b, nil
}

// sparse tells of a file with holes, which would be read as larger than it is.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// onlyZeros reads what is behind a tar file's end, which pads it.
func onlyZeros(r io.ByteReader) error {
	for {
		c, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c != 0:
			return notBundle("something stands behind its end")
		}
	}
}

// small reads a file of at most most bytes.
func small(h *tar.Header, r io.Reader, most int64) ([]byte, error) {
	if h.Size > most {
		return nil, notBundle("%s is longer than %s", plain.Word(h.Name), plain.Size(most))
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, notBundle("%v", err)
	}
	return text, nil
}

// first reads the two files that every bundle begins with.
func (b *Bundle) first(n int, h *tar.Header, r io.Reader) error {
	want := []string{readmeName, aboutName}[n]
	if h.Name != want {
		return notBundle("%s stands where %s belongs", plain.Word(h.Name), want)
	}
	text, err := small(h, r, maxText)
	if err != nil || n == 0 {
		return err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 4 || lines[0] != Schema || lines[len(lines)-1] != "" || len(lines) > 4+maxKeys || !recording.ValidID(lines[1]) {
		return notBundle("its file %q isn't of the schema %s", aboutName, Schema)
	}
	b.Session, b.Key, b.Witnesses = lines[1], lines[2], lines[3:len(lines)-1]
	return nil
}

// maxSize bounds all records together, in bytes.
const maxSize = 512 << 20

// record reads a record into a list, whose files are in a folder.
func (b *Bundle) record(list *[]Record, folder string, h *tar.Header, r io.Reader, size int) error {
	if len(*list) == maxRecords || size > maxSize {
		return notBundle("it has too many records")
	}
	text, err := small(h, r, maxRecord)
	if err != nil {
		return err
	}
	rec, err := ParseRecord(text)
	if err != nil {
		return notBundle("%s %v", plain.Word(h.Name), err)
	}
	switch last := len(*list) - 1; {
	case h.Name != folder+recordName(rec.Seq):
		return notBundle("%s has the proof of record %d", plain.Word(h.Name), rec.Seq)
	case last >= 0 && (*list)[last].Seq >= rec.Seq:
		return notBundle("record %d stands behind record %d", rec.Seq, (*list)[last].Seq)
	case last >= 0 && !bytes.Equal((*list)[last].Head, rec.Head):
		return disproof("record %d is proven against another tree head than the others", rec.Seq) // of which it has been changed, or isn't of that bundle
	case last >= 0:
		rec.Head = (*list)[last].Head
	}
	*list = append(*list, rec)
	return nil
}

// file puts one of the recording's files into a directory.
func (b *Bundle) file(h *tar.Header, r io.Reader, into string) (err error) {
	name := ""
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		if h.Name == recordingName(b.Session, ext) {
			name = b.Session + ext
			if ext != recording.Ext && h.Size > maxSmall {
				return notBundle("%s is longer than %s", plain.Word(h.Name), plain.Size(maxSmall))
			}
		}
	}
	if name == "" {
		return notBundle("%s doesn't belong there", plain.Word(h.Name))
	}
	f, err := os.OpenFile(filepath.Join(into, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return notBundle("%s is there twice", plain.Word(h.Name))
	}
	if err != nil {
		return err
	}
	b.Dir = into
	_, err = io.Copy(f, r)
	var path *os.PathError
	if err != nil && !errors.As(err, &path) {
		err = notBundle("%v", err)
	}
	return errors.Join(err, f.Close())
}
