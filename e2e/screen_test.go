package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestWhatTheUserSaw: what could be read on a user's terminal is what an auditor
// reads, also where it was erased, while a session runs and afterwards.
func TestWhatTheUserSaw(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	w := onTerminal(t, s.client(s.enrolled("alice")).home(nil))
	shellAnswers(w)
	w.sendLine(`printf 'SEC%s' RET; sleep 1; printf '\r\033[2Ker%s\n' ased`)
	w.expect(`erased\r?\n`)
	w.sendLine(`printf 'lo%s\n' ng-$(printf '0123456789%.0s' 1 2 3 4 5 6 7 8 9)`)
	w.expect(`long-(0123456789)+`)
	w.sendLine(`printf 're-x\033[4b wide 日本\b\b語\n'`)
	w.sendLine(`printf '\033[?1049h\033[2J\033[Hown-%s\033]0;title\007' page; sleep 1; printf '\033[?1049l'`)
	w.expect(`\x1b\[\?1049l`) // or what is typed next would be echoed on that page
	w.sendLine(`for i in $(seq 1000); do printf '\r\033[K%d of it' $i; case $i in *00) sleep 0.2;; esac; done; echo; echo do''ne`)
	w.expect(`done\r?\n`)

	follow := onTerminal(t, command(built, "sessions", "watch", "--user", "alice", "--identity", s.path("auditor.key"), "--dir", s.dir))
	follow.expect(`done`)
	typed := time.Now()
	w.sendLine("echo live-$((40+2))")
	follow.expect(`live-42`)
	t.Logf("the auditor sees what is typed after %s", time.Since(typed).Round(time.Millisecond))
	w.sendLine("exit 7")
	if code := w.wait(); code != 7 {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	follow.expect(`entry: session [0-9A-Z]{26} ended at \S+Z \(complete\)\r?\n`)
	if code := follow.wait(); code != 0 {
		t.Errorf("following: exit status %d: %q", code, follow.text())
	}
	rec := s.awaitSessions(1)[0]
	if e := s.awaitEvent("recording.read", nil); e.Session != rec.ID || e.Detail != "watch" {
		t.Errorf("%+v", e)
	}

	text := s.export(rec.ID, "text")
	for _, want := range []string{
		`-[\d.]+s  SECRET\n`, `       erased\n`, `       long-(0123456789){9}\n`, `       re-xxxxx wide 日語\n`, `-[\d.]+s  own-page\n`, `~ +(.* )?200 of it \| (.* )?800 of it \| `, `~ +(.* )?900 of it\b`, `       1000 of it\n`, `       live-42\n`, `# +exit status 7\n`,
	} {
		if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d +` + want).MatchString(text) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n > 60 {
		t.Errorf("a line drawn 1,000 times makes %d lines", n)
	}

	if cast := parseCast(t, s.export(rec.ID, "asciicast-v3")).shown("o"); !strings.Contains(cast, "re-x\x1b[4b wide") || strings.Contains(cast, "\x1b]") {
		t.Errorf("asciicast is %q", testkit.Clip(cast))
	}

	play := onTerminal(t, command(built, "sessions", "play", rec.ID, "--speed", "8", "--identity", s.path("auditor.key"), "--dir", s.dir))
	for _, want := range []string{`SECRET`, `own-page`, `done`} {
		play.expect(want)
	}
	play.send("q")
	if code := play.wait(); code != 0 {
		t.Errorf("play: exit status %d", code)
	}
	if strings.Contains(play.text(), "\x1b]") {
		t.Errorf("play passes a title on: %q", play.text())
	}
}
