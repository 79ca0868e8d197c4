package e2e

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// TestBytesThatAreNoUTF8 sends commands, variables and a terminal's type whose bytes are
// no UTF-8, which target programs take and turn into commands: the recording has them as
// they were sent, readers see and find them, and no reader's terminal gets anything of
// it that it obeys.
func TestBytesThatAreNoUTF8(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome("AcceptEnv LC_*")
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, testkit.Rule("home", "may: [shell, exec]", testkit.On("home"), "record: full"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	n := 0
	did := func(cmd *exec.Cmd, env ...string) (id, output string) {
		t.Helper()
		cmd.Env = append(cmd.Environ(), env...)
		r := testkit.Run(t, cmd)
		if r.Code != 0 {
			t.Fatalf("%q: exit %d: %.300s", cmd.Args, r.Code, r.Stderr)
		}
		n++
		return s.awaitSessions(n)[n-1].ID, r.Stdout
	}
	type channel struct {
		Command recording.Text   `json:"command"`
		Term    recording.Text   `json:"term"`
		Env     []recording.Text `json:"env"`
	}
	identity := []string{"--identity", s.path("auditor.key")}
	told := func(id string) (text string, c channel) {
		t.Helper()
		text = s.mustEntry(append([]string{"sessions", "show", id}, identity...)...)
		lines := s.mustEntry(append([]string{"sessions", "show", id, "--json"}, identity...)...)
		var sheet struct {
			Channels []channel `json:"channels"`
		}
		testkit.Check(t, json.Unmarshal([]byte(lines), &sheet))
		for _, shown := range []string{text, lines} {
			if strings.ContainsFunc(shown, func(r rune) bool { return r == unicode.ReplacementChar || r != '\n' && !unicode.IsGraphic(r) }) {
				t.Errorf("a terminal would obey, or not show, something of\n%q", shown)
			}
		}
		if len(sheet.Channels) != 1 {
			t.Fatalf("%d channels in %s", len(sheet.Channels), lines)
		}
		return text, sheet.Channels[0]
	}
	// high is a text whose letters have bit 7 set.
	high := func(s string) string {
		b := []byte(s)
		for i := range b {
			b[i] |= 0x80
		}
		return string(b)
	}
	const low = " | LC_ALL=C tr '\\200-\\377' '\\000-\\177' | sh"

	command := "printf %s '" + high("echo ran-hidden") + "'" + low + " # Bj\xf8rk \u009b31m\u009d0;title\u009c\u202e\u200b\x7f"
	id, output := did(c.home(nil, command))
	text, got := told(id)
	if output != "ran-hidden\n" || string(got.Command) != command || !strings.Contains(text, `# Bj\xf8rk \u009b31m`) {
		t.Errorf("the command printed %q and is recorded as %q:\n%s", output, got.Command, text)
	}
	for _, pattern := range []string{"Bjørk", "Bj\xf8rk", `Bj\\xf8rk`, high("echo ran")} {
		found := s.mustEntry(append([]string{"sessions", "grep", pattern}, identity...)...)
		if !strings.Contains(found, id) || !strings.Contains(found, `Bj\xf8rk ?31m?0;title???`) {
			t.Errorf("grep %q finds %q", pattern, found)
		}
	}
	if list := s.export(id, "commands"); !strings.Contains(list, `Bj\xf8rk ?31m`) {
		t.Errorf("the commands:\n%s", list)
	}

	value := high("echo ran-set")
	const obeyed = "LC_Y=\u009b31m\u009d0;title\u009c\u202e\u2066\u200b\x7f"
	id, output = did(c.home([]string{"-o", "SendEnv=LC_X LC_Y"}, `printf %s "$LC_X"`+low), "LC_X="+value, obeyed)
	if text, got = told(id); output != "ran-set\n" || len(got.Env) != 2 || !slices.Contains(got.Env, recording.Text("LC_X="+value)) || !slices.Contains(got.Env, obeyed) || !strings.Contains(text, `environment LC_X="\xe5`) {
		t.Errorf("the variable printed %q and is recorded as %q:\n%s", output, got.Env, text)
	}

	term := high("echo ran-term")
	cmd := c.home([]string{"-tt"}, `printf %s "$TERM"`+low)
	id, output = did(cmd, "TERM="+term)
	if text, got = told(id); !strings.HasSuffix(output, "\nran-term\r\n") || string(got.Term) != term || !strings.Contains(text, `terminal "\xe5`) || !strings.Contains(text, `" of unknown size,`) {
		t.Errorf("the terminal's type printed %q and is recorded as %q:\n%s", output, got.Term, text)
	}
	if played := s.mustEntry(append([]string{"sessions", "play", id, "--speed", "100"}, identity...)...); strings.Contains(played, "0x0") {
		t.Errorf("play says\n%s", played)
	}
	found := s.mustEntry(append([]string{"sessions", "grep", "--in", "input", high("ran-")}, identity...)...)
	if !strings.Contains(found, "(environment)") || !strings.Contains(found, "(terminal type)") {
		t.Errorf("grep finds %q", found)
	}
}
