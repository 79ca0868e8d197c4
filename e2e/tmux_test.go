package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestControlModeIsRead: what the panes of a tmux in control mode showed (tmux -CC, as iTerm2
// starts it) is read, searched and replayed as on any terminal, and each says in which pane;
// in the middle of a terminal session, after detaching and attaching again.
func TestControlModeIsRead(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, testkit.Rule("all", "may: [shell, exec]", "record: full", "record_input: true"))
	c := s.client(s.enrolled("alice"))
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	socket := filepath.Join(testkit.ShortDir(t), "t")
	tmux := "tmux -S " + socket + " -f /dev/null "
	w.sendLine(tmux + `-CC new-session -x 70 -y 12 "env PS1='$ ' sh"`)
	w.expect(`\x1bP1000p%begin[^\x1b]*%output %0 \$ `)
	keys := func(pane, text string) {
		for _, key := range []byte(text) {
			w.sendLine(fmt.Sprintf("send-keys -t %s -H %x", pane, key))
		}
		w.sendLine("send-keys -t " + pane + " Enter")
	}
	keys("%0", `printf "p\033[31ma\033[32mt\033[0m%s\n" TWO`)
	w.expect(`%output %0 [^\n]*TWO`)
	w.sendLine(`split-window -h "env PS1='% ' sh"`)
	w.expect(`%output %1 % `)
	keys("%1", `echo TMUX; sleep 1; printf "\033[2J\033[Hafter%s" wards`)
	w.expect(`%output %1 [^\n]*afterwards`)
	w.sendLine("detach")
	w.expect(`%exit\r?\n\x1b\\`)
	w.sendLine(`echo be''tween`)
	w.expect(`between\r?\n`)
	w.sendLine(tmux + "-CC attach")
	w.expect(`\x1bP1000p%begin`)
	keys("%0", "echo a'gai'n")
	w.expect(`%output %0 [^\n]*again`)
	w.sendLine("kill-server")
	w.expect(`%exit[^\x1b]*\x1b\\`)
	w.sendLine("exit 0")
	if code := w.wait(); code != 0 {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	rec := s.awaitSessions(1)[0]

	text := s.export(rec.ID, "text")
	for _, want := range []string{
		`%0     patTWO\n`, `%0     again\n`, `%1 -[\d.]+s (% echo TMUX.*|TMUX)\n`, `%1     afterwards`, `       between\n`,
	} {
		if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d +` + want).MatchString(text) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	// What only looks like tmux's would be hidden otherwise: its own lines are there, marked.
	for line := range strings.Lines(text) {
		if strings.Contains(line, "%output") && !strings.Contains(line, "  ?  ") {
			t.Errorf("tmux's own line isn't marked as one: %s", line)
		}
	}
	typed := s.export(rec.ID, "commands")
	for _, want := range []string{` %0 +\$ printf .*TWO\n`, ` %0 +\$ echo a'gai'n\n`, ` %1 +% echo TMUX; sleep 1`, `\d +\S* tmux -S \S+ -f /dev/null -CC attach\n`} {
		if !regexp.MustCompile(want).MatchString(typed) {
			t.Errorf("no command %s in\n%s", want, typed)
		}
	}
	for pattern, want := range map[string][]string{
		"patTWO": {"output of pane %0: patTWO"}, "^TMUX$": {"output of pane %1 (erased after "}, "echo TMUX": {"of pane %1"}, "a'gai'n": {"input of pane %0: echo a'gai'n"}, "between": {"output: between"},
	} {
		got := s.mustEntry("sessions", "grep", pattern, "--identity", s.path("auditor.key"), "--dir", s.dir)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("grep %s: no %q in\n%s", pattern, w, got)
			}
		}
	}
	args := []string{rec.ID, "--identity", s.path("auditor.key"), "--dir", s.dir}
	if got := s.mustEntry(append([]string{"sessions", "show"}, args...)...); !strings.Contains(got, ", a tmux in control mode, ") {
		t.Errorf("show doesn't say so:\n%s", got)
	}
	played := testkit.Run(t, command(built, append([]string{"sessions", "play"}, args...)...))
	for _, want := range []string{"%1  afterwards", "%0  again", "between"} {
		if !strings.Contains(played.Stdout, want) {
			t.Errorf("play lacks %q:\n%s", want, played)
		}
	}
}

// TestAPasswordInAPaneIsntKept: what answers a password's prompt in a pane of a tmux in
// control mode isn't in the recording of input, a command for each key or not.
func TestAPasswordInAPaneIsntKept(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, testkit.Rule("all", "may: [shell, exec]", "record: full", "record_input: true"))
	c := s.client(s.enrolled("alice"))
	program := `stty -echo; printf "Pass""word: "; read x; stty echo; echo "had ${#x} letters"; read y; echo "$y again"; read z`
	w := onTerminal(t, c.home([]string{"-t"}, "tmux -S "+filepath.Join(testkit.ShortDir(t), "t")+" -f /dev/null -CC new-session -x 70 -y 12 '"+program+"'"))
	w.expect(`%output %0 [^\n]*Password: `)
	for _, key := range "hunterccx" {
		w.sendLine("send -lt %0 " + string(key))
	}
	w.sendLine("send -t %0 Enter")
	w.expect(`%output %0 [^\n]*had 9 letters`)
	w.sendLine("send -lt %0 seen; send -t %0 0xd")
	w.expect(`%output %0 [^\n]*seen again`)
	w.sendLine("kill-server")
	w.wait()
	rec := s.awaitSessions(1)[0]
	if input := strings.ReplaceAll(s.export(rec.ID, "input"), "\r", "\n"); input != "send -lt %0 seen; send -t %0 0xd\nkill-server\n" {
		t.Errorf("of what was typed is kept\n%s", input)
	}
	if got := s.mustEntry("sessions", "show", rec.ID, "--identity", s.path("auditor.key"), "--dir", s.dir); !strings.Contains(got, "recorded: 1 line of input, 10 B, missing (masked as answers to password prompts)") {
		t.Errorf("show says\n%s", got)
	}
}
