package session

import (
	"bufio"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
)

// A transfer that writes what shells start from raises an alarm in the log, once for
// each such file and session; another file raises none.
func TestStartFilesRaiseAnAlarm(t *testing.T) {
	r := newRig(t, "may: [upload]\nrecord: full", nil)
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		in := bufio.NewReader(ch)
		_, _ = ch.Write([]byte{0})
		_, _ = in.ReadString('\n')
		_, _ = ch.Write([]byte{0})
		_, _ = in.ReadByte()
		_, _ = ch.Write([]byte{0})
		exitWith(ch, 0)
	}), nil)
	for _, place := range []string{"/home/ada/.bashrc", "data.csv", "~/.bashrc", "bin/scp"} {
		u := r.open()
		if !u.request(t, "exec", struct{ C string }{"scp -t " + place}) {
			t.Fatal("refused")
		}
		if _, err := u.Write([]byte("C0644 0 x\n\x00")); err != nil {
			t.Fatal(err)
		}
		u.ends(t)
	}
	all := r.log.All(audit.AlarmStartFile)
	if len(all) != 2 || all[0].Detail != "put .bashrc" || all[0].Program != "scp" || all[0].Reason != "ok" || all[0].Channel == nil || all[1].Detail != "put bin" {
		t.Errorf("%+v", all)
	}
}
