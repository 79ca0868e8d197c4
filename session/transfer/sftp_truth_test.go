package transfer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pkg/sftp"

	"entry/e2e/testkit"
)

// opened is a file as the client has it.
type opened struct {
	*sftp.File
	copy []byte // what was read of it
}

// Whatever is done to a few small files, by several handles and names: no hash is
// wrong. That of what was put is the file's once it's closed, that of what was got
// is the client's copy.
func TestSoakNoHashIsWrong(t *testing.T) {
	known, unknown := 0, 0
	for seed := range testkit.Long(60, 5000) {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		dir := t.TempDir()
		var r *relay
		var c *sftp.Client
		if seed%2 == 0 {
			r, c = connect(t, anything, dir)
		} else { // another server, which does several requests at once
			near, far := net.Pipe()
			client, server := net.Pipe()
			s, err := sftp.NewServer(far, sftp.WithServerWorkingDirectory(dir))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_ = s.Serve()
				far.Close()
			}()
			r = newRelay(NewSFTP(anything), 1+random.IntN(3000), server, near)
			if c, err = sftp.NewClientPipe(client, client, sftp.UseConcurrentWrites(true)); err != nil {
				t.Fatal(err)
			}
		}
		if random.IntN(2) == 0 {
			if _, err := c.Getwd(); err != nil {
				t.Fatal(err)
			}
		}
		var all []*opened
		name := func() string {
			n := string("abc"[random.IntN(3)])
			switch random.IntN(4) {
			case 0:
				return dir + "/" + n
			case 1:
				return "./x/../" + n
			}
			return n
		}
		if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		var history []string
		did := func(format string, args ...any) { history = append(history, fmt.Sprintf(format, args...)) }
		closing := func(i int) {
			f := all[i]
			all = slices.Delete(all, i, i+1)
			r.mu.Lock()
			n := len(r.entries)
			r.mu.Unlock()
			did("close %s: %v", f.Name(), f.Close())
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range r.entries[n:] {
				did("%s", line(e))
				if e.SHA256 == nil {
					unknown++
					continue
				}
				known++
				content := f.copy
				if e.Operation == "put" {
					path := e.Path
					if e.To != "" {
						path = e.To
					}
					if !filepath.IsAbs(path) {
						path = filepath.Join(dir, path)
					}
					content, _ = os.ReadFile(path)
				}
				if sum := sha256.Sum256(content); !bytes.Equal(sum[:], e.SHA256) || int64(len(content)) != e.Size {
					t.Fatalf("seed %d: the hash isn't that of %q:\n%q", seed, content, history)
				}
			}
		}
		for range 60 {
			if len(all) == 0 || random.IntN(8) == 0 && len(all) < 4 {
				flags := []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR}[random.IntN(3)]
				for _, more := range []int{os.O_CREATE, os.O_CREATE | os.O_TRUNC, os.O_CREATE | os.O_EXCL, os.O_APPEND} {
					if random.IntN(4) == 0 {
						flags |= more
					}
				}
				n := name()
				f, err := c.OpenFile(n, flags)
				if did("open %s %#x: %v", n, flags, err); err == nil {
					all = append(all, &opened{File: f})
				}
				continue
			}
			i := random.IntN(len(all))
			f, offset, size := all[i], int64(random.IntN(30)), random.IntN(20)
			if random.IntN(2) == 0 {
				offset = 0
			}
			switch random.IntN(14) {
			case 0, 1, 2:
				b := make([]byte, size)
				for i := range b {
					b[i] = byte('a' + random.IntN(26))
				}
				_, err := f.WriteAt(b, offset)
				did("write %s %q at %d: %v", f.Name(), b, offset, err)
			case 3: // to the end of what is there
				info, err := f.File.Stat()
				if err != nil {
					break
				}
				_, err = f.WriteAt([]byte("end"), info.Size())
				did("write %s at its end, %d: %v", f.Name(), info.Size(), err)
			case 4, 5, 6:
				b := make([]byte, size)
				n, err := f.ReadAt(b, offset)
				if err != nil && !errors.Is(err, io.EOF) {
					break
				}
				if end := int(offset) + n; n > 0 && end > len(f.copy) {
					f.copy = append(f.copy, make([]byte, end-len(f.copy))...)
				}
				copy(f.copy[min(int(offset), len(f.copy)):], b[:n])
				did("read %s %d at %d: %v", f.Name(), n, offset, err)
			case 7:
				_, err := f.File.Stat()
				did("fstat %s: %v", f.Name(), err)
			case 8:
				n := name()
				_, err := c.Stat(n)
				did("stat %s: %v", n, err)
			case 9:
				did("size of %s %d: %v", f.Name(), offset, f.Truncate(offset))
			case 10:
				n := name()
				switch from, to := name(), name(); random.IntN(6) {
				case 0:
					did("rename %s %s: %v", from, to, c.Rename(from, to))
				case 1:
					did("move %s %s: %v", from, to, c.PosixRename(from, to))
				case 2:
					did("remove %s: %v", n, c.Remove(n))
				case 3:
					did("size %s: %v", n, c.Truncate(n, offset))
				case 4:
					did("link %s %s: %v", from, to, c.Link(from, to))
				case 5:
					did("symlink %s %s: %v", from, to, c.Symlink(from, to))
				}
			default:
				if random.IntN(2) == 0 {
					closing(i)
				}
			}
		}
		for len(all) > 0 {
			closing(0)
		}
		c.Close()
		<-r.done
		if r.err != nil {
			t.Fatalf("seed %d: %v\n%q", seed, r.err, history)
		}
	}
	t.Logf("%d hashes were known, %d not", known, unknown)
	if known < unknown/10 {
		t.Error("too few are known to say anything")
	}
}
