package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit/logbook"
	"entry/session/recording"
)

// Packets of SFTP version 3, draft-ietf-secsh-filexfer-02 §3, §6, §7.
const (
	fxpOpen   = 3
	fxpWrite  = 6
	fxpRemove = 13
	fxpStatus = 101
	fxpData   = 103

	fxfWrite           = 2 // pflags of OPEN
	fxPermissionDenied = 3
	maxPacket          = 256 << 10 // bytes; what OpenSSH's server takes
)

// sftpRules is a throw-away decoder of SFTP. It shows that the hook carries what
// one needs: it denies to open what has "forbidden" in its name for writing,
// leads "alias" to "real", and ends the channel of who removes "the-end".
func sftpRules(streams ...byte) *packets {
	return &packets{limit: maxPacket + 4, streams: streams, rule: func(to direction, p []byte, r *ruling) error {
		f := fields{rest: p[packetHead:]}
		if to == towardsClient || p[4] != fxpOpen && p[4] != fxpRemove {
			r.Pass(p, false)
			return nil
		}
		id, path := f.uint32(), f.text(4096)
		if p[4] == fxpRemove {
			if strings.Contains(path, "the-end") {
				return &refusal.Error{Code: "forbidden", Text: "that isn't to be removed"}
			}
			r.Pass(p, false)
			return nil
		}
		flags := f.uint32()
		switch {
		case f.bad:
			return &refusal.Error{Code: "malformed", Text: "a malformed request"}
		case flags&fxfWrite != 0 && strings.Contains(path, "forbidden"):
			r.Note(audit.Event{Type: audit.ForwardRefused, Detail: "upload"})
			r.Record(recording.Transfer, []byte(`{"denied":"upload"}`))
			r.Answer(packet(fxpStatus, ssh.Marshal(struct {
				ID, Code       uint32
				Text, Language string
			}{id, fxPermissionDenied, "denied by the test", "en"})))
		case strings.Contains(path, "alias"):
			renamed := binary.BigEndian.AppendUint32(nil, id)
			renamed = append(renamed, ssh.Marshal(struct{ Path string }{strings.Replace(path, "alias", "a-longer-real", 1)})...)
			renamed = append(binary.BigEndian.AppendUint32(renamed, flags), f.rest...)
			r.Pass(packet(fxpOpen, renamed), false)
		default:
			r.Pass(p, false)
		}
		return nil
	}}
}

// asItComes attaches none: a test that has any bytes for a transfer's.
func asItComes(content) decoder { return nil }

// sftpOnly attaches d to the subsystem.
func sftpOnly(d decoder) func(content) decoder {
	return func(c content) decoder {
		if c.subsystem == "sftp" {
			return d
		}
		return nil
	}
}

func randomFile(t testing.TB, path string, size int) (sum [sha256.Size]byte) {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func sumOf(t testing.TB, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return sha256.Sum256(b)
}

// OpenSSH's sftp through entry to OpenSSH's server, with a decoder in between.
func TestOpenSSHTransfersThroughADecoder(t *testing.T) {
	for name, streams := range map[string][]byte{"reassembled": nil, "streamed": {fxpWrite, fxpData}} {
		t.Run(name, func(t *testing.T) {
			var log logbook.Log
			b := newBridge(t, mayAllRecorded, func(o *Options) {
				o.decoder = func(c content) decoder { return sftpRules(streams...) }
				o.Event = into(&log)
			})
			at := func(name string) string { return filepath.Join(b.dir, name) }
			const size = 20_000_001
			sum := randomFile(t, at("local"), size)
			batch := at("batch")
			lines := []string{
				"-put " + at("local") + " " + at("forbidden"), // a line that may fail
				"put " + at("local") + " " + at("remote"),
				"get " + at("remote") + " " + at("back"),
				"-put " + at("local") + " " + at("forbidden-too"),
				"get " + at("alias") + " " + at("aliased"),
				"put " + at("back") + " " + at("again"),
				"-rm " + at("the-end"),
				"put " + at("local") + " " + at("never"),
			}
			if err := os.WriteFile(batch, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			real := randomFile(t, at("a-longer-real"), 100_000)
			randomFile(t, at("alias"), 100_000) // sftp asks for its size
			_, stderr, status := b.run("", "sftp", "-q", "-R", "64", "-B", "262000", "-b", batch, "x")
			if status == 0 || !strings.Contains(stderr, `"`+at("forbidden")+`": Permission denied`) || !strings.Contains(stderr, "entry: that isn't to be removed (ref ref00000)") {
				t.Errorf("status %d, stderr %q", status, stderr)
			}
			for name, want := range map[string][sha256.Size]byte{"remote": sum, "back": sum, "again": sum, "aliased": real} {
				if sumOf(t, at(name)) != want {
					t.Errorf("%s has other bytes", name)
				}
			}
			for _, name := range []string{"forbidden", "forbidden-too", "never"} {
				if _, err := os.Stat(at(name)); !os.IsNotExist(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
			denied := 0
			for _, e := range log.All() {
				if e.Detail == "upload" && e.Channel != nil && e.ChannelType == "session" {
					denied++
				}
			}
			if denied != 2 || strings.Count(b.rec.text(recording.Transfer), `{"denied":"upload"}`) != 2 {
				t.Errorf("%d denials were noted", denied)
			}
		})
	}
}

// TestRefusedTransfersSayWhy: OpenSSH's sftp and scp print the number of a refusal's
// status and nothing of its text. Which rule it was, and the reference, they print as
// what the program said, once.
func TestRefusedTransfersSayWhy(t *testing.T) {
	for rule, c := range map[string]struct{ from, to, batch, capability string }{
		"may: [download]\nrecord: full": {"%[1]s/local", "x:%[1]s/there", "-put %[1]s/local %[1]s/there\n-put %[1]s/local %[1]s/too\n-mkdir %[1]s/folder\n", "upload"},
		"may: [upload]\nrecord: full":   {"x:%[1]s/local", "%[1]s/there", "-get %[1]s/local %[1]s/there\n-get %[1]s/local %[1]s/too\n", "download"},
	} {
		for name, program := range map[string][]string{"sftp": {"sftp", "-q", "-b"}, "scp": {"scp", "-q", "-s"}, "scp -O": {"scp", "-q", "-O"}} {
			t.Run(name+", "+c.capability, func(t *testing.T) {
				var log logbook.Log
				b := newBridge(t, rule, func(o *Options) { o.Event = into(&log) })
				randomFile(t, filepath.Join(b.dir, "local"), 1000)
				var args []string
				if name == "sftp" {
					batch := filepath.Join(b.dir, "batch")
					if err := os.WriteFile(batch, fmt.Appendf(nil, c.batch, b.dir), 0o600); err != nil {
						t.Fatal(err)
					}
					args = append(slices.Clone(program), batch, "x")
				} else {
					args = append(slices.Clone(program), fmt.Sprintf(c.from, b.dir), fmt.Sprintf(c.to, b.dir))
				}
				_, stderr, status := b.run("", args[0], args[1:]...)
				line := "entry: " + mayNot(c.capability) + " (ref ref00000)\n"
				if !strings.Contains(stderr, line) || strings.Count(stderr, "you may not") != 1 || name != "sftp" && status == 0 {
					t.Errorf("status %d, stderr %q", status, stderr)
				}
				if name == "scp -O" {
					return // refused as a command
				}
				if !strings.Contains(stderr, "Permission denied") { // by another process, before it or after
					t.Errorf("stderr %q", stderr)
				}
				if !strings.Contains(b.rec.text(recording.Error), line) {
					t.Errorf("the recording has %q", b.rec.text(recording.Error))
				}
				refs := 0
				for _, e := range log.All() {
					if e.Ref == "ref00000" && e.Type == audit.TransferFile && e.Reason == "refused" && e.Capability == c.capability {
						refs++
					}
				}
				if refs != 1 {
					t.Errorf("%d events have the reference: %+v", refs, log.All())
				}
			})
		}
	}
}

// Both ways at once on one channel, with many requests under way, some of which
// are denied meanwhile.
func TestTransfersBothWaysThroughADecoder(t *testing.T) {
	b := newBridge(t, mayAllRecorded, func(o *Options) { o.decoder = sftpOnly(sftpRules()) })
	conn, err := ssh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port), &ssh.ClientConfig{User: "alice", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := sftp.NewClient(conn, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(64), sftp.MaxPacketUnchecked(200_000))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := func(name string) string { return filepath.Join(b.dir, name) }
	const size = 15_000_001
	sum := randomFile(t, at("from"), size)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() { // up
			src, err := os.Open(at("from"))
			if err != nil {
				t.Error(err)
				return
			}
			defer src.Close()
			dst, err := c.Create(at(fmt.Sprint("up", i)))
			if err != nil {
				t.Error(err)
				return
			}
			if n, err := dst.ReadFrom(src); n != size || err != nil {
				t.Errorf("%d bytes up, %v", n, err)
			}
			if err := dst.Close(); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { // down
			src, err := c.Open(at("from"))
			if err != nil {
				t.Error(err)
				return
			}
			h := sha256.New()
			if n, err := src.WriteTo(h); n != size || err != nil || [sha256.Size]byte(h.Sum(nil)) != sum {
				t.Errorf("%d bytes down, or others, %v", n, err)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { // denied
			for range 200 {
				if _, err := c.Create(at("forbidden")); !errors.Is(err, os.ErrPermission) {
					t.Errorf("creating what is forbidden: %v", err)
				}
			}
		})
	}
	all.Wait()
	for i := range 2 {
		if sumOf(t, at(fmt.Sprint("up", i))) != sum {
			t.Errorf("up%d has other bytes", i)
		}
	}
	if err := c.Remove(at("the-end")); err == nil {
		t.Error("the channel goes on")
	}
	s, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Output("echo the connection does"); string(out) != "the connection does\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}
