package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"entry/e2e/testkit"
	"entry/policy"
	"entry/session/recording"
)

// framesOf is a recorder of one stream: what it keeps, in order.
type framesOf struct {
	kept     []byte
	gaps     int
	omitted  []recording.Omitted
	failures error
}

func (f *framesOf) Frame(k recording.Kind, _ uint32, p []byte) error {
	switch k {
	case recording.Gap:
		f.gaps++
	case recording.Transfer:
		var o recording.Omitted
		if err := json.Unmarshal(p, &o); err != nil {
			return err
		}
		f.omitted = append(f.omitted, o)
		f.kept = append(f.kept, 0) // where it stands
	default:
		f.kept = append(f.kept, p...)
	}
	return f.failures
}
func (f *framesOf) Failed() <-chan struct{} { return nil }
func (f *framesOf) Err() error              { return nil }

// Bulk is left out with its digest and its end, and recording goes on once a person
// may be reading again, as often as that comes: nothing that came at a person's pace
// is lost, and every byte is either kept or counted and digested in its place.
func TestBulkEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, lost := &framesOf{}, &losses{}
		tp := &tap{rec: rec, kind: recording.Output, left: 1000, beyond: policy.Digest, lost: lost}
		var sent []byte
		random := rand.New(rand.NewPCG(1, 2))
		put := func(n int) {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(1 + random.IntN(255)) // 0 marks omissions
			}
			sent = append(sent, b...)
			if err := tp.keep(b); err != nil {
				t.Fatal(err)
			}
		}
		flood := func() {
			for range 100 {
				put(30_000)
				time.Sleep(10 * time.Millisecond)
			}
		}
		type stretch struct{ from, to int }
		var read []stretch // what a person had time for
		person := func() {
			time.Sleep(3 * time.Second)
			from := len(sent)
			for range 20 {
				put(random.IntN(2000))
				time.Sleep(300 * time.Millisecond)
			}
			read = append(read, stretch{from, len(sent)})
		}
		put(500)
		flood()
		person()
		flood()
		person()
		time.Sleep(time.Hour)
		person()
		if err := tp.close(); err != nil {
			t.Fatal(err)
		}
		for _, s := range read {
			if !bytes.Contains(rec.kept, sent[s.from:s.to]) {
				t.Errorf("bytes %d to %d came at a person's pace and aren't kept", s.from, s.to)
			}
		}
		if len(rec.omitted) != 2 || rec.gaps != 2 {
			t.Errorf("%d pieces were left out, %d gaps", len(rec.omitted), rec.gaps)
		}
		checkWhole(t, sent, rec)
		if got := lost.list(); len(got) != 1 || got[0].Bytes != rec.omitted[0].Bytes+rec.omitted[1].Bytes || got[0].Why != "bulk" || got[0].Stream != "output" {
			t.Errorf("counted %v of %v", got, rec.omitted)
		}
	})
}

// checkWhole puts what was kept and what was digested together again.
func checkWhole(t *testing.T, sent []byte, rec *framesOf) {
	t.Helper()
	at := 0
	for i, kept := range bytes.Split(rec.kept, []byte{0}) {
		if !bytes.HasPrefix(sent[at:], kept) {
			t.Fatalf("what is kept from byte %d on isn't what came", at)
		}
		if at += len(kept); i < len(rec.omitted) {
			o := rec.omitted[i]
			piece := sent[at : at+int(o.Bytes)]
			if "sha256:"+o.SHA256 != digest(string(piece)) {
				t.Errorf("the digest of %d bytes from %d on is wrong", o.Bytes, at)
			}
			at += len(piece)
		}
	}
	if at != len(sent) {
		t.Errorf("%d of %d bytes are accounted for", at, len(sent))
	}
}

// A quick stream that pauses isn't a person's: less than two whole seconds of quiet
// end no bulk.
func TestBulkWithPausesStaysBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &framesOf{}
		tp := &tap{rec: rec, kind: recording.Output, left: 1, lost: &losses{}}
		for range 50 {
			if err := tp.keep(make([]byte, readable)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
		}
		if err := tp.close(); err != nil {
			t.Fatal(err)
		}
		if len(rec.omitted) != 1 || rec.omitted[0].Bytes != 50*readable-1-maxEnd {
			t.Errorf("%+v", rec.omitted)
		}
	})
}

func TestBeyondBulk(t *testing.T) {
	for _, tt := range []struct {
		beyond  policy.Beyond
		whole   bool
		share   int // bytes
		want    error
		omitted int64
	}{
		{beyond: policy.Digest, share: 1 << 30, omitted: 200_000 - 1000 - maxEnd},
		{beyond: policy.EndBeyond, share: 1 << 30, want: errBulk},
		{beyond: policy.Digest, share: 50_000, omitted: 200_000 - 50_000}, // the end is as long as the share
		{beyond: policy.Digest, share: 50_000, whole: true, want: errShare},
	} {
		t.Run(fmt.Sprintf("%s, share %d, whole %t", tt.beyond, tt.share, tt.whole), func(t *testing.T) {
			rec, left := &framesOf{}, tt.share
			tp := &tap{rec: rec, kind: recording.Output, left: 1000, beyond: tt.beyond, whole: tt.whole, lost: &losses{}, keeps: func(n int) int {
				n = min(n, left)
				left -= n
				return n
			}}
			var sent []byte
			var err error
			for i := 0; i < 20 && err == nil; i++ {
				b := bytes.Repeat([]byte{byte('a' + i)}, 10_000)
				sent = append(sent, b...)
				err = tp.keep(b)
			}
			if err == nil {
				err = tp.close()
			}
			if !errors.Is(err, tt.want) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			checkWhole(t, sent, rec)
			if len(rec.omitted) != 1 || rec.omitted[0].Bytes != tt.omitted {
				t.Errorf("%+v, want %d bytes", rec.omitted, tt.omitted)
			}
		})
	}
}

// An interpreter's input is its script; what others read is payload.
func TestReadsScript(t *testing.T) {
	for command, want := range map[string]bool{
		"": true, "bash": true, "bash -s": true, "bash -s -- arg": true, "/bin/sh": true, "sh -x": true, "'/bin/bash'": true, `\bash -l`: true,
		"sudo bash -s": true, "env A=1 bash": true, "cd /x && bash": true, "true; sh": true, "(bash)": true, "exec zsh -": true, "nice -n 5 bash -e -s": true,
		"python3": true, "python3 -": true, "python3 -u -": true, "python3.11": true, "perl": true, "R --no-save": true, "Rscript -": true,
		"psql lab": true, "sqlite3 /data/x.db": true, "at now": true, "crontab -": true, "xargs rm": true, "bash < /dev/stdin": true, "busybox sh": true,

		"bash -c 'id'": false, "sh -c \"sudo -S id\"": false, "bash deploy.sh": false, "python3 x.py": false, "python3 -c 'import os'": false, "python3 -m http.server": false,
		"perl -e 1": false, "perl -pe s/a/b/": false, "tar x": false, "cat > file": false, "dd of=x": false, "psql -c 'select 1'": false, "gzip -d": false, "uptime": false,
	} {
		if got := readsScript(content{channel: "session", command: command}); got != want {
			t.Errorf("%q: %t", command, got)
		}
	}
	if readsScript(content{channel: "session", subsystem: "sftp"}) {
		t.Error("a subsystem reads no script")
	}
}

// The line of input after a password prompt isn't kept, however it comes in; the
// next one is.
func TestAnswersAreMasked(t *testing.T) {
	type step struct {
		output bool
		text   string
	}
	out := func(s string) step { return step{true, s} }
	in := func(s string) step { return step{false, s} }
	for name, tt := range map[string]struct {
		steps []step
		kept  string
		marks int
	}{
		"sudo":          {[]step{in("sudo id\r"), out("sudo id\r\n[sudo] password for alice: "), in("hunter2\r"), out("\r\nuid=0\r\n$ "), in("ls\r")}, "sudo id\rls\r", 1},
		"byte by byte":  {[]step{out("Password:"), in("h"), in("u"), in("n"), in("\r"), in("l"), in("s")}, "ls", 1},
		"in pieces":     {[]step{out("Enter pass"), out("phrase for key '/home/alice/.ssh/id': "), in("secret\nnext\n")}, "next\n", 1},
		"twice":         {[]step{out("Old password: "), in("a\n"), out("\nNew password: "), in("b\n"), out("\nok\n"), in("c\n")}, "c\n", 2},
		"given up":      {[]step{out("Password: "), out("\r\nsudo: timed out\r\n$ "), in("ls\r")}, "ls\r", 0},
		"a colour":      {[]step{out("\x1b[1mPIN: \x1b[0m"), in("1234\r")}, "", 1},
		"German":        {[]step{out("Kennwort: "), in("geheim\r")}, "", 1},
		"a code":        {[]step{out("Verification code: "), in("123456\r")}, "", 1},
		"no prompt":     {[]step{out("the password was changed\r\n$ "), in("ls\r")}, "ls\r", 0},
		"a file's name": {[]step{out("$ cat password"), in(".txt\r")}, ".txt\r", 0},
		"interrupted":   {[]step{out("Password: "), in("hun"), out("^C\r\n$ "), in("ls\r")}, "ls\r", 1},
		"no end":        {[]step{out("Password: "), in("hun"), in("ter2")}, "", 1},
		"long":          {[]step{out("Password: "), in(strings.Repeat("a", maxAnswer-1) + "\n"), in("ls\n")}, "ls\n", 1},
		"too long":      {[]step{out("Password: "), in(strings.Repeat("a", maxAnswer)), in("b\nls\n")}, strings.Repeat("a", maxAnswer) + "b\nls\n", 0},
		"much too long": {[]step{out("Password: "), in(strings.Repeat("a", 1<<16) + "\n"), in("ls\n")}, strings.Repeat("a", 1<<16) + "\nls\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &framesOf{}
			m := &mask{}
			output := &tap{rec: &framesOf{}, kind: recording.Output, left: 1 << 20, mask: m, lost: &losses{}}
			input := &tap{rec: rec, kind: recording.Input, left: 1 << 20, mask: m, lost: &losses{}}
			for _, s := range tt.steps {
				tp := input
				if s.output {
					tp = output
				}
				if err := tp.keep([]byte(s.text)); err != nil {
					t.Fatal(err)
				}
			}
			testkit.Check(t, input.close())
			if string(rec.kept) != tt.kept || rec.gaps != tt.marks {
				t.Errorf("kept %q with %d marks, want %q with %d", rec.kept, rec.gaps, tt.kept, tt.marks)
			}
			var lines, sent int64
			for _, s := range tt.steps {
				if !s.output {
					sent += int64(len(s.text))
				}
			}
			var hidden int64
			for _, m := range input.lost.list() {
				lines, hidden = lines+m.Lines, hidden+m.Bytes
			}
			if lines != int64(tt.marks) || hidden+int64(len(rec.kept)) != sent {
				t.Errorf("%d lines and %d bytes are counted as masked, %d are kept, of %d", lines, hidden, len(rec.kept), sent)
			}
		})
	}
	for command, want := range map[string]bool{"sudo -S bash": true, "sudo -kS -p x sh": true, "sudo --stdin sh": true, "sudo bash": false, "bash": false} {
		if answersFirst(command) != want {
			t.Errorf("%q", command)
		}
	}
}

// A script that shows prompts itself hides no more than some short lines, whose
// number and bytes are known; a terminal's answers stay masked, and are counted.
func TestPromptsOfAScriptHideLittle(t *testing.T) {
	for _, script := range []bool{true, false} {
		rec, lost := &framesOf{}, &losses{}
		m := &mask{script: script}
		output := &tap{rec: &framesOf{}, kind: recording.Output, left: 1 << 20, mask: m, lost: lost}
		input := &tap{rec: rec, kind: recording.Input, left: 1 << 20, mask: m, lost: lost}
		const lines = 3 * maxMasked
		for i := range lines {
			testkit.Check(t, output.keep([]byte("password: ")))
			testkit.Check(t, input.keep(fmt.Appendf(nil, "line %02d\n", i)))
		}
		testkit.Check(t, input.close())
		hidden := lines
		if script {
			hidden = maxMasked
		}
		want := recording.Missing{Stream: "input", Why: "masked", Lines: int64(hidden), Bytes: int64(hidden * len("line 00\n"))}
		if got := lost.list(); len(got) != 1 || got[0] != want {
			t.Errorf("script %t: %+v, want %+v", script, got, want)
		}
		if bytes.Count(rec.kept, []byte("\n")) != lines-hidden || rec.gaps != hidden {
			t.Errorf("script %t: %d marks, kept %q", script, rec.gaps, rec.kept)
		}
		p := terminalPayload
		if script {
			p = plainPayload
		}
		if (&sessionChannel{program: program{payload: p}}).answered(lost.list()) {
			t.Errorf("script %t: %d lines are said to be answers", script, hidden)
		}
	}
	some := []recording.Missing{{Stream: "input", Why: "masked", Lines: maxMasked, Bytes: 9}}
	if !(&sessionChannel{program: program{payload: terminalPayload}}).answered(some) {
		t.Error("passwords at a terminal are said to be missing")
	}
	if (&sessionChannel{}).answered(some) {
		t.Error("lines of a script are said to be answers")
	}
	if (&sessionChannel{program: program{payload: terminalPayload}}).answered(append(some, recording.Missing{Stream: "output", Why: "share"})) {
		t.Error("output that is missing is said to be an answer")
	}
}

// Masked lines are in no digest, which would tell them to who guesses.
func TestMaskedLinesAreInNoDigest(t *testing.T) {
	rec, m := &framesOf{}, &mask{script: true}
	output := &tap{rec: &framesOf{}, kind: recording.Output, left: 1 << 20, mask: m, lost: &losses{}}
	input := &tap{rec: rec, kind: recording.Input, left: 2, shut: true, why: inputOmitted, mask: m, lost: &losses{}}
	testkit.Check(t, input.keep([]byte("a\nbefore\n")))
	testkit.Check(t, output.keep([]byte("password: ")))
	testkit.Check(t, input.keep([]byte("hunter2\nafter\n")))
	testkit.Check(t, input.close())
	checkWhole(t, []byte("a\nbefore\nafter\n"), rec)
	if len(rec.omitted) != 2 {
		t.Errorf("%+v", rec.omitted)
	}
}
