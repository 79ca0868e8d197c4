package screen

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// typing is a capture of somebody who types; testdata/commands.py says how it was made.
type typing struct {
	Name       string
	Cols, Rows int
	Events     []stroke
}

// stroke is one event of it: output, or keys.
type stroke struct {
	at   time.Duration
	keys bool
	data []byte
}

func (s *stroke) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	var ms int64
	var kind, data string
	err := json.Unmarshal(b, &parts)
	for i, to := range []any{&ms, &kind, &data} {
		if err == nil {
			err = json.Unmarshal(parts[i], to)
		}
	}
	if err != nil {
		return err
	}
	s.at, s.keys = time.Duration(ms)*time.Millisecond, kind == "i"
	s.data, err = base64.StdEncoding.DecodeString(data)
	return err
}

func typings(t testing.TB) map[string]typing {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "commands.jsonl.gz"))
	testkit.Check(t, err)
	defer func() { testkit.Check(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	testkit.Check(t, err)
	all := map[string]typing{}
	for d := json.NewDecoder(z); ; {
		var c typing
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[c.Name] = c
	}
}

// entered is what was typed in a capture, with its keys recorded or without.
func entered(c typing, keys bool) (all []Command) {
	typed := NewCommands(New(c.Cols, c.Rows), false, func(c Command) { all = append(all, c) })
	for _, s := range c.Events {
		switch {
		case !s.keys:
			typed.Write(s.at, s.data)
		case keys:
			typed.Typed(s.at)
		}
	}
	typed.Close()
	return all
}

func texts(all []Command) (texts []string) {
	for _, c := range all {
		texts = append(texts, c.Text)
	}
	return texts
}

// What real shells show becomes what was entered in them.
func TestCommandsOfRealShells(t *testing.T) {
	all := typings(t)
	for name, want := range commandsWanted {
		t.Run(name, func(t *testing.T) {
			for _, keys := range []bool{false, true} {
				if got := texts(entered(all[name], keys)); !slices.Equal(got, want) {
					t.Errorf("keys recorded %v: got\n%q\nwant\n%q", keys, got, want)
				}
			}
		})
	}
}

// The echo of the captures, which is longer than a row.
var longEcho = func() string {
	words := []string{"echo"}
	for i := range 30 {
		words = append(words, fmt.Sprint("word", i))
	}
	return strings.Join(words, " ")
}()

// What is joined by \n was entered line by line; the password of the capture of bash,
// typed without echo, is in none.
var commandsWanted = map[string][]string{
	"bash": {"ls", "cat secret.txt", "ls", "cat secret.txt", longEcho, "X=1 " + longEcho, "for i in 1 2\ndo echo $i\ndone",
		"cat heaa", "echo one two", "echo a", "echo b", "read -s -p 'Password: ' x", "sleep 1", "echo ahead", "echo '日本 ü'", "foo^C", "exit"},
	"paste":            {"echo one\necho two", "id; echo pasted", "exit"},
	"plain bash":       {"ls", "Y=2 " + longEcho, "cat heaa", "pwdeaa", "exit"},
	"no prompt":        {"id", "echo hidden", "exit"},
	"dash":             {"ls", "echo mist", longEcho, "if true\nthen echo x\nfi", "exit"},
	"dash, odd prompt": {"id", "echo hidden", "stty -echo", "xexit"}, // nothing tells this prompt from an echo
	"zsh":              {"ls", "cat secret.txt", "cat secret.txt", longEcho, "for i in 1 2\ndo echo $i\ndone", "cat secret.txt", "exit"},
	"fish":             {"ls", "cat secret.txt", "ls", "exit"},
	"marks":            {"true", "false", "sh -c 'exit 42'", "exit"},
	"python":           {"1+1", "def f():\n    return 7", "f()"},
	"tmux":             {"ls", "echo inside", "seq 30", "echo after", "exit\nexit"}, // tmux draws what exit says before it ends the line
}

// Shells that send marks say how each command ended.
func TestCommandsHaveTheShellsStatus(t *testing.T) {
	var got []string
	for _, c := range entered(typings(t)["marks"], false) {
		if c.Status != nil {
			got = append(got, fmt.Sprint(c.Text, " ", *c.Status, " after ", c.Prompt))
		}
	}
	if want := []string{"true 0 after lab=", "false 1 after lab=", "sh -c 'exit 42' 42 after lab="}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// An editor with its own screen, which takes pastes as shells do, is no prompt; a shell
// there is, whatever it prompts with.
func TestCommandsOnTheOtherScreen(t *testing.T) {
	const vim = "\x1b[?1049h\x1b[?2004h\x1b[H\x1b[2J\x1b[2;1H~\x1b[3;1H~   type  :q<Enter>   to exit\x1b[24;1H\x1b[H"
	for name, tc := range map[string]struct {
		shown []string
		want  []string
	}{
		"vim":            {[]string{"$ ", "vim", "\r\n", vim, "\x1b[24;1H:", "q", "\r\x1b[?2004l\x1b[24;1H\x1b[K\x1b[?1049l", "$ ", "exit", "\r\n"}, []string{"vim", "exit"}},
		"shell":          {[]string{"$ ", "tput smcup", "\r\n\x1b[?1049h", "\x1b[?2004hlab=", "rm x", "\r\n\x1b[?2004l\r", "\x1b[?2004hlab=", "id", "\r\n\x1b[?2004l\r"}, []string{"tput smcup", "rm x", "id"}},
		"vim, in pieces": {[]string{"$ ", "vim", "\r\n", vim[:40], vim[40:], "\x1b[24;1H:", "q", "\r\x1b[?2004l\x1b[24;1H\x1b[K\x1b[?1049l", "$ ", "exit", "\r\n"}, []string{"vim", "exit"}},
	} {
		c := typing{Cols: 80, Rows: 24}
		for i, s := range tc.shown {
			at := time.Duration(i) * 500 * time.Millisecond
			if i > 0 && len(tc.shown[i-1]) == 40 {
				at -= 499 * time.Millisecond // what it began it draws on
			}
			c.Events = append(c.Events, stroke{at: at, data: []byte(s)})
		}
		if got := texts(entered(c, false)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// Nothing that a program shows switches the ways off in which commands are found.
func TestCommandsAreFoundInSpiteOfPrograms(t *testing.T) {
	for name, shown := range map[string]string{
		"marks":              "\x1b]133;A\a\x1b]133;B\a\x1b]133;C\a",
		"a mark left open":   "\x1b]133;B\a",
		"an editor":          "\x1b[?2004h",
		"an editor, in text": "\x1b[?2004hx y",
		"a prompt":           "root@host:~# ",
		"a prompt in a line": "100% \r\n",
		"the other screen":   "\x1b[?1049h",
		"a cut mark":         "\x1b]133;A",
		"a reset":            "\x1bc",
	} {
		t.Run(name, func(t *testing.T) {
			events := []stroke{{data: []byte("$ ")}}
			at := time.Second
			add := func(s string) {
				events = append(events, stroke{at: at, data: []byte(s)})
				at += 200 * time.Millisecond
			}
			for _, key := range "show" {
				add(string(key))
			}
			add("\r\n" + shown + "\x18\r\n$ ")
			for range 2 {
				for _, key := range "cat secret" {
					add(string(key))
				}
				add("\r\nout\r\n$ ")
			}
			got := texts(entered(typing{Cols: 80, Rows: 24, Events: events}, false))
			if n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != "cat secret" })); n != 2 {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Whatever a prompt looks like, and whatever is drawn elsewhere while somebody types, a clock
// in the prompt and at its right included, what is entered is found, without that.
func TestCommandsBesideWhatMoves(t *testing.T) {
	want := []string{"cat secret.csv", "ls -l", "rm seven/patients.csv", "x = 17"}
	type output struct {
		at   int
		text string
	}
	aside := func(at, what string) func(i int) string {
		return func(i int) string { return fmt.Sprintf("\x1b7\x1b[%s"+what+"\x1b8", at, i%60) }
	}
	for _, beside := range []struct {
		name  string
		every int // ms; zero is nothing
		text  func(i int) string
	}{
		{"nothing", 0, nil}, {"a clock", 1000, aside("1;60H", "12:00:%02d")}, {"a fast clock", 100, aside("1;60H", "12:00:%02d")},
		{"a status line", 100, aside("24;1H", "\x1b[7m[lab] 0:bash*     12:00:%02d\x1b[m")}, {"a spinner", 30, aside("1;1H", "%02d")},
		{"a clock at the right", 1000, aside("72G", "12:00:%02d")}, {"a fast clock at the right", 100, aside("60G", "on main, 12:00:%02d")},
		{"a clock in the prompt", 1000, nil},
	} {
		for _, prompt := range []string{"alice@home:~$ ", ">>> ", ">>>", "mysql> ", "(venv) $ ", "(venv) $", "┌──(alice@home)-[~]\r\n└─$ ", "┌─ alice ~\r\n└─ ", "lab=", "home: ", " ~/data \ue0b0 ", "(gdb) ", "In [1]: ", "*"} {
			for _, paste := range []bool{false, true} {
				shown, on, off := prompt, "", ""
				if paste {
					on, off = "\x1b[?2004h", "\x1b[?2004l\r"
				}
				clock := beside.every > 0 && beside.text == nil
				timed := func(at int) string {
					if above, last, ok := strings.Cut(shown, "\n"); clock && ok {
						return fmt.Sprintf("%s\n[12:00:%02d] %s", above, at/1000%60, last)
					} else if clock {
						return fmt.Sprintf("[12:00:%02d] %s", at/1000%60, shown)
					}
					return shown
				}
				at, typed := 1000, ""
				all := []output{{at, "\x1b[2;1Hmotd\r\n" + on + timed(at)}}
				next := func(ms int, text string) {
					for n := at/1000 + 1; n*1000 < at+ms && clock; n++ { // it is drawn anew
						_, last, _ := strings.Cut("\n"+timed(n*1000), "\n")
						all = append(all, output{n * 1000, "\r\x1b[K" + last[strings.LastIndexByte(last, '\n')+1:] + typed})
					}
					at += ms
					typed += text
					all = append(all, output{at, text})
				}
				for i, command := range want {
					if i == 2 { // from the clipboard
						next(700, command)
					} else {
						for _, key := range command {
							next(150+300*(i&1), string(key))
						}
					}
					next(300, "\r\n"+off)
					at += 40
					typed = ""
					all = append(all, output{at, "out of it\r\n" + on + timed(at)})
				}
				for i := 1; beside.text != nil && 1007+i*beside.every < at; i++ {
					all = append(all, output{1007 + i*beside.every, beside.text(i)})
				}
				slices.SortStableFunc(all, func(a, b output) int { return a.at - b.at })
				c := typing{Cols: 80, Rows: 24}
				for _, o := range all {
					c.Events = append(c.Events, stroke{at: time.Duration(o.at) * time.Millisecond, data: []byte(o.text)})
				}
				if got := texts(entered(c, false)); !slices.Equal(got, want) {
					t.Errorf("%s, at %q, pastes %v: got %q", beside.name, prompt, paste, got)
				}
			}
		}
	}
}

// What a program says behind a prompt that was typed at without echo isn't what was typed.
func TestCommandsWithoutEcho(t *testing.T) {
	c := typing{Cols: 80, Rows: 24}
	at := time.Second
	for _, s := range []string{"motd\r\nlab=", "i", "d", "\r\n", "out\r\nlab=", "sh: 4: secret: not found\r\nlab=", "l", "s", "\r\n"} {
		c.Events = append(c.Events, stroke{at: at, data: []byte(s)})
		at += 200 * time.Millisecond
	}
	if got := texts(entered(c, false)); !slices.Equal(got, []string{"id", "ls"}) {
		t.Errorf("got %q", got)
	}
}

// Early tells at once what is entered, for who writes it beside the output.
func TestCommandsEarly(t *testing.T) {
	var at, now time.Duration
	var all []string
	c := NewCommands(New(80, 24), true, func(c Command) { at, all = c.At, append(all, c.Text) })
	for i, s := range []string{"$ ", "i", "f", "\r\n> ", "f", "i", "\r\n$ "} {
		now = time.Duration(i) * 200 * time.Millisecond
		c.Write(now, []byte(s))
		if len(all) > 0 && i == 3 && at != now {
			t.Errorf("told at %v, not %v", at, now)
		}
	}
	c.Close()
	if !slices.Equal(all, []string{"if", "fi"}) {
		t.Errorf("got %q", all)
	}
}

// What is made of nothing but prompts takes no more time than its bytes allow: cells
// that are looked at are counted, and what is too much is cut.
func TestCommandsAreCheap(t *testing.T) {
	term, told := New(MaxCols, MaxRows), 0
	c := NewCommands(term, false, func(cmd Command) { told += len(cmd.Text) })
	c.Write(0, []byte(strings.Repeat("abcdefghi ", MaxCols/10*(MaxRows-1))+"\x1b[H"))
	unit := "\x1b]133;B\a\x1b[999B\x1b]133;C\a\x1b[H"
	for range 5000 {
		c.Write(0, []byte(unit))
	}
	c.Close()
	if most := maxWork + perByte*(MaxCols*MaxRows+5000*len(unit)) + 5000*(MaxCols+len("…")); told > most {
		t.Errorf("%d bytes of %d", told, most)
	}
}

func FuzzCommands(f *testing.F) {
	for _, c := range typings(f) {
		var all []byte
		for _, s := range c.Events {
			if !s.keys {
				all = append(all, s.data...)
			}
		}
		f.Add(all[:min(len(all), 2000)], byte(5), byte(80), byte(24))
	}
	f.Add([]byte("\x1b[?2004h$ a\u0301b\x1b[?1049h\x1b]133;B\ax\x1b]133;D;1234\a\x1b[3S> \n日\x1b]133;"), byte(200), byte(4), byte(3))
	f.Fuzz(func(t *testing.T, in []byte, pause, cols, rows byte) {
		tr := NewTranscript(int(cols), int(rows%50), func(Line) {})
		typed := tr.Commands(func(c Command) {
			for _, r := range c.Text + c.Prompt {
				if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0) {
					t.Errorf("%q gives a control: %q", in, c.Text)
				}
			}
			if len(c.Text) > maxCommand+len("…") || c.Status != nil && (*c.Status < 0 || *c.Status > 999) {
				t.Errorf("%d bytes, %v", len(c.Text), c.Status)
			}
		})
		at := time.Duration(0)
		for i := 0; len(in) > 0; i++ {
			n := min(len(in), 1+int(in[0])%7)
			tr.Write(at, in[:n])
			at += time.Duration(pause) * time.Millisecond
			switch {
			case i%50 == 49:
				tr.Resize(at, int(in[0]%90), int(pause%30))
			case i%20 == 19:
				typed.Typed(at)
			}
			in = in[n:]
		}
		typed.Close()
		tr.Close(at)
	})
}
