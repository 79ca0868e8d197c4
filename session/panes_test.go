package session

import (
	"strings"
	"testing"

	"entry/e2e/testkit"
	"entry/session/recording"
)

const tmuxBegins = "\x1bP1000p%begin 1 1 0\r\n%end 1 1 0\r\n"

// pane0 is tmux's line for what a program shows in pane 0, which has no octal in it.
func pane0(text string) string {
	return "%output %0 " + strings.NewReplacer("\r", `\015`, "\n", `\012`, "\x1b", `\033`).Replace(text) + "\r\n"
}

// talkCC is talk at a tmux in control mode.
func talkCC(t *testing.T, steps ...string) (kept string, gaps int) {
	t.Helper()
	rec, lost := &framesOf{}, &losses{}
	m := &mask{}
	output := &tap{rec: &framesOf{}, kind: recording.Output, left: 1 << 20, mask: m, lost: lost}
	input := &tap{rec: rec, kind: recording.Input, left: 1 << 20, mask: m, lost: lost}
	m.in, m.panes = input, newPanes(input)
	for _, s := range steps {
		tp := output
		if s[0] == '>' {
			tp, s = input, s[1:]
		}
		testkit.Check(t, tp.keep([]byte(s)))
	}
	testkit.Check(t, input.close())
	if n := len(m.panes.of) + len(m.panes.keys.Spill()); n != 0 {
		t.Errorf("%d panes or bytes are left", n)
	}
	return string(rec.kept), rec.gaps
}

// keys are iTerm2's commands for what is typed into a pane, a line for each letter.
func keys(pane, text string) (steps []string) {
	for _, c := range text {
		if c == '\r' {
			steps = append(steps, ">send -t "+pane+" 0xd\r")
		} else {
			steps = append(steps, ">send -lt "+pane+" "+string(c)+"\r")
		}
	}
	return steps
}

// What answers a password prompt in a pane isn't kept, in whatever commands it comes, and
// all else is.
func TestAnswersInPanesAreMasked(t *testing.T) {
	ls := "send -lt %0 ls\rsend -t %0 Enter\r"
	for name, tt := range map[string]struct {
		steps []string
		kept  string
		gaps  int
	}{
		"a line":         {[]string{pane0("Password: "), ">send -lt %0 hunter2\r", ">send -t %0 Enter\r", pane0("\r\n$ "), ">send -lt %0 ls\r", pane0("ls"), ">send -t %0 Enter\r", pane0("\r\n")}, ls, 1},
		"letters":        {append(append([]string{pane0("Password: ")}, keys("%0", "hunter2\r")...), pane0("\r\n$ ")), "", 1},
		"unknown words":  {append(append([]string{pane0("Zaubertrank: ")}, keys("%0", "hunter2\r")...), pane0("\r\n$ ")), "", 1},
		"shown":          {[]string{pane0("Your name: "), ">send -lt %0 bob\r", pane0("bob"), ">send -t %0 Enter\r", pane0("\r\n")}, "send -lt %0 bob\rsend -t %0 Enter\r", 0},
		"hex, in pieces": {[]string{pane0("Password: "), ">send -t %0 -H 6", ">8 75 6e\rsend -t %0 0x", ">0d\r"}, "", 1},
		"beside others":  {[]string{pane0("Password: "), ">list-windows\r", ">send -lt %0 hun\r", ">refresh-client -C 80,24\r", ">send -lt %1 ls\r", ">send -t %0 0xd\r"}, "list-windows\rrefresh-client -C 80,24\rsend -lt %1 ls\r", 1},
		"one line":       {[]string{pane0("Password: "), ">run-shell date;send -lt %0 hunter2; send -t %0 Enter ;send -lt %1 x\r"}, "run-shell date;send -lt %1 x\r", 1},
		"and more":       {[]string{pane0("Password: "), ">send -t %0 -l hunter2; send -t %0 -H 0d 6c 73 0d\r", pane0("\r\n$ ls\r\n")}, "send-keys -t %0 -H 6c 73 0d\r", 1},
		"no pane's name": {[]string{pane0("$ "), "%output %1 Password: \r\n", ">send -l hunter2\r", ">send -lt main:1 x\r", ">send Enter\r"}, "", 1},
		"another pane":   {[]string{pane0("Password: "), ">send -lt %1 hunter2\r", ">send -t %1 Enter\r"}, "send -lt %1 hunter2\rsend -t %1 Enter\r", 0},
		"before it":      {[]string{"%begin 2 2 1\r\nuser x\r\nPassword: \r\n%end 2 2 1\r\n", ">send -lt %0 hunter2\r", ">send -t %0 Enter\r", pane0("\r\n$ ")}, "", 1},
		"not before it":  {[]string{"%begin 2 2 1\r\nPassword: \r\n$ \r\n%end 2 2 1\r\n", ">send -lt %0 ls\r", pane0("ls"), ">send -t %0 Enter\r", pane0("\r\n")}, ls, 0},
		"no end":         {[]string{pane0("Password: "), ">send -lt %0 hunter2\r"}, "", 1},
		"a long line":    {[]string{pane0("Password: "), ">send -lt %0 " + strings.Repeat("x", maxAnswer+1) + "\r"}, "send -lt %0 " + strings.Repeat("x", maxAnswer+1) + "\r", 0},
		"too long":       {[]string{pane0("$ "), ">" + strings.Repeat("x", maxTypedLine+1), ">y\rz\r"}, strings.Repeat("x", maxTypedLine+1) + "y\rz\r", 0},
		"it ends":        {[]string{pane0("$ "), ">send -lt %0 x\r", ">detach", "%exit\r\n\x1b\\", "$ ", ">\r", "\r\nPassword: ", ">hunter2\r", "\r\n"}, "send -lt %0 x\rdetach\r", 1},
		"it begins":      {[]string{"\x1b\\\r\n$ ", ">tmux -CC\r", "tmux -CC\r\n" + tmuxBegins, pane0("Password: "), ">send -lt %0 hunter2\r", ">send -t %0 Enter\r", pane0("\r\n")}, "tmux -CC\r", 1},
	} {
		kept, gaps := talkCC(t, append([]string{tmuxBegins}, tt.steps...)...)
		if kept != tt.kept || gaps != tt.gaps {
			t.Errorf("%s: kept %q, %d marks; want %q, %d", name, kept, gaps, tt.kept, tt.gaps)
		}
	}
}

// The bound of what prompts of a user's own hide holds for all panes together, and so does
// that of panes.
func TestPanesHideLittleTogether(t *testing.T) {
	steps := []string{tmuxBegins}
	for i := range 40 {
		name := "%" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		steps = append(steps, "%output "+name+" x: \r\n", ">send -lt "+name+" evil\r", ">send -t "+name+" Enter\r", "%output "+name+` \015\012`+"\r\n")
	}
	kept, gaps := talkCC(t, steps...)
	if n := strings.Count(kept, "evil"); n != 40-maxMasked || gaps != maxMasked {
		t.Errorf("%d of 40 lines are kept, %d marks", n, gaps)
	}
	steps = steps[:1]
	for range 100 {
		steps = append(steps, ">"+strings.Repeat("send -lt %7 x;", 50)+"\r")
	}
	for i := range 200 {
		steps = append(steps, ">send -lt %1"+strings.Repeat("0", i%3)+string(rune('0'+i%10))+string(rune('0'+i/20))+" y\r")
	}
	if kept, gaps := talkCC(t, steps...); strings.Count(kept, "x")+strings.Count(kept, "y") != 5200 || gaps != 0 {
		t.Errorf("%d keys are kept, %d marks", strings.Count(kept, "x")+strings.Count(kept, "y"), gaps)
	}
}

// What stands in a command beside keys isn't hidden with them: the program that shows the
// prompt may read it, whatever tmux would make of it.
func TestPanesHideKeysAlone(t *testing.T) {
	data := strings.Repeat("patients ", 300)
	for name, command := range map[string]string{
		"a client":     "send -lt %0 -c '" + data + "' x",
		"a pane":       "send -lt '" + data + "' x",
		"no hex":       "send -t %0 -H 41 '" + data + "'",
		"how often":    "send -lt %0 -N '" + data + "' x",
		"blanks":       "send -lt %0 x" + strings.Repeat(" ", 100),
		"empty words":  "send -lt %0 x" + strings.Repeat(" ''", 30),
		"another flag": "send -lFt %0 '#(date)'",
	} {
		steps := []string{tmuxBegins, pane0("Password: ")}
		for range 20 {
			steps = append(steps, ">"+command+"\r")
		}
		kept, gaps := talkCC(t, append(steps, ">send -t %0 Enter\r", pane0("\r\n"))...)
		if n := strings.Count(kept, command); n != 20 || gaps != 1 {
			t.Errorf("%s: %d of 20 are kept, %d marks", name, n, gaps)
		}
	}
	// The longest forms of keys are answers still.
	for _, command := range []string{"send-keys -t %123456 0x1f512", "send-keys -t %123456 -H 41 42 43 44 45 46", `send-keys -l -t %123456 "\""`, "send -t %123456 C-a M-a Escape KPEnter"} {
		if kept, gaps := talkCC(t, tmuxBegins, "%output %123456 Password: \r\n", ">"+command+"\r"); kept != "" || gaps != 1 {
			t.Errorf("%s: %q is kept, %d marks", command, kept, gaps)
		}
	}
}

// FuzzPanes: whatever comes, nothing of input but what is marked is left out where nothing
// asks for a secret.
func FuzzPanes(f *testing.F) {
	f.Add(">send -lt %0 hunter2\r", "%output %0 Password: \r\n", ">send -t %0 Enter\r")
	f.Add(">send -H 41;x;send -t %1 'a\r", "%output %0 x: \r\n", ">send -t %0 Enter\r\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		steps := []string{tmuxBegins}
		sent := ""
		for _, s := range []string{a, b, c} {
			if s == "" || s == ">" {
				continue
			}
			if s[0] == '>' {
				sent += s[1:]
			}
			steps = append(steps, s)
		}
		kept, gaps := talkCC(t, steps...)
		if gaps == 0 && len(kept) != len(sent) || gaps > 0 && len(kept) > 8*len(sent)+64 {
			t.Errorf("of %d bytes sent %d are kept, %d marks", len(sent), len(kept), gaps)
		}
	})
}
