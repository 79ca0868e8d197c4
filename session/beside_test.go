package session

import (
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/transfer"
)

// fakeBeside is what targets may still say to a user.
type fakeBeside struct {
	mu              sync.Mutex
	words, unlisted int64
	back            int64
}

func (f *fakeBeside) Words(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	fits := min(int64(n), f.words)
	f.words -= fits
	return int(fits)
}

func (f *fakeBeside) Unlisted(n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > f.unlisted {
		return false
	}
	f.unlisted -= n
	return true
}

func (f *fakeBeside) Back(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.back += n
}

// Who opens one transfer after the other has no more of what their targets may say in
// words than one who opens few.
func TestManyTransfersSayLittleTogether(t *testing.T) {
	const each, all = 60_000, 150_000
	user := &fakeBeside{words: all, unlisted: 1 << 20}
	r := newRig(t, "may: [upload]\nrecord: full", func(o *Options) { o.Beside = user })
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		_, _ = ch.Stderr().Write([]byte(strings.Repeat("secret", each/6)))
		exitWith(ch, 0)
	}), nil)
	const leftOut = "entry: your share of what programs may print beside files is used up for today; the rest is left out\n"
	said, told := 0, 0
	for range 12 {
		u := r.open()
		if !u.request(t, "exec", "scp -t /data") {
			t.Fatal("refused")
		}
		u.ends(t)
		said += strings.Count(u.stderr(), "secret") * 6
		if told += strings.Count(u.stderr(), leftOut); u.exit != 0 {
			t.Errorf("status %d", u.exit)
		}
	}
	if said > all || said < all-each || told < 9 {
		t.Errorf("12 transfers said %d bytes; %d were told that more is left out", said, told)
	}
	r.client.Conn.Close()
	r.wait()
	closed := r.log.All(audit.ChannelClosed)
	sum := int64(0)
	for _, e := range closed {
		sum += e.BytesBeside
	}
	if len(closed) != 12 || closed[0].BytesBeside != each || sum != all {
		t.Errorf("the log has %d of %d channels, the first %+v", sum, len(closed), closed[0])
	}
	if !strings.Contains(r.rec.text(recording.Request), `"bytes_beside":60000`) {
		t.Error("the recording doesn't say what was said beside the files")
	}
}

// Names that a transfer brought have a line once they are too many in all; either is
// counted for who may not download.
func TestManyTransfersNamesAreListed(t *testing.T) {
	for may, back := range map[string]bool{"upload": true, "upload, download": false} {
		user := &fakeBeside{words: 1 << 20, unlisted: 200}
		r := newRig(t, "may: ["+may+"]\nrecord: manifest", func(o *Options) { o.Beside = user })
		r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			buf := make([]byte, 1024)
			_, _ = ch.Read(buf) // INIT
			_, _ = ch.Write([]byte("\x00\x00\x00\x05\x02\x00\x00\x00\x03"))
			_, _ = ch.Read(buf)
			name := strings.Repeat("x", 100)
			body := ssh.Marshal(struct {
				ID, N      uint32
				Name, Long string
				Flags      uint32
			}{7, 1, name, "", 0})
			_, _ = ch.Write(ssh.Marshal(struct {
				N    uint32
				Kind byte
				Body []byte `ssh:"rest"`
			}{uint32(len(body) + 1), 104, body}))
			_, _ = ch.Read(buf)
			exitWith(ch, 0)
		}), nil)
		lists := 0
		for range 4 {
			u := r.open()
			if !u.request(t, "subsystem", "sftp") {
				t.Fatal("refused")
			}
			_, _ = u.Write([]byte("\x00\x00\x00\x05\x01\x00\x00\x00\x03"))
			testkit.Eventually(t, "the version", func() bool { return u.stdout() != "" })
			_, _ = u.Write([]byte("\x00\x00\x00\x0a\x10\x00\x00\x00\x07\x00\x00\x00\x01."))
			testkit.Eventually(t, "the name", func() bool { return strings.Contains(u.stdout(), "xxx") })
			_ = u.CloseWrite()
			u.ends(t)
		}
		r.client.Conn.Close()
		r.wait()
		for _, e := range r.log.All(audit.TransferFile) {
			if e.Detail == "list" && e.Capability == transfer.Download.String() && e.BytesDown > 100 {
				lists++
			}
		}
		if lists != 3 {
			t.Errorf("may %s: %d of 4 transfers' names are listed, want those of 3", may, lists)
		}
		if n := user.back; back != (n > 4*100) {
			t.Errorf("may %s: %d bytes came back", may, n)
		}
	}
}
