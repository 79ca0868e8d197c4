package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func putsOnly(d Direction) string {
	if d == Download {
		return "entry: you may not download"
	}
	return ""
}

// A target that isn't the program that it is taken for says what it likes. What of it
// reaches the client is a bounded number of words, or has an entry.
func TestWhatATargetSaysIsBounded(t *testing.T) {
	const rounds = 2000
	secret := strings.Repeat("secret ", 2000)
	for name, may := range map[string]May{"who may only upload": putsOnly, "who may download": everything} {
		b := newBench(t, NewSFTP(may))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(b.data(true, hello))
		must(b.data(false, pkt(fxpVersion, version)))
		b.passed[0] = nil
		for i := range rounds {
			must(b.data(true, pkt(fxpStat, i, "x")))
			must(b.data(false, pkt(fxpStatus, i, fxFailure, secret, secret, []byte(secret))))
		}
		said := string(b.passed[0])
		if n := strings.Count(said, "secret"); n == 0 || n*len("secret ") > MaxWords+maxText {
			t.Errorf("%s: in texts of statuses %d words passed", name, n)
		}
		last := unpack(t, b.passed[0])[rounds-1]
		if want := status(rounds-1, &reject{fxFailure, "Failure"}); !bytes.Equal(last, want) {
			t.Errorf("%s: the last status is %q", name, last)
		}
		b.passed[0] = nil
		must(b.data(true, pkt(fxpStat, 1, "x")))
		must(b.data(false, pkt(fxpStatus, 1, 0x73656372, "Failure", "en")))
		if f := (fields{rest: b.passed[0][packetHead:]}); f.uint32() != fxFailure {
			t.Errorf("%s: a code that there is none of passed: %q", name, b.passed[0])
		}
		b.passed[0] = nil
		for i := range 100 {
			must(b.data(true, pkt(fxpRealpath, i, ".")))
			must(b.data(false, pkt(fxpName, i, 1, secret[:maxPath], secret[:maxPath], noAttrs)))
		}
		names := b.passed[0]
		b.end(true)
		b.end(false)
		if len(b.entries) != 1 {
			t.Fatalf("%s: the manifest is %v", name, b.entries)
		}
		e := b.entries[0]
		all := append(binary.BigEndian.AppendUint32(nil, version), names...)
		if sum := sha256.Sum256(all); e.Operation != "list" || e.Direction != Download || e.Size != int64(len(all)) || !bytes.Equal(e.SHA256, sum[:]) {
			t.Errorf("%s: of %d bytes of names the manifest has %s", name, len(names), line(e))
		}
	}
}

// Names have no bound where they could be the files' content itself.
func TestNamesAreBoundedWhereNothingMayLeave(t *testing.T) {
	long := bytes.Repeat(pkt(0, strings.Repeat("x", maxPath-8), "", noAttrs)[5:], 25)
	for name, may := range map[string]May{"who may only upload": putsOnly, "who may download": everything} {
		b := newBench(t, NewSFTP(may))
		err := errors.Join(b.data(true, hello), b.data(false, pkt(fxpVersion, version)),
			b.data(true, pkt(fxpOpendir, 0, "d")), b.data(false, pkt(fxpHandle, 0, "h")))
		n := 0
		for ; err == nil && n < listAlone/len(long)+2; n++ {
			b.passed[0] = nil
			err = errors.Join(b.data(true, pkt(fxpReaddir, n, "h")), b.data(false, pkt(fxpName, n, 25, long)))
		}
		var stopped *Stopped
		if err == nil && name == "who may download" {
			continue
		}
		if !errors.As(err, &stopped) || stopped.Direction != Download || !strings.HasPrefix(stopped.Reason, "entry: sftp: more names and attributes came back") || n*len(long) > listAlone+len(long) || n*len(long) < listAlone-len(long) {
			t.Errorf("%s: %v after %d bytes", name, err, n*len(long))
		}
		if len(b.entries) != 1 || b.entries[0].Operation != "list" || b.entries[0].Path != "d" {
			t.Errorf("%s: the manifest is %v", name, b.entries)
		}
	}
}

// A name is no longer than names are, and there is one where one is asked for.
func TestNamesAreNames(t *testing.T) {
	x := strings.Repeat("x", maxPath+1)
	for _, name := range [][]byte{pkt(fxpName, 0, 1, x, "", noAttrs), pkt(fxpName, 0, 1, "", x+x, noAttrs), pkt(fxpName, 0, 2, "a", "", noAttrs, "b", "", noAttrs), pkt(fxpName, 0, 1, "a", "", noAttrs, "b")} {
		b := newBench(t, NewSFTP(everything))
		if err := errors.Join(b.data(true, hello), b.data(false, pkt(fxpVersion, version)), b.data(true, pkt(fxpRealpath, 0, "."))); err != nil {
			t.Fatal(err)
		}
		var desync *Desync
		if err := b.data(false, name); !errors.As(err, &desync) || desync.Reason != "malformed names" {
			t.Errorf("%.60q: %v", name, err)
		}
	}
}

// The old scp's sides answer each record in words. A reply to one that no file stands
// behind, such as times, is in no manifest.
func TestScpRepliesAreBounded(t *testing.T) {
	for _, record := range []string{"T1700000000 0 1700000000 0\n", "C0644 5 x\n"} {
		b := newBench(t, newSCP(scpRun{paths: []string{"x"}}, putsOnly))
		err := b.data(false, []byte{0})
		secret := "\x01" + strings.Repeat("secret ", 2000) + "\n"
		for range 100 {
			err = errors.Join(err, b.data(true, []byte(record)), b.data(false, []byte(secret)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b.passed[0]); n > MaxWords+100*len(scpLeftOut)+200 || n < MaxWords/2 {
			t.Errorf("behind %q %d bytes passed", record, n)
		}
		if !bytes.HasSuffix(b.passed[0], []byte("\x01"+scpLeftOut)) {
			t.Errorf("behind %q the last reply is %.40q", record, b.passed[0][len(b.passed[0])-40:])
		}
	}
}

// A source at the target tells of folders and times, which no file stands for.
func TestScpFoldersAreListed(t *testing.T) {
	b := newBench(t, newSCP(scpRun{paths: []string{"x"}, source: true, recursive: true}, everything))
	err := b.data(true, []byte{0})
	var told []byte
	for i := range 500 {
		for _, record := range []string{fmt.Sprintf("D0755 0 %03d%s\n", i, strings.Repeat("y", 200)), "T1700000000 0 1700000000 0\n", "E\n"} {
			told = append(told, record...)
			err = errors.Join(err, b.data(false, []byte(record)), b.data(true, []byte{0}))
		}
	}
	b.end(false)
	b.end(true)
	sum := sha256.Sum256(told)
	if err != nil || len(b.entries) != 1 || b.entries[0].Operation != "list" || b.entries[0].Size != int64(len(told)) || !bytes.Equal(b.entries[0].SHA256, sum[:]) {
		t.Errorf("%v, and the manifest is %v", err, b.entries)
	}
}

// What a repository's hooks say comes down in git's own stream.
func TestHooksSayLittle(t *testing.T) {
	for name, may := range map[string]May{"who may only upload": putsOnly, "who may download": everything} {
		b := newBench(t, newGit("git-receive-pack", "r", may))
		object := strings.Repeat("1", 40)
		line := func(s string) []byte { return fmt.Appendf(nil, "%04x%s", len(s)+4, s) }
		err := errors.Join(b.data(false, line(object+" refs/heads/main\x00report-status side-band-64k\n")), b.data(false, []byte("0000")),
			b.data(true, line(strings.Repeat("0", 40)+" "+object+" refs/heads/x\x00report-status side-band-64k\n")), b.data(true, []byte("0000")))
		said := line("\x02" + strings.Repeat("secret ", 5000))
		n := 0
		for ; err == nil && n < 2*backAlone; n += len(said) {
			err = b.data(false, said)
		}
		var stopped *Stopped
		if name == "who may download" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.As(err, &stopped) || n < backAlone-len(said) || n > backAlone+2*len(said) || len(b.passed[0]) > backAlone+1024 {
			t.Errorf("%s: %v after %d bytes", name, err, n)
		}
	}
}

// Names that are little in a transfer have an entry as well once those of all its user's
// transfers are much: what rules says when.
func TestFewNamesAreListedOnceTheyAreManyInAll(t *testing.T) {
	for _, unlisted := range []bool{true, false} {
		b := newBench(t, NewSFTP(putsOnly))
		b.unlisted = unlisted
		err := errors.Join(b.data(true, hello), b.data(false, pkt(fxpVersion, version)),
			b.data(true, pkt(fxpRealpath, 0, ".")), b.data(false, pkt(fxpName, 0, 1, "secret", "", noAttrs)))
		b.end(false)
		b.end(true)
		if err != nil || unlisted != (len(b.entries) == 0) {
			t.Errorf("may be unlisted %v: %v, %v", unlisted, b.entries, err)
		}
		for _, e := range b.entries {
			if e.Operation != "list" || e.Size != e.Returned() || e.Size == 0 || len(b.entries) > 1 {
				t.Errorf("%+v", e)
			}
		}
	}
}

// What is opened is told before its entry is, so that who finds a session cut off knows
// what was under way.
func TestAnOpenFileIsTold(t *testing.T) {
	b := newBench(t, NewSFTP(everything))
	err := errors.Join(b.data(true, hello), b.data(false, pkt(fxpVersion, version)),
		b.data(true, pkt(fxpOpendir, 0, "d")), b.data(false, pkt(fxpHandle, 0, "d")),
		b.data(true, pkt(fxpOpen, 1, "gone", fxfRead, noAttrs)), b.data(false, pkt(fxpStatus, 1, fxFailure, "", "")),
		b.data(true, pkt(fxpOpen, 2, "taken", fxfRead, noAttrs)), b.data(false, pkt(fxpHandle, 2, "h2")),
		b.data(true, pkt(fxpOpen, 3, "given", fxfWrite|fxfCreat, noAttrs)), b.data(false, pkt(fxpHandle, 3, "h3")))
	scp := newBench(t, newSCP(scpRun{paths: []string{"x"}}, everything))
	err = errors.Join(err, scp.data(false, []byte{0}), scp.data(true, []byte("C0644 5 y\n")))
	var got []string
	for _, e := range append(b.begun, scp.begun...) {
		got = append(got, fmt.Sprintf("%s %s %s %s", e.Protocol, e.Operation, e.Direction, e.Path))
	}
	if want := []string{"sftp get download taken", "sftp put upload given", "scp put upload x"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
