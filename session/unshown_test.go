package session

import (
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// talk is what goes on at a terminal: ">" before what is typed, the rest is shown.
func talk(t *testing.T, steps ...string) (kept string, gaps int, lost *losses) {
	t.Helper()
	rec, m, lost := &framesOf{}, &mask{}, &losses{}
	output := &tap{rec: &framesOf{}, kind: recording.Output, left: 1 << 20, mask: m, lost: lost}
	input := &tap{rec: rec, kind: recording.Input, left: 1 << 20, mask: m, lost: lost}
	m.in = input
	for _, s := range steps {
		tp := output
		if s[0] == '>' {
			tp, s = input, s[1:]
		}
		testkit.Check(t, tp.keep([]byte(s)))
	}
	testkit.Check(t, input.close())
	return string(rec.kept), rec.gaps, lost
}

// slowly types a line letter by letter, with what is shown for each.
func slowly(line string, shown func(letter string) string) (steps []string) {
	for _, c := range line {
		steps = append(steps, ">"+string(c))
		if s := shown(string(c)); s != "" {
			steps = append(steps, s)
		}
	}
	return steps
}

// Whatever the prompt says, a line that is asked for and not shown isn't kept, and the
// next one is.
func TestWhatIsNotShownIsMasked(t *testing.T) {
	nothing := func(string) string { return "" }
	for _, prompt := range []string{
		"Password: ", "Zaubertrank: ", "口令：", "🔐 Password: (press TAB for no echo) ", "Password: \x1b[?2004h", "\x1b[2K\r? Password: \x1b[?25h",
		"\x1b[1mPassword:\x1b[22m \x1b[K", "Password:\t", "Password>", "Password >> ", "Enter encryption key: ", "API key: ", "MFA code: ", "Enter code: ",
		"Password: \x1b]133;B\a", "Password: \a", "Password: \x00", "Password:   ", "Password (hidden input)… ", "PASSWORD=", "Password for\r\nuser x: ", "Password: [*] ",
		"Please type your password:\r\n", "Password: \r\x1b[10C", "Salasana: ", "Hasło: ", "パスワード: ", "Adgangskode: ", "Kodeord: ", "Do you know it? ", "\x1b[24;1HEnter encryption key: ",
		"\x1b[?1049h\x1b[24;1HEnter encryption key: \x1b[24;23H", "Passwort: \x1b]0;a title\x1b\\", "Word (of honour): ", "Number...",
	} {
		for name, typed := range map[string][]string{
			"at once":       {">hunter2\r"},
			"by letter":     slowly("hunter2\r", nothing),
			"as stars":      append(slowly("hunter2", func(string) string { return "*" }), ">\r"),
			"as dots":       append(slowly("hunter2", func(string) string { return "•" }), ">\r"),
			"as stars, put": append(slowly("hunter2", func(string) string { return "\x1b[24;30H*" }), ">\r"),
			"pasted":        {">\x1b[200~hunter2\x1b[201~", ">\r"},
			"interrupted":   {">hunt", ">er2\x03"},
			"with a frame":  append(slowly("hunter2", func(string) string { return "\x1b[2K\r" + prompt + "***" }), ">\r"),
		} {
			if strings.ContainsAny(prompt, "\n\r") && name == "with a frame" {
				continue
			}
			steps := slices.Concat([]string{"$ ", ">login\r", "login\r\n", prompt}, typed, []string{"\r\nwelcome\r\n$ ", ">l", "l", ">s\r", "s\r\n"})
			if kept, gaps, _ := talk(t, steps...); kept != "login\rls\r" || gaps != 1 {
				t.Errorf("%q %s: kept %q, %d marks", prompt, name, kept, gaps)
			}
		}
	}
}

// What is shown as it is typed is kept, whatever asked for it, and so is what somebody
// types at a shell's prompt that shows nothing.
func TestWhatIsShownIsKept(t *testing.T) {
	itself := func(letter string) string { return strings.ReplaceAll(letter, "\r", "\r\n") }
	for name, tt := range map[string]struct {
		steps []string
		kept  string
	}{
		"a name":                    {slices.Concat([]string{"Your name: "}, slowly("bob\r", itself)), "bob\r"},
		"a name at once":            {[]string{"Your name: ", ">bob\r", "bob\r\n", "hello bob\r\n"}, "bob\r"},
		"a name in pieces":          {[]string{"Your name: ", ">bo", "b", "o", ">b\r", "b\r\n"}, "bob\r"},
		"faster than it is shown":   {[]string{"Your name: ", ">b", ">ob\r", "bob\r\n"}, "bob\r"},
		"an answer at once":         {[]string{"Go on? ", ">y\r", "y\r\n"}, "y\r"},
		"a prompt drawn anew":       {[]string{"In [1]: ", ">p", "\x1b[?25l\r\x1b[KIn [1]: p\x1b[9C", ">1\r", "\r\x1b[KIn [1]: p1\r\n"}, "p1\r"},
		"Enter alone":               {[]string{"Go on? ", ">\r", "\r\n"}, "\r"},
		"a shell that shows none":   {[]string{"$ ", ">stty -echo\r", "stty -echo\r\n$ ", ">rm -rf /data\r", "\r\n$ ", ">id\r", "\r\nuid=0\r\n$ "}, "stty -echo\rrm -rf /data\rid\r"},
		"root's":                    {[]string{"# ", ">rm x\r", "\r\n# "}, "rm x\r"},
		"a shell's own prompt":      {[]string{"lab: ", ">l", "l", ">s\r", "s\r\nlab: ", ">stty -echo\r", "stty -echo\r\nlab: ", ">rm x\r", "\r\nlab: "}, "ls\rstty -echo\rrm x\r"},
		"no prompt":                 {[]string{"\x1b[?2004l", ">rm x\r", "\r\n", ">id\r", "\r\n"}, "rm x\rid\r"},
		"a key":                     {[]string{"Go on? ", ">y", "\r\n$ ", ">ls\r", "ls\r\n"}, "yls\r"},
		"a key, on the same line":   {[]string{"Go on? ", ">y", "$ ", ">ls\r", "ls\r\n"}, "yls\r"},
		"a pager":                   {[]string{"line\r\n:", ">q", "\r\x1b[K$ ", ">l", "l", ">s\r", "s\r\n"}, "qls\r"},
		"a pager's lines":           {[]string{"line\r\n:", ">j", "\r\x1b[Kmore\r\n:", ">j", "\r\x1b[Kmore\r\n:", ">\r", "\r\x1b[Kmore\r\n:"}, "jj\r"},
		"an editor":                 {[]string{"\x1b[?1049h\x1b[1;1Htext\x1b[24;1H:", ">jjj\r", "\x1b[2;1H\r\n", ">dd\r", "\r\n\x1b[?1049l$ ", ">ls\r", "ls\r\n"}, "jjj\rdd\rls\r"},
		"lines at once":             {[]string{"Your name: ", ">bob\ralice\r", "bob\r\n", "alice\r\n"}, "bob\ralice\r"},
		"a long line":               {[]string{"Note: ", ">" + strings.Repeat("a", maxAnswer+1) + "\r"}, strings.Repeat("a", maxAnswer+1) + "\r"},
		"the middle of a line":      {[]string{"$ ", ">export TOKEN=", "export TOKEN=", ">abc\r", "\r\n"}, "export TOKEN=abc\r"},
		"an answer of another line": {[]string{"Names: ", ">bob\r", "bob\r\n", ">rm x\r", "\r\n"}, "bob\rrm x\r"},
	} {
		if kept, gaps, _ := talk(t, tt.steps...); kept != tt.kept || gaps != 0 {
			t.Errorf("%s: kept %q, %d marks", name, kept, gaps)
		}
	}
}

// An editor asks for a key on the other screen.
func TestAKeyIsMaskedInAnEditor(t *testing.T) {
	star := func(string) string { return "*" }
	steps := slices.Concat([]string{"\x1b[?1049h\x1b[H\x1b[2J\x1b[24;1HEnter encryption key: \x1b[?25h"}, slowly("hunter2", star), []string{">\r", "\r\x1b[24;1H\x1b[K\x1b[24;1HEnter same key again: \x1b[?25h"},
		slowly("hunter2", star), []string{">\r", "\r\r\n\x1b[23;1H\"x\" [New File]\x1b[1;1Hif x:\x1b[1;1H", ">jj", ">\r", "\r\n", ">:", "\x1b[24;1H:", ">q", "q", ">\r", "\r\x1b[?1049l"})
	if kept, gaps, _ := talk(t, steps...); kept != "jj\r:q\r" || gaps != 2 {
		t.Errorf("kept %q, %d marks", kept, gaps)
	}
}

// A prompt of a user's own hides no more than some short lines.
func TestAPromptOfOnesOwnHidesLittle(t *testing.T) {
	steps := []string{}
	for range 3 * maxMasked {
		steps = append(steps, "own: ", ">rm data\r", "\r\n")
	}
	kept, gaps, lost := talk(t, steps...)
	if gaps != maxMasked || strings.Count(kept, "rm data\r") != 2*maxMasked {
		t.Errorf("%d marks, kept %q", gaps, kept)
	}
	if all := lost.list(); len(all) != 1 || all[0].Lines != maxMasked || all[0].Bytes != maxMasked*int64(len("rm data\r")) {
		t.Errorf("%+v", all)
	}
}
