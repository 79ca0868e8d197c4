package session

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// transfers is a target whose sftp serves this machine's files.
func (r *rig) transfers() {
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		server, err := sftp.NewServer(ch)
		if err != nil {
			return
		}
		_ = server.Serve()
		exitWith(ch, 0)
	}), nil)
}

// sftp opens a channel of the client's for it, and nothing else.
func (r *rig) sftp() ssh.Channel {
	r.t.Helper()
	ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
	testkit.Check(r.t, err)
	go ssh.DiscardRequests(reqs)
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); !ok || err != nil {
		r.t.Fatal(ok, err)
	}
	return ch
}

// What decoders hold of files whose bytes come out of order counts for what a user
// has in memory: beyond the bound hashes are given up, and no channel.
func TestWhatDecodersHoldIsBounded(t *testing.T) {
	var backlog *Backlog
	with := backlogOf(t, 2)
	r := newRig(t, mayAllRecorded, func(o *Options) { with(o); backlog = o.Backlog })
	r.transfers()
	dir := t.TempDir()
	var files []*sftp.File
	for i := range 8 {
		ch := r.sftp()
		client, err := sftp.NewClientPipe(ch, ch)
		testkit.Check(t, err)
		f, err := client.Create(filepath.Join(dir, fmt.Sprint(i)))
		testkit.Check(t, err)
		for at := range 60 { // 3.75 MiB that stand behind a byte that never comes
			_, err := f.WriteAt(make([]byte, 64<<10), int64(1+at<<16))
			testkit.Check(t, err)
		}
		files = append(files, f)
	}
	testkit.Eventually(t, "no more is held than may be", func() bool {
		held, over := backlog.look(time.Now(), true)
		return !over && held < 2*mayHold
	})
	for _, f := range files {
		testkit.Check(t, f.Close())
	}
	if n := r.ended(); n != 0 {
		t.Errorf("%d channels ended", n)
	}
	r.client.Conn.Close()
	r.wait()
	if s := r.rec.text(recording.Transfer); strings.Count(s, "had too much under way at once") == 0 || strings.Count(s, `"protocol":"sftp","operation":"put"`) != 8 {
		t.Errorf("the manifest: %s", s)
	}
}

// Requests that a target doesn't answer can't be given up: the channel ends that has
// most of them, and nobody else's.
func TestRequestsThatNobodyAnswersAreBounded(t *testing.T) {
	r := newRig(t, mayAllRecorded, func(o *Options) {
		backlogOf(t, 0)(o) // 514 KiB
	})
	r.serve(accepting(func(ch ssh.Channel, req *ssh.Request, _ <-chan *ssh.Request) {
		b := make([]byte, 32<<10)
		if req.Type == "subsystem" {
			_, _ = ch.Read(b)                                  // INIT
			_, _ = ch.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3}) // VERSION, draft-ietf-secsh-filexfer-02 §4
		}
		for {
			n, err := ch.Read(b)
			if err != nil {
				return
			}
			if req.Type != "subsystem" {
				_, _ = ch.Write(b[:n])
			}
		}
	}), nil)
	quick := r.open()
	quick.request(t, "exec", "cat")
	ch := r.sftp()
	_, err := ch.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3})
	testkit.Check(t, err)
	_, err = ch.Read(make([]byte, 9)) // its version, before which nothing may be asked
	testkit.Check(t, err)
	for id := range uint32(4000) {
		stat := binary.BigEndian.AppendUint32([]byte{17}, id)
		stat = append(stat, ssh.Marshal(struct{ Path string }{strings.Repeat("p", 100)})...)
		if _, err := ch.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(stat))), stat...)); err != nil {
			break
		}
	}
	testkit.Eventually(t, "it ends", func() bool { return r.ended() == 1 })
	_, err = quick.Write([]byte("k"))
	testkit.Check(t, err)
	testkit.Eventually(t, "the echo", func() bool { return quick.stdout() == "k" })
}
