//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"entry/audit/evidence"
	"entry/bastion/site"
	"entry/e2e/testkit"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

// recorded is a directory as entry init makes it, with two sessions recorded
// and in the log: one sealed, one that a crash cut.
type recorded struct {
	t           *testing.T
	dir         string
	sealed, cut string // IDs
}

func newRecorded(t *testing.T) recorded {
	t.Helper()
	r := recorded{t: t, dir: filepath.Join(t.TempDir(), "d"), sealed: sealedID, cut: cutID}
	testkit.Check(t, makeRecorded(r.dir, time.Now().Add(-time.Minute)))
	return r
}

// run runs entry sessions.
func (r recorded) run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	cmd := rootCmd()
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{"sessions", "--dir", r.dir}, args...))
	err := cmd.ExecuteContext(r.t.Context())
	if err == nil {
		return out.String(), errs.String(), exitOK
	}
	return out.String(), errs.String() + err.Error(), exitCode(err)
}

func (r recorded) file(id, ext string) string { return filepath.Join(r.dir, "spool", id+ext) }

func (r recorded) verifyAll() (evidence.Report, error) {
	return evidence.Verify(filepath.Join(r.dir, "audit"), filepath.Join(r.dir, "spool"))
}

func TestSessionsLs(t *testing.T) {
	r := newRecorded(t)
	out, _, code := r.run("ls", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitOK || len(lines) != 2 {
		t.Fatalf("%d: %q", code, out)
	}
	for i, want := range []map[string]any{ // the newest first
		{"id": r.cut, "user": "bob", "target": "home.tinker", "state": "aborted", "coverage": "partial"},
		{"id": r.sealed, "user": "alice", "target": "home.tinker", "state": "complete", "coverage": "partial"},
	} {
		var got map[string]any
		testkit.Check(t, json.Unmarshal([]byte(lines[i]), &got))
		for k, v := range want {
			if got[k] != v {
				t.Errorf("line %d: %s = %v, want %v", i, k, got[k], v)
			}
		}
		for _, k := range []string{"start", "end"} {
			if _, err := time.Parse(time.RFC3339Nano, got[k].(string)); err != nil {
				t.Errorf("line %d: %s: %v", i, k, err)
			}
		}
	}
	for args, want := range map[string]int{
		"": 3, "--user alice": 2, "--target home": 3, "--target home.tinker": 3, "--since 24h": 3, "--since 10s": 1,
	} {
		out, _, code := r.run(append([]string{"ls"}, strings.Fields(args)...)...)
		if n := strings.Count(out, "\n"); code != exitOK || n != want {
			t.Errorf("ls %s: %d lines, exit %d; want %d\n%s", args, n, code, want, out)
		}
	}
	for args, want := range map[string]string{"--user eve": `--user "eve": recordings, audit log and policy have no such user`, "--target hom": `--target "hom": recordings, audit log and policy have no such target; did you mean "home"?`, "--lab tinkr": `; did you mean "tinker"?`} {
		if out, errs, code := r.run(append([]string{"ls"}, strings.Fields(args)...)...); code != exitNotFound || out != "" || !strings.Contains(errs, want) {
			t.Errorf("ls %s: exit %d, %q %q", args, code, out, errs)
		}
	}
	if _, _, code := r.run("ls", "--since", "yesterday"); code != exitUsage {
		t.Errorf("a bad time: exit %d", code)
	}
}

func TestSessionsShow(t *testing.T) {
	r := newRecorded(t)
	out, errs, code := r.run("show", "01jq8z3m6w")
	for _, want := range []string{"alice", "home.tinker", "complete", "yes, against the audit log", `0 exec "id; printf '\x1b]0;x\a'"`, "exit status 3", "1 shell, terminal xterm 100x30", "exit status 7"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, %s lacks %q in\n%s", code, errs, want, out)
		}
	}
	out, _, code = r.run("show", "last", "--json")
	var got struct {
		ID       string
		State    string
		Verified bool
	}
	testkit.Check(t, json.Unmarshal([]byte(out), &got))
	if code != exitOK || got.ID != r.cut || got.State != "aborted" || !got.Verified {
		t.Errorf("exit %d, %+v", code, got)
	}
	testkit.Check(t, os.Rename(filepath.Join(r.dir, "auditor.key"), filepath.Join(r.dir, "elsewhere")))
	if out, _, code := r.run("show", r.sealed); code != exitOK || strings.Contains(out, "channels") || !strings.Contains(out, "yes, against") {
		t.Errorf("without an identity: exit %d\n%s", code, out)
	}
	testkit.Check(t, os.Remove(r.file(r.sealed, ".key")))
	if out, _, code := r.run("show", r.sealed); code != exitFailure || !strings.Contains(out, "NO: recording "+r.sealed+": its sealed key, "+r.sealed+".key, is missing") {
		t.Errorf("its key removed, and no word of that in the log: exit %d\n%s", code, out)
	}
}

func TestSessionsNames(t *testing.T) {
	r := newRecorded(t)
	for name, want := range map[string]int{r.sealed: exitOK, "last": exitOK, "01JQ8Z3M6X": exitOK, "01JQ": exitUsage, "nobody": exitNotFound, "": exitNotFound, "../x": exitNotFound} {
		if _, errs, code := r.run("show", name); code != want {
			t.Errorf("show %q: exit %d, want %d: %s", name, code, want, errs)
		}
	}
	empty := recorded{t: t, dir: filepath.Join(t.TempDir(), "d")}
	testkit.Check(t, site.Init(empty.dir, "127.0.0.1:2222", ""))
	if _, _, code := empty.run("show", "last"); code != exitNotFound {
		t.Errorf("last of none: exit %d", code)
	}
	if out, _, code := empty.run("ls", "--json"); code != exitOK || out != "" {
		t.Errorf("ls of none: exit %d, %q", code, out)
	}
}

func TestSessionsPlay(t *testing.T) {
	r := newRecorded(t)
	out, errs, code := r.run("play", r.sealed, "-x", "2", "--idle", "1s")
	if want := "$ ls -l\nred\n"; code != exitOK || out != want {
		t.Errorf("exit %d, played %q, want %q", code, out, want)
	}
	if after, _, code := r.run("play", r.sealed, "--at", "+0s"); code != exitOK || after != out {
		t.Errorf("from the start: exit %d, %q", code, after)
	}
	for _, want := range []string{"alice on home.tinker", "resized to 120x40", "exit status 7"} {
		if !strings.Contains(errs, want) {
			t.Errorf("notes %q lack %q", errs, want)
		}
	}
	if out, _, code := r.run("play", r.sealed, "--channel", "0"); code != exitOK || out != "uid=1000(alice)\n" {
		t.Errorf("channel 0: exit %d, %q", code, out)
	}
	if out, errs, code := r.run("play", "last"); code != exitOK || out != "before the crash\n" || !strings.Contains(errs, "cut") {
		t.Errorf("a cut recording: exit %d, %q, %q", code, out, errs)
	}
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"no such channel": {[]string{"play", r.sealed, "--channel", "9"}, exitNotFound},
		"speed":           {[]string{"play", r.sealed, "-x", "0"}, exitUsage},
		"no time":         {[]string{"play", r.sealed, "--at", "noon"}, exitUsage},
		"after its end":   {[]string{"play", r.sealed, "--at", "+9h"}, exitUsage},
		"no identity":     {[]string{"play", r.sealed, "--identity", "/nonexistent"}, exitUsage},
		"not an identity": {[]string{"play", r.sealed, "--identity", filepath.Join(r.dir, "entry.yaml")}, exitUsage},
		"no session":      {[]string{"play"}, exitUsage},
		"no such session": {[]string{"play", "01ZZ"}, exitNotFound},
	} {
		if _, errs, code := r.run(tc.args...); code != tc.want {
			t.Errorf("%s: exit %d, want %d: %s", name, code, tc.want, errs)
		}
	}
	stranger, _, err := auditors.Generate()
	testkit.Check(t, err)
	file := filepath.Join(r.dir, "stranger")
	testkit.Check(t, os.WriteFile(file, []byte(stranger+"\n"), 0o600))
	if out, errs, code := r.run("play", r.sealed, "--identity", file); code != exitDenied || out != "" || strings.Contains(errs, stranger) {
		t.Errorf("a stranger's identity: exit %d, %q, %q", code, out, errs)
	}
	testkit.Check(t, os.Remove(r.file(r.sealed, ".key")))
	if _, errs, code := r.run("play", r.sealed); code != exitNotFound || !strings.Contains(errs, "removed") {
		t.Errorf("shredded: exit %d, %q", code, errs)
	}
	testkit.Check(t, os.Remove(filepath.Join(r.dir, "auditor.key")))
	if _, _, code := r.run("play", "last"); code != exitUsage {
		t.Errorf("without an identity: exit %d", code)
	}
}

func TestSessionsExport(t *testing.T) {
	r := newRecorded(t)
	out, _, code := r.run("export", r.sealed)
	first, rest, _ := strings.Cut(out, "\n")
	var head struct {
		Version int
		Term    struct{ Cols, Rows int }
	}
	testkit.Check(t, json.Unmarshal([]byte(first), &head))
	if code != exitOK || head.Version != 3 || head.Term.Cols != 100 || !strings.Contains(rest, `"r", "120x40"]`) || !strings.HasSuffix(rest, "\"x\", \"7\"]\n") || strings.Contains(rest, "cm0g") {
		t.Errorf("asciicast: exit %d\n%s", code, out)
	}
	if out, _, code := r.run("export", r.sealed, "--format", "text"); code != exitOK || !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d {9}\$ ls -l\n\d\d:\d\d:\d\d\.\d {9}red\n`).MatchString(out) {
		t.Errorf("text: exit %d\n%s", code, out)
	}
	file := filepath.Join(r.dir, "bytes")
	for want := range 2 {
		if _, errs, code := r.run("export", r.sealed, "--format", "raw", "-o", file); code != want {
			t.Errorf("raw: exit %d, want %d: %s", code, want, errs)
		}
	}
	raw, err := os.ReadFile(file)
	testkit.Check(t, err)
	if want := "$ lss\b \b\x1b]52;c;cm0gLXJm\a\x1b[6n -l\r\n\x1b[31mred\x1b[0m\r\n"; string(raw) != want {
		t.Errorf("raw: %q", raw)
	}
	if _, _, code := r.run("export", r.sealed, "--format", "gif"); code != exitUsage {
		t.Errorf("an unknown format: exit %d", code)
	}
}

func TestTamperedRecordingsAreNamed(t *testing.T) {
	r := newRecorded(t)
	if rep, err := r.verifyAll(); err != nil || rep.Recordings != 2 || rep.Live != 0 {
		t.Fatalf("untouched: %v, %v", rep, err)
	}
	all, err := os.ReadFile(r.file(r.sealed, ".rec"))
	testkit.Check(t, err)
	try := func(name string, data []byte) {
		t.Helper()
		testkit.Check(t, os.WriteFile(r.file(r.sealed, ".rec"), data, 0o600))
		if _, err := r.verifyAll(); err == nil || !strings.Contains(err.Error(), r.sealed) {
			t.Errorf("%s: verifying all says %v", name, err)
		}
		if out, _, code := r.run("show", r.sealed); code != exitFailure || !strings.Contains(out, "NO: ") {
			t.Errorf("%s: show exits %d\n%s", name, code, out)
		}
	}
	for _, i := range []int{0, len(all) / 3, len(all) / 2, len(all) - 1} {
		bad := bytes.Clone(all)
		bad[i] ^= 1
		try("flipped", bad)
	}
	try("cut", all[:len(all)-9])
	// A cut that is made to look like a crash.
	_, err = spool.Recover(filepath.Join(r.dir, "spool"), nil)
	testkit.Check(t, err)
	try("cut and marked as aborted", all[:len(all)-9])
	testkit.Check(t, os.Remove(r.file(r.sealed, ".aborted")))
	other, err := os.ReadFile(r.file(r.cut, ".rec"))
	testkit.Check(t, err)
	try("replaced", other)
	testkit.Check(t, os.Remove(r.file(r.sealed, ".rec")))
	if _, err := r.verifyAll(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("removed: %v", err)
	}
	testkit.Check(t, os.WriteFile(r.file(r.sealed, ".rec"), all, 0o600))
	planted := "01JQ8Z3M6Y0000000000000003"
	testkit.Check(t, os.WriteFile(r.file(planted, ".rec"), all, 0o600))
	if _, err := r.verifyAll(); err == nil || !strings.Contains(err.Error(), planted) {
		t.Errorf("planted: %v", err)
	}
	testkit.Check(t, os.Remove(r.file(planted, ".rec")))
	ticks, err := filepath.Glob(filepath.Join(r.dir, "spool", "ticks", "*"))
	testkit.Check(t, err)
	list, err := os.ReadFile(ticks[0])
	testkit.Check(t, err)
	list[len(list)-2] ^= 1
	testkit.Check(t, os.WriteFile(ticks[0], list, 0o600))
	if _, err := r.verifyAll(); err == nil || !strings.Contains(err.Error(), "tick") {
		t.Errorf("a changed list: %v", err)
	}
}
