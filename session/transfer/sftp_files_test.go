package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pkg/sftp"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// What a client does with a file, and what the manifest says of it. "old" is
// there, with ten bytes; "dir" is a directory.
func TestWhatTheManifestSaysOfAFile(t *testing.T) {
	const (
		create = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		ten    = "0123456789"
	)
	type step func(c *sftp.Client) error
	open := func(path string, flags int, do func(c *sftp.Client, f *sftp.File) error) step {
		return func(c *sftp.Client) error {
			f, err := c.OpenFile(path, flags)
			if err != nil {
				return err
			}
			if do != nil {
				if err := do(c, f); err != nil {
					return err
				}
			}
			return f.Close()
		}
	}
	at := func(offset int64, s string) func(*sftp.Client, *sftp.File) error {
		return func(_ *sftp.Client, f *sftp.File) error {
			_, err := f.WriteAt([]byte(s), offset)
			return err
		}
	}
	read := func(offset int64, n int) func(*sftp.Client, *sftp.File) error {
		return func(_ *sftp.Client, f *sftp.File) error {
			_, err := f.ReadAt(make([]byte, n), offset)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
	}
	size := func(n int64) func(*sftp.Client, *sftp.File) error {
		return func(_ *sftp.Client, f *sftp.File) error { return f.Truncate(n) }
	}
	stat := func(_ *sftp.Client, f *sftp.File) error {
		_, err := f.Stat()
		return err
	}
	all := func(every ...func(*sftp.Client, *sftp.File) error) func(*sftp.Client, *sftp.File) error {
		return func(c *sftp.Client, f *sftp.File) error {
			for i, do := range every {
				if err := do(c, f); err != nil {
					return fmt.Errorf("step %d: %w", i, err)
				}
			}
			return nil
		}
	}
	client := func(do step) func(*sftp.Client, *sftp.File) error {
		return func(c *sftp.Client, _ *sftp.File) error { return do(c) }
	}
	known := func(s string) string { return fmt.Sprintf("size=%d sha256=%s", len(s), hashOf(s)) }
	for name, test := range map[string]struct {
		do   step
		want []string
	}{
		"written in order":                 {open("a", create, all(at(0, "one"), at(3, "two"))), []string{"put upload a ok " + known("onetwo")}},
		"written backwards":                {open("a", create, all(at(3, "two"), at(0, "one"))), []string{"put upload a ok " + known("onetwo")}},
		"emptied and not written":          {open("old", create, nil), []string{"put upload old ok " + known("")}},
		"made anew, exclusively":           {open("a", os.O_WRONLY|os.O_CREATE|os.O_EXCL, at(0, "x")), []string{"put upload a ok " + known("x")}},
		"not made, since it is there":      {open("old", os.O_WRONLY|os.O_CREATE|os.O_EXCL, nil), []string{"put upload old failed size=0 unknown=it wasn't opened detail=Failure"}},
		"not made, without a directory":    {open("no/a", create, nil), []string{"put upload no/a failed size=0 unknown=it wasn't opened detail=No such file"}},
		"with a hole":                      {open("a", create, all(at(0, "one"), at(100, "two"))), []string{"put upload a ok size=6 unknown=bytes from 3 on weren't written"}},
		"with a hole at the front":         {open("a", create, at(1, "two")), []string{"put upload a ok size=3 unknown=bytes from 0 on weren't written"}},
		"overwritten in part":              {open("a", create, all(at(0, "onetwo"), at(3, "TWO"))), []string{"put upload a ok size=9 unknown=bytes from 3 on passed more than once"}},
		"overwritten across the end":       {open("a", create, all(at(0, "one"), at(2, "two"))), []string{"put upload a ok size=6 unknown=bytes from 2 on passed more than once"}},
		"overlapping ahead":                {open("a", create, all(at(10, "onetwo"), at(12, "x"), at(0, ten))), []string{"put upload a ok size=17 unknown=bytes from 12 on passed more than once"}},
		"overlapping what is ahead":        {open("a", create, all(at(5, "ahead"), at(0, ten))), []string{"put upload a ok size=15 unknown=bytes from 0 on passed more than once"}},
		"over an old file's front":         {open("old", os.O_WRONLY, at(0, "one")), []string{"put upload old ok size=3 unknown=it wasn't emptied first, and how long it was isn't known"}},
		"over an old file, which is asked": {open("old", os.O_WRONLY, all(stat, at(0, "one"))), []string{"put upload old ok size=3 unknown=bytes from 3 on weren't written here"}},
		"over all of an old file":          {open("old", os.O_WRONLY, all(stat, at(0, ten))), []string{"put upload old ok " + known(ten)}},
		"over more than an old file":       {open("old", os.O_WRONLY, all(stat, at(0, ten+"0"))), []string{"put upload old ok " + known(ten+"0")}},
		"over an old file, asked after":    {open("old", os.O_WRONLY, all(at(0, ten+"0"), stat)), []string{"put upload old ok " + known(ten+"0")}},
		"resumed":                          {open("old", os.O_WRONLY, all(stat, at(10, "more"))), []string{"put upload old ok size=4 unknown=bytes from 0 on weren't written"}},
		"appended to": {open("old", os.O_WRONLY|os.O_APPEND, func(_ *sftp.Client, f *sftp.File) error {
			_, err := f.Write([]byte("x"))
			return err
		}), []string{"put upload old ok size=1 unknown=it was opened for appending"}},
		"emptied by its size": {open("old", os.O_WRONLY, all(size(0), at(0, "x"))), []string{"setstat  old ok detail=size 0", "put upload old ok " + known("x")}},
		"emptied later":       {open("a", create, all(at(0, "much"), size(0), at(0, "x"))), []string{"setstat  a ok detail=size 0", "put upload a ok " + known("x")}},
		"given its size before": {open("a", create, all(size(10), at(5, ten[5:]), at(0, ten[:5]))),
			[]string{"setstat  a ok detail=size 10", "put upload a ok " + known(ten)}},
		"given its size, still unanswered": {open("a", create, func(_ *sftp.Client, f *sftp.File) error {
			errs := make(chan error, 3)
			go func() { errs <- f.Truncate(10) }()
			for i := range 2 {
				go func() {
					_, err := f.WriteAt([]byte(ten[5*i:5*i+5]), int64(5*i))
					errs <- err
				}()
			}
			return errors.Join(<-errs, <-errs, <-errs)
		}), []string{"setstat  a ok detail=size 10", "put upload a ok " + known(ten)}},
		"given a greater size": {open("a", create, all(at(0, "one"), size(10))),
			[]string{"setstat  a ok detail=size 10", "put upload a ok size=3 unknown=bytes from 3 on weren't written here"}},
		"given its own size": {open("a", create, all(at(0, "one"), size(3))),
			[]string{"setstat  a ok detail=size 3", "put upload a ok " + known("one")}},
		"given a smaller size": {open("a", create, all(at(0, "one"), size(2))),
			[]string{"setstat  a ok detail=size 2", "put upload a ok size=3 unknown=it was cut to 2 bytes after more was written"}},
		"given a size by its path": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Truncate("./a", 2) }))),
			[]string{"setstat  ./a ok detail=size 2", "put upload a ok size=3 unknown=its size was set by its path while it was open"}},
		"written to and read": {open("a", os.O_RDWR|os.O_CREATE|os.O_TRUNC, all(at(0, "one"), read(0, 100))),
			[]string{"get download a ok " + known("one"), "put upload a ok " + known("one")}},
		"opened both ways, and read":              {open("old", os.O_RDWR, read(0, 100)), []string{"get download old ok " + known(ten), "put upload old ok size=0 unknown=it wasn't emptied first, and how long it was isn't known"}},
		"read to the end":                         {open("old", os.O_RDONLY, read(0, 100)), []string{"get download old ok " + known(ten)}},
		"read, its end not":                       {open("old", os.O_RDONLY, read(0, 10)), []string{"get download old ok size=10 unknown=it was read to byte 10, and no end seen there"}},
		"read as long as it is":                   {open("old", os.O_RDONLY, all(stat, read(0, 10))), []string{"get download old ok " + known(ten)}},
		"read in part":                            {open("old", os.O_RDONLY, all(stat, read(0, 9))), []string{"get download old ok size=9 unknown=it was read to byte 9, and no end seen there"}},
		"not read":                                {open("old", os.O_RDONLY, stat), []string{"get download old ok size=0 unknown=it was read to byte 0, and no end seen there"}},
		"read from within":                        {open("old", os.O_RDONLY, read(3, 100)), []string{"get download old ok size=7 unknown=bytes from 0 on weren't read"}},
		"read with a gap":                         {open("old", os.O_RDONLY, all(read(0, 3), read(5, 100))), []string{"get download old ok size=8 unknown=bytes from 3 on weren't read"}},
		"read backwards":                          {open("old", os.O_RDONLY, all(read(5, 100), read(0, 5))), []string{"get download old ok " + known(ten)}},
		"read twice":                              {open("old", os.O_RDONLY, all(read(0, 100), read(0, 100))), []string{"get download old ok " + known(ten) + " detail=10 bytes of it passed again, alike"}},
		"read twice, in other pieces":             {open("old", os.O_RDONLY, all(read(0, 3), read(3, 100), read(0, 3), read(0, 100))), []string{"get download old ok " + known(ten) + " detail=13 bytes of it passed again, alike"}},
		"read on from before its end":             {open("old", os.O_RDONLY, all(read(0, 3), read(3, 3), read(3, 100))), []string{"get download old ok " + known(ten) + " detail=3 bytes of it passed again, alike"}},
		"read twice, the second time from within": {open("old", os.O_RDONLY, all(read(0, 100), read(1, 100))), []string{"get download old ok size=19 unknown=bytes from 1 on passed more than once"}},
		"written twice, alike":                    {open("a", create, all(at(0, "one"), at(3, "two"), at(0, "one"), at(3, "two!"))), []string{"put upload a ok " + known("onetwo!") + " detail=6 bytes of it passed again, alike"}},
		"written twice, not alike":                {open("a", create, all(at(0, "one"), at(0, "two"))), []string{"put upload a ok size=6 unknown=bytes from 0 on passed more than once, and not alike"}},
		"read twice, once not all":                {open("old", os.O_RDONLY, all(read(0, 100), read(0, 3))), []string{"get download old ok size=13 unknown=it was read more than once, the last time to byte 3"}},
		"read in part, and again":                 {open("old", os.O_RDONLY, all(read(0, 3), read(2, 100))), []string{"get download old ok size=11 unknown=bytes from 2 on passed more than once"}},
		"not there":                               {open("none", os.O_RDONLY, nil), []string{"get download none failed size=0 unknown=it wasn't opened detail=No such file"}},
		"of which reading says nothing":           {open("dir", os.O_RDONLY, all(client(func(*sftp.Client) error { return nil }))), []string{"get download dir ok size=0 unknown=it was read to byte 0, and no end seen there"}},
		"the kernel's, of size 0":                 {open("/proc/self/comm", os.O_RDONLY, stat), []string{"get download /proc/self/comm ok size=0 unknown=it was read to byte 0, and no end seen there"}},
		"changed between two reads": {open("old", os.O_RDONLY, all(read(0, 100), client(open("old", os.O_WRONLY, at(0, "x"))), read(0, 100))),
			[]string{"put upload old ok size=1 unknown=it wasn't emptied first, and how long it was isn't known", "get download old ok size=20 unknown=bytes from 0 on passed more than once, and not alike"}},
		"written by two handles": {open("a", create, all(at(0, "one"), client(open("dir/../a", create, at(0, "x"))))),
			[]string{"put upload dir/../a ok size=1 unknown=it was open for writing twice at once", "put upload a ok size=3 unknown=it was open for writing twice at once"}},
		"written by two handles, of the full name too": {open("a", create, all(client(func(c *sftp.Client) error {
			wd, err := c.Getwd()
			if err != nil {
				return err
			}
			return open(wd+"/a", create, at(0, "x"))(c)
		}))), []string{"put upload /a ok size=1 unknown=it was open for writing twice at once", "put upload a ok size=0 unknown=it was open for writing twice at once"}},
		"renamed while open": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Rename("a", "b") }), at(3, "two"))),
			[]string{"rename  a ok to=b", "put upload a ok to=b " + known("onetwo")}},
		"renamed with its directory": {open("dir/a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.PosixRename("dir", "dir2") }))),
			[]string{"posix-rename  dir ok to=dir2", "put upload dir/a ok to=dir2/a " + known("one")}},
		"renamed, and another by its old name": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Rename("a", "b") }), client(open("a", create, at(0, "x"))))),
			[]string{"rename  a ok to=b", "put upload a ok " + known("x"), "put upload a ok to=b " + known("one")}},
		"replaced while open": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.PosixRename("old", "a") }))),
			[]string{"posix-rename  old ok to=a", "put upload a ok size=3 unknown=another file took its name while it was open"}},
		"removed while open": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Remove("a") }))),
			[]string{"remove  a ok", "put upload a ok size=3 unknown=it was removed while it was open"}},
		"linked while open": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Link("a", "b") }))),
			[]string{"hardlink  a ok to=b", "put upload a ok size=3 unknown=it got another name while it was open"}},
		"linked symbolically while open": {open("a", create, all(at(0, "one"), client(func(c *sftp.Client) error { return c.Symlink("../a", "dir/b") }))),
			[]string{"symlink  dir/b ok to=../a", "put upload a ok size=3 unknown=it got another name while it was open"}},
		"not written, since it is full": {open("/dev/full", os.O_WRONLY, func(_ *sftp.Client, f *sftp.File) error {
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				return errors.New("it was written")
			}
			return nil
		}), []string{"put upload /dev/full failed size=1 unknown=the target didn't take the bytes from 0 on detail=Failure"}},
		"read whole, and where no file has bytes": {open("old", os.O_RDONLY, func(_ *sftp.Client, f *sftp.File) error {
			if _, err := io.Copy(io.Discard, f); err != nil {
				return err
			}
			_, _ = f.ReadAt(make([]byte, 5), math.MaxInt64-255)
			return nil
		}), []string{"get download old ok size=10 sha256=" + hashOf(ten) + " detail=the target didn't give bytes from 9223372036854775552 on: Bad message"}},
		"read in part, and where no file has bytes": {open("old", os.O_RDONLY, func(_ *sftp.Client, f *sftp.File) error {
			_, _ = f.ReadAt(make([]byte, 5), math.MaxInt64-255)
			_, err := f.ReadAt(make([]byte, 5), 0)
			return err
		}), []string{"get download old ok size=5 unknown=it was read to byte 5, and no end seen there detail=the target didn't give bytes from 9223372036854775552 on: Bad message"}},
		"written to where it was opened for reading": {open("old", os.O_RDONLY, func(_ *sftp.Client, f *sftp.File) error {
			_, _ = f.WriteAt([]byte("x"), 0)
			return nil
		}), []string{"get download old ok size=0 unknown=it was read to byte 0, and no end seen there", "put upload old failed size=1 unknown=the target didn't take the bytes from 0 on detail=No such file"}},
		"made a directory, and removed": {func(c *sftp.Client) error {
			if err := c.Mkdir("d"); err != nil {
				return err
			}
			if err := c.Chmod("d", 0o700); err != nil {
				return err
			}
			return c.RemoveDirectory("d")
		}, []string{"mkdir  d ok", "setstat  d ok detail=mode 0700", "rmdir  d ok"}},
		"what fails": {func(c *sftp.Client) error {
			if c.Mkdir("dir") == nil || c.Rename("none", "x") == nil {
				return errors.New("it didn't")
			}
			return nil
		}, []string{"mkdir  dir failed detail=Failure", "rename  none failed to=x detail=No such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := errors.Join(os.WriteFile(filepath.Join(dir, "old"), []byte(ten), 0o600), os.Mkdir(filepath.Join(dir, "dir"), 0o700)); err != nil {
				t.Fatal(err)
			}
			r, c := connect(t, anything, dir)
			if err := test.do(c); err != nil && !strings.HasPrefix(name, "not ") {
				t.Error(err)
			}
			c.Close()
			var got []string
			for _, e := range r.all(t) {
				if e.Protocol != "sftp" || e.Began.IsZero() || e.Ended.Before(e.Began) {
					t.Errorf("%+v", e)
				}
				got = append(got, strings.ReplaceAll(line(e), dir, ""))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Many files at once, each by many requests at once, whose answers and writes
// come as the scheduler likes.
func TestSoakManyFilesAtOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	r, c := connect(t, anything, dir, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(64))
	const files = 8
	done := make(chan error, files)
	for i := range files {
		name := fmt.Sprintf("f%d", i)
		fill(t, filepath.Join(dir, name), 1<<20+random.IntN(8<<20), random)
		go func() {
			done <- func() error {
				src, err := c.Open(name)
				if err != nil {
					return err
				}
				defer src.Close()
				dst, err := c.Create("copy of " + name)
				if err != nil {
					return err
				}
				if _, err := src.WriteTo(io.Discard); err != nil {
					return err
				}
				local, err := os.Open(filepath.Join(dir, name))
				if err != nil {
					return err
				}
				defer local.Close()
				if _, err := dst.ReadFrom(local); err != nil {
					return err
				}
				return dst.Close()
			}()
		}()
	}
	for range files {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	c.Close()
	entries := r.all(t)
	moved, unknown := holds(t, dir, entries)
	t.Logf("%d files moved, %d of unknown hash", moved, unknown)
	if moved != 2*files || unknown > 0 {
		for _, e := range entries {
			t.Error(line(e))
		}
	}
}

// A right that is lost while files are open ends reading and writing; the
// session goes on.
func TestARightLostInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	var lost atomic.Bool
	r, c := connect(t, func(d Direction) string {
		if lost.Load() {
			return "entry: no " + d.String() + " any more"
		}
		return ""
	}, dir)
	f, err := c.OpenFile("a", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("one"), 0); err != nil {
		t.Fatal(err)
	}
	lost.Store(true)
	for range 3 {
		_, err := f.WriteAt([]byte("two"), 3)
		if !errors.Is(err, os.ErrPermission) && !strings.Contains(fmt.Sprint(err), "entry: no upload any more") {
			t.Error(err)
		}
	}
	if _, err := f.ReadAt(make([]byte, 3), 0); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	if _, err := c.Stat("a"); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	lost.Store(false)
	if _, err := c.Stat("a"); err != nil {
		t.Error(err)
	}
	f.Close()
	c.Close()
	var got []string
	for _, e := range r.all(t) {
		got = append(got, line(e))
	}
	want := []string{
		"stat  a refused detail=entry: no download any more",
		"get download a refused size=0 unknown=entry refused the rest detail=entry: no download any more",
		"put upload a refused size=3 unknown=entry refused the rest detail=entry: no upload any more",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a")); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// What is open when the channel ends is entered as it stands.
func TestACutChannel(t *testing.T) {
	dir := t.TempDir()
	r, c := connect(t, anything, dir)
	for _, name := range []string{"b", "a"} {
		f, err := c.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("one")); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	var got []string
	for _, e := range r.all(t) {
		got = append(got, line(e))
	}
	const cut = " cut size=3 unknown=the channel ended before it was closed"
	if want := []string{"put upload b" + cut, "put upload a" + cut}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
