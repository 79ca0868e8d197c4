package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

// asciicast is a decoded asciicast-v3 file
// (https://docs.asciinema.org/manual/asciicast/v3/).
type asciicast struct {
	Version int
	Term    struct {
		Cols, Rows int
		Type       string
	}
	Timestamp int64
	events    []castEvent
}

type castEvent struct {
	interval float64 // seconds since the event before
	code     string  // o output, i input, r resize, m marker, x exit
	data     string
}

func parseCast(t testing.TB, text string) asciicast {
	t.Helper()
	head, rest, ok := strings.Cut(text, "\n")
	if !ok {
		t.Fatalf("asciicast without events: %q", testkit.Clip(text))
	}
	var c asciicast
	if err := json.Unmarshal([]byte(head), &c); err != nil {
		t.Fatalf("asciicast header %q: %v", head, err)
	}
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue // v3 allows comments
		}
		var e [3]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("asciicast event %q: %v", line, err)
		}
		interval, ok1 := e[0].(float64)
		code, ok2 := e[1].(string)
		data, ok3 := e[2].(string)
		if !ok1 || !ok2 || !ok3 || interval < 0 {
			t.Fatalf("asciicast event %q isn't [interval, code, data]", line)
		}
		c.events = append(c.events, castEvent{interval, code, data})
	}
	return c
}

// shown joins what events of one code carry.
func (c asciicast) shown(code string) string {
	var b strings.Builder
	for _, e := range c.events {
		if e.code == code {
			b.WriteString(e.data)
		}
	}
	return b.String()
}

func TestSessionEvidence(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)

	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	w.resize(100, 30)
	w.sendLine(`printf 'col%s\033]0;a title\007our\n' s; until stty size | grep -x '30 100'; do :; done`)
	w.expect(`30 100\r?\n`)
	w.sendLine("exit 7")
	if code := w.wait(); code != 7 {
		t.Fatalf("exit status %d, want 7: %q", code, w.text())
	}

	all := s.awaitSessions(1)
	rec := all[0]
	if rec.User != "alice" || rec.Target != "home.tinker" || rec.State != "complete" || rec.End == nil || !rec.End.After(rec.Start) {
		t.Errorf("sessions ls says %+v", rec)
	}

	t.Run("show", func(t *testing.T) {
		out := s.mustEntry("sessions", "show", rec.ID)
		for _, want := range []string{rec.ID, "alice", "home.tinker"} {
			if !strings.Contains(out, want) {
				t.Errorf("show doesn't say %q: %q", want, out)
			}
		}
		if r := s.entry("sessions", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"); r.Code != 4 {
			t.Errorf("showing a session that isn't there: %s", r)
		}
	})
	t.Run("asciicast", func(t *testing.T) {
		cast := parseCast(t, s.export(rec.ID, "asciicast-v3"))
		if cast.Version != 3 || cast.Term.Cols != 80 || cast.Term.Rows != 24 || cast.Term.Type != "xterm-256color" || cast.Timestamp != rec.Start.Unix() {
			t.Errorf("header is %+v", cast)
		}
		if out := cast.shown("o"); !strings.Contains(out, "shell-42\r\n") || !strings.Contains(out, "our\r\n30 100\r\n") {
			t.Errorf("output is %q", out)
		}
		if in := cast.shown("i"); in != "" {
			t.Errorf("input was recorded without record_input: %q", in)
		}
		if r := cast.shown("r"); strings.TrimPrefix(r, "80x24") != "100x30" {
			t.Errorf("resizes are %q", r)
		}
		if x := cast.shown("x"); x != "7" {
			t.Errorf("exit is %q", x)
		}
	})
	t.Run("text", func(t *testing.T) {
		out := s.export(rec.ID, "text")
		if !strings.Contains(out, "shell-42") || !strings.Contains(out, "colsour") {
			t.Errorf("text is %q", out)
		}
		if strings.ContainsAny(out, "\x1b\a") {
			t.Errorf("text holds control sequences: %q", out)
		}
	})
	t.Run("raw", func(t *testing.T) {
		if out := s.export(rec.ID, "raw"); !strings.Contains(out, "cols\x1b]0;a title\aour") {
			t.Errorf("raw is %q", out)
		}
		on := onTerminal(t, command(built, "sessions", "export", rec.ID, "--format", "raw", "--identity", s.path("auditor.key"), "--dir", s.dir))
		on.expect(`(?i)terminal`)
		if code := on.wait(); code == 0 {
			t.Error("raw output went to a terminal")
		}
		if strings.Contains(on.text(), "shell-42") {
			t.Errorf("raw output went to a terminal: %q", on.text())
		}
	})
	t.Run("play", func(t *testing.T) {
		on := onTerminal(t, command(built, "sessions", "play", rec.ID, "--identity", s.path("auditor.key"), "--dir", s.dir))
		on.expect(`shell-42`)
		on.expect(`30 100`)
		if code := on.wait(); code != 0 {
			t.Errorf("play: exit status %d", code)
		}
		if strings.Contains(on.text(), "\x1b]") {
			t.Errorf("play passes a title change: %q", on.text())
		}
	})
	t.Run("without the auditor's key", func(t *testing.T) {
		bare := s.copy(t)
		remove(t, bare.path("auditor.key")) // which belongs on another machine
		if r := bare.entry("sessions", "export", rec.ID, "--format", "raw"); r.Code == 0 || r.Stdout != "" {
			t.Errorf("the jump host can read what it recorded: %s", r)
		}
		if r := bare.entry("sessions", "export", rec.ID, "--format", "raw", "--identity", initSite(t).path("auditor.key")); r.Code != 3 || r.Stdout != "" || !strings.Contains(r.Stderr, "this identity doesn't open the recording") {
			t.Errorf("another auditor's key: %s", r)
		}
		if r := bare.entry("sessions", "show", rec.ID); r.Code != 0 {
			t.Errorf("showing needs no key: %s", r)
		}
	})
	t.Run("audit", func(t *testing.T) {
		started := s.awaitEvent("session.started", nil)
		ended := s.awaitEvent("session.ended", nil)
		if started.Session != rec.ID || ended.Session != rec.ID || ended.Recording == nil || ended.Recording.Segments == 0 {
			t.Errorf("started %s ended %s", started.line, ended.line)
		}
		if !regexp.MustCompile(`^all \(.*tinker\.yaml:\d+\)$`).MatchString(started.Rule) || !strings.HasPrefix(started.Policy, "sha256:") {
			t.Errorf("session.started doesn't bind rule and policy: %s", started.line)
		}
		in := s.awaitEvent("login.succeeded", func(e event) bool { return e.User == "alice" && e.Conn == started.Conn })
		if in.Method != "passphrase+otp" {
			t.Errorf("method is %q", in.Method)
		}
		if out := s.mustEntry("audit", "search", "--type", "session.started", "--json"); len(decodeLines[event](t, out)) != 1 {
			t.Errorf("search found %q", out)
		}
		if out := s.mustEntry("audit", "tail"); !strings.Contains(out, "session.ended") || strings.Contains(out, "\x1b") {
			t.Errorf("tail is %q", out)
		}
	})
}

// oneError gives the message of a verb that failed: one line, which may be
// followed by a hint; "" if it printed anything else.
func oneError(r testkit.Result) string {
	m := regexp.MustCompile(`^entry: ([^\n]+)\n(?:hint: [^\n]+\n)?$`).FindStringSubmatch(r.Stderr)
	if m == nil || r.Stdout != "" {
		return ""
	}
	return m[1]
}

// copy copies a site's directory, so that evidence can be spoilt.
func (s *site) copy(t testing.TB) *site {
	t.Helper()
	dir := filepath.Join(testkit.ShortDir(t), "copy")
	testkit.MustRun(t, exec.Command("cp", "-a", s.dir, dir))
	return &site{t: t, dir: dir, port: s.port}
}

// flip inverts one byte of a file.
func flip(t testing.TB, path string, at int) {
	t.Helper()
	b := []byte(testkit.ReadFile(t, path))
	b[at] ^= 0x01
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// positions are offsets all over a file of n bytes: both ends, and several
// between that fall on no boundary.
func positions(n int) []int {
	return slices.Compact([]int{0, 1, n / 7, n / 3, n/2 + 1, 2 * n / 3, n - n/9 - 1, n - 2, n - 1})
}

func TestTamperedEvidence(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	testkit.MustRun(t, c.exec("head -c 200000 /dev/urandom | base64; sleep 1.2; echo the end"))
	testkit.MustRun(t, c.exec("echo second"))
	recs := s.awaitSessions(2)
	s.stop()

	if out := s.mustEntry("audit", "verify"); !regexp.MustCompile(`\d+ events consistent; no witness: .*; its checkpoints agree up to seq`).MatchString(out) {
		t.Errorf("verify says %q", out)
	}

	t.Run("log", func(t *testing.T) {
		log := testkit.ReadFile(t, s.path("audit", "events.jsonl"))
		for _, at := range positions(len(log)) {
			bad := s.copy(t)
			flip(t, bad.path("audit", "events.jsonl"), at)
			line := 1 + strings.Count(log[:at], "\n")
			r := bad.entry("audit", "verify")
			if r.Code != 1 || !regexp.MustCompile(fmt.Sprintf(`\b(line|record|event) %d\b`, line)).MatchString(r.Stderr) {
				t.Errorf("byte %d (line %d) flipped: %s", at, line, r)
			}
		}
	})
	t.Run("log cut, doubled, swapped", func(t *testing.T) {
		lines := strings.SplitAfter(testkit.ReadFile(t, s.path("audit", "events.jsonl")), "\n")
		lines = lines[:len(lines)-1]
		n := len(lines)
		for name, spoilt := range map[string][]string{
			"last dropped":   lines[:n-1],
			"middle dropped": append(slices.Clone(lines[:n/2]), lines[n/2+1:]...),
			"doubled":        append(slices.Clone(lines[:n/2]), lines[n/2-1:]...),
			"swapped":        append(append(slices.Clone(lines[:n/2]), lines[n/2+1], lines[n/2]), lines[n/2+2:]...),
			"empty":          nil,
		} {
			bad := s.copy(t)
			testkit.WriteFile(t, bad.path("audit", "events.jsonl"), strings.Join(spoilt, ""))
			if r := bad.entry("audit", "verify"); r.Code != 1 || oneError(r) == "" {
				t.Errorf("%s: %s", name, r)
			}
		}
	})
	t.Run("forged while down", func(t *testing.T) {
		bad := s.copy(t)
		rec := recs[0]
		n := strings.Count(testkit.ReadFile(t, bad.path("audit", "events.jsonl")), "\n")
		forged := audit.Event{Schema: audit.Schema, Seq: uint64(n + 1), Time: time.Now().UTC(), Type: audit.RecordingRemoved, Session: rec.ID, Reason: "retention",
			Recording: &audit.Recording{ID: rec.ID, Head: strings.Repeat("0", 64), Segments: 1}}
		f := testkit.Must(os.OpenFile(bad.path("audit", "events.jsonl"), os.O_WRONLY|os.O_APPEND, 0))(t)
		testkit.Must(f.Write(append(forged.AppendJSON(nil), '\n')))(t)
		testkit.Check(t, f.Close())
		testkit.Check(t, os.Chtimes(f.Name(), time.Time{}, time.Now().Add(-time.Minute))) // not of a server at work
		for _, name := range testkit.Must(filepath.Glob(bad.path("spool", rec.ID+".*")))(t) {
			testkit.Check(t, os.Remove(name))
		}
		missing := func(when string) {
			if r := bad.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, rec.ID+": it is missing") {
				t.Errorf("%s: %s", when, r)
			}
		}
		missing("before the next writer")
		bad.mustEntry("user", "add", "bob") // a writer, without a server
		missing("after it")
		if r := bad.mustEntry("audit", "tail", "-n", "20"); strings.Contains(r, "recording.removed") || !strings.Contains(r, "reason=set-aside") {
			t.Errorf("the log has %s", r)
		}
	})
	t.Run("sealed key", func(t *testing.T) {
		file := func(s *site, i int) string { return s.path("spool", recs[i].ID+".key") }
		for name, spoil := range map[string]func(bad *site){
			"removed": func(bad *site) { testkit.Check(t, os.Remove(file(bad, 0))) },
			"swapped": func(bad *site) {
				testkit.WriteFile(t, file(bad, 0), testkit.ReadFile(t, file(s, 1)))
				testkit.WriteFile(t, file(bad, 1), testkit.ReadFile(t, file(s, 0)))
			},
			"noise": func(bad *site) { flip(t, file(bad, 0), 100) },
		} {
			bad := s.copy(t)
			spoil(bad)
			if r := bad.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, recs[0].ID+": its sealed key") || strings.Contains(r.Stderr, recs[1].ID) != (name == "swapped") {
				t.Errorf("%s: %s", name, r)
			}
		}
	})
	t.Run("recording", func(t *testing.T) {
		for _, rec := range recs {
			file := recordingFile(t, s, rec.ID)
			size := len(testkit.ReadFile(t, file))
			name, err := filepath.Rel(s.dir, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range positions(size) {
				bad := s.copy(t)
				flip(t, bad.path(name), at)
				r := bad.entry("audit", "verify")
				if r.Code != 1 || !strings.Contains(r.Stderr, rec.ID) || !regexp.MustCompile(`header|segment \d+`).MatchString(r.Stderr) {
					t.Errorf("%s byte %d of %d flipped: %s", rec.ID, at, size, r)
				}
			}
			bad := s.copy(t)
			if err := os.Truncate(bad.path(name), int64(size/2)); err != nil {
				t.Fatal(err)
			}
			if r := bad.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, rec.ID) {
				t.Errorf("%s cut in half: %s", rec.ID, r)
			}
			bad = s.copy(t)
			if err := os.Remove(bad.path(name)); err != nil {
				t.Fatal(err)
			}
			if r := bad.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, rec.ID) {
				t.Errorf("%s removed: %s", rec.ID, r)
			}
		}
	})
	t.Run("one recording in another's place", func(t *testing.T) {
		bad := s.copy(t)
		from, to := recordingFile(t, bad, recs[0].ID), recordingFile(t, bad, recs[1].ID)
		testkit.WriteFile(t, to, testkit.ReadFile(t, from))
		if r := bad.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, recs[1].ID) {
			t.Errorf("swapped recordings: %s", r)
		}
	})
}

// recordingFile finds a recording's data: the largest file of that name in the
// spool.
func recordingFile(t testing.TB, s *site, id string) string {
	t.Helper()
	files, err := filepath.Glob(s.path("spool", id+"*"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".key") })
	if len(files) == 0 {
		t.Fatalf("no recording %s in %s", id, s.path("spool"))
	}
	return slices.MaxFunc(files, func(a, b string) int { return len(testkit.ReadFile(t, a)) - len(testkit.ReadFile(t, b)) })
}
