package transfer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"entry/e2e/testkit"
)

// sftpServer is OpenSSH's.
func sftpServer(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/openssh", "/usr/lib/ssh", "/usr/libexec/openssh", "/usr/libexec"} {
		if path := filepath.Join(dir, "sftp-server"); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	t.Fatal("no sftp-server here: run e2e/tools")
	return ""
}

func anything(Direction) string { return "" }

// dial returns the client's end of a decoder whose target is OpenSSH's server in
// dir.
func dial(t testing.TB, may May, dir string, args ...string) (*relay, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	return newRelay(NewSFTP(may), 32640, far, start(t, dir, append([]string{sftpServer(t)}, args...)...)), near
}

// listen has everybody who connects to the socket of the returned path speak
// through a decoder with OpenSSH's server in dir.
func listen(t testing.TB, may May, dir string) (socket string, relays chan *relay) {
	t.Helper()
	socket = filepath.Join(testkit.ShortDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	relays = make(chan *relay, 1000) // scp connects once for each source
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			relays <- newRelay(NewSFTP(may), 32640, &half{c.(*net.UnixConn)}, start(t, dir, sftpServer(t)))
		}
	}()
	return socket, relays
}

// half ends what it sends when it is closed, and no more.
type half struct{ *net.UnixConn }

func (h *half) Close() error { return h.CloseWrite() }

// fill makes a file of random content.
func fill(t testing.TB, path string, size int, r *rand.Rand) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(r.Uint32())
	}
	if _, err := io.CopyN(f, rand.NewChaCha8(seed), int64(size)); err != nil {
		t.Fatal(err)
	}
}

func sha(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

// holds compares a manifest with the files that its paths lead to, and returns
// how many were moved and of how many the hash isn't known.
func holds(t testing.TB, dir string, entries []Entry) (moved, unknown int) {
	t.Helper()
	for _, e := range entries {
		if e.Operation != "put" && e.Operation != "get" {
			continue
		}
		path := e.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		moved++
		switch {
		case e.SHA256 == nil && e.Unknown == "":
			t.Errorf("neither hash nor reason: %s", line(e))
		case e.SHA256 == nil:
			unknown++
		case e.Unknown != "":
			t.Errorf("a hash and a reason: %s", line(e))
		default:
			if !bytes.Equal(e.SHA256, sha(t, path)) {
				t.Errorf("a wrong hash: %s", line(e))
			}
			if info, err := os.Stat(path); err != nil || info.Size() != e.Size {
				t.Errorf("a wrong size: %s", line(e))
			}
		}
	}
	return moved, unknown
}

// sizes are those of n files: some that are special, most of a few KiB to a few
// MiB, and one of most bytes.
func sizes(n, most int, r *rand.Rand) []int {
	all := []int{0, 1, 32767, 32768, 32769, 262144}
	for len(all) < n {
		all = append(all, 1+int(float64(most)*math.Pow(r.Float64(), 32)))
	}
	return append(all[:n-1], most)
}

// OpenSSH's sftp puts and gets files of any size; every hash is known and that of
// the file.
func TestSoakOpenSSHFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	remote, local := t.TempDir(), t.TempDir()
	n, most := testkit.Long(24, 1000), testkit.Long(8<<20, 64<<20)
	var batch strings.Builder
	for i, size := range sizes(n, most, r) {
		name := fmt.Sprintf("%s/f%d", local, i)
		fill(t, name, size, r)
		fmt.Fprintf(&batch, "put %s f%d\nget f%d %s/back%d\n", name, i, i, local, i)
	}
	socket, relays := listen(t, anything, remote)
	for _, options := range [][]string{nil, {"-B", "200000", "-R", "128"}} {
		cmd := exec.Command("sftp", append(options, "-q", "-b", "-", "-D", "nc -N -U "+socket)...)
		cmd.Stdin = strings.NewReader(batch.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		entries := (<-relays).all(t)
		moved, unknown := holds(t, remote, entries)
		t.Logf("sftp %q: %d files moved, %d of unknown hash", options, moved, unknown)
		if moved != 2*n || unknown != 0 {
			for _, e := range entries {
				if e.Unknown != "" {
					t.Error(line(e))
				}
			}
			t.Errorf("%d were moved, %d with unknown hash", moved, unknown)
		}
	}
}

// connect returns a client of pkg/sftp behind a decoder.
func connect(t testing.TB, may May, dir string, options ...sftp.ClientOption) (*relay, *sftp.Client) {
	t.Helper()
	r, c := dial(t, may, dir)
	client, err := sftp.NewClientPipe(c, c, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r, client
}
