package control

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// told is what a stream gives away: what is around panes, and each pane's output and sizes.
type told struct {
	around bytes.Buffer
	panes  map[string]*bytes.Buffer
	sizes  map[string]string
	closed []string
	open   int
	most   int
	doubts int
}

type toldPane struct {
	told *told
	name string
}

func (p toldPane) Write(_ time.Duration, b []byte) { p.told.panes[p.name].Write(b) }
func (p toldPane) Doubtful()                       { p.told.doubts++ }
func (p toldPane) Resize(_ time.Duration, cols, rows int) {
	p.told.sizes[p.name] += fmt.Sprintf(" %dx%d", cols, rows)
}
func (p toldPane) Close(time.Duration) {
	p.told.open--
	p.told.closed = append(p.told.closed, p.name)
}

func (o *told) options() Options {
	o.panes, o.sizes = map[string]*bytes.Buffer{}, map[string]string{}
	return Options{Cols: 80, Rows: 24, Around: func(_ time.Duration, b []byte) { o.around.Write(b) }, Open: func(name string, cols, rows int) Display {
		if o.panes[name] == nil {
			o.panes[name] = &bytes.Buffer{}
		}
		o.sizes[name] += fmt.Sprintf(" %dx%d", cols, rows)
		o.open++
		o.most = max(o.most, o.open)
		return toldPane{o, name}
	}}
}

func (o *told) String() string {
	s := fmt.Sprintf("%q", o.around.String())
	for _, name := range []string{"%0", "%1", "%2"} {
		if b := o.panes[name]; b != nil {
			s += fmt.Sprintf(" %s%s %q", name, o.sizes[name], b.String())
		}
	}
	return s
}

const (
	splitLayout = "8205,80x24,0,0{40x24,0,0,0,39x24,41,0,1}" // as tmux 3.3a wrote them
	wideLayout  = "740d,100x40,0,0{50x40,0,0,0,49x40,51,0,1}"
	onePane     = "aa7f,100x40,0,0,2"
	zoomed      = "b25d,80x24,0,0,0" // %0 alone
)

func TestStream(t *testing.T) {
	const begin, end = "%begin 1795808564 260 0\r\n", "%end 1795808564 260 0\r\n"
	for _, tc := range []struct{ name, in, want string }{
		{"no control mode", "$ ls\r\n%output %0 x\r\n", `"$ ls\r\n%output %0 x\r\n"`},
		{"within a terminal session, and after it", "$ tmux -CC\r\n\x1bP1000p" + begin + end + `%output %0 a\033[31mb\134c` + "\xc3\xa9\r\n%exit\r\n\x1b\\$ %output %0 x\r\n",
			`"$ tmux -CC\r\n\x1bP1000p` + `%begin 1795808564 260 0\r\n%end 1795808564 260 0\r\n%exit\r\n\x1b\\$ %output %0 x\r\n" %0 80x24 "a\x1b[31mb\\cé"`},
		{"without a control string all is around as well", begin + end + `%output %0 a\015` + "\n%exit\nx\n%output %0 b\n", `"%begin 1795808564 260 0\r\n%end 1795808564 260 0\r\n%output %0 a\\015\n%exit\nx\n%output %0 b\n" %0 80x24 "a\r"`},
		{"extended", "\x1bP1000p%extended-output %1 200 x : a : b\r\n", `"\x1bP1000p" %1 80x24 "a : b"`},
		{"in an answer it is that", "\x1bP1000p" + begin + "%output %0 a\r\n%end 1 2 3\r\n" + end + "%output %0 b\r\n", `"\x1bP1000p%begin 1795808564 260 0\r\n%output %0 a\r\n%end 1 2 3\r\n%end 1795808564 260 0\r\n" %0 80x24 "b"`},
		{"an answer that has no end, and the next", "\x1bP1000p" + begin + "x\r\n%begin 1795808565 261 1\r\n%end 1795808565 261 1\r\n%output %0 b\r\n", `"\x1bP1000p%begin 1795808564 260 0\r\nx\r\n%begin 1795808565 261 1\r\n%end 1795808565 261 1\r\n" %0 80x24 "b"`},
		{"sizes", "\x1bP1000p%output %0 a\r\n%layout-change @0 " + splitLayout + " " + splitLayout + " *\r\n%output %1 b\r\n%layout-change @0 " + wideLayout + " " + wideLayout + " *\r\n",
			`"\x1bP1000p%layout-change @0 ` + splitLayout + " " + splitLayout + ` *\r\n%layout-change @0 ` + wideLayout + " " + wideLayout + ` *\r\n" %0 80x24 40x24 50x40 "a" %1 39x24 49x40 "b"`},
		{"a zoomed pane", "\x1bP1000p%layout-change @0 " + splitLayout + " " + zoomed + " *Z\r\n%output %0 a\r\n%output %1 b\r\n", `"\x1bP1000p%layout-change @0 ` + splitLayout + " " + zoomed + ` *Z\r\n" %0 80x24 "a" %1 39x24 "b"`},
		{"sizes in an answer", begin + "0: sh* (1 panes) [100x40] [layout " + onePane + "] @1 (active)\n" + end + "%output %2 b\n", `"%begin 1795808564 260 0\r\n0: sh* (1 panes) [100x40] [layout aa7f,100x40,0,0,2] @1 (active)\n%end 1795808564 260 0\r\n%output %2 b\n" %2 100x40 "b"`},
		{"no escapes", begin + end + `%output %0 a\8b\12\377` + "\n", `"%begin 1795808564 260 0\r\n%end 1795808564 260 0\r\n%output %0 a\\8b\\12\\377\n" %0 80x24 "a\\8b\\12\xff"`},
		{"no panes", "\x1bP1000p%output 0 a\r\n%output %x b\r\n%output %99999999999 c\r\n%outputs %0 d\r\n%output  %0 e\r\n", `"\x1bP1000p%output 0 a\r\n%output %x b\r\n%output %99999999999 c\r\n%outputs %0 d\r\n%output  %0 e\r\n"`},
		{"a link in an answer doesn't end the string", "\x1bP1000p" + begin + "\x1b]8;;http://x\x1b\\x\x1b]8;;\x1b\\\r\n" + end + "%output %0 b\r\n", `"\x1bP1000p%begin 1795808564 260 0\r\n\x1b]8;;http://x\x1b\\x\x1b]8;;\x1b\\\r\n%end 1795808564 260 0\r\n" %0 80x24 "b"`},
		{"attached again", "\x1bP1000p%output %0 a\r\n%exit\r\n\x1b\\$ \x1bP1000p%output %0 b\r\n", `"\x1bP1000p%exit\r\n\x1b\\$ \x1bP1000p" %0 80x24 "ab"`},
		{"cut off, and attached again", "\x1bP1000p%output %0 a\r\n$ \x1b[m\x1bP1000p%output %0 b\r\n", `"\x1bP1000p$ \x1b[m\x1bP1000p" %0 80x24 "ab"`},
		{"another server", "\x1bP1000p%window-add @0\r\n%output %0 a\r\n%window-add @1\r\n%output %0 b\r\n%exit\r\n\x1b\\\x1bP1000p%window-add @0\r\n%output %0 c\r\n",
			`"\x1bP1000p%window-add @0\r\n%window-add @1\r\n%exit\r\n\x1b\\\x1bP1000p%window-add @0\r\n" %0 80x24 80x24 "abc"`},
		{"what tmux wouldn't write", "\x1bP1000p%output %0 a\x1b[2Jb\r\n%output %0 c\r\n", `"\x1bP1000p\x1b[2Jb\r\n" %0 80x24 "ac"`},
		{"a window closes", "\x1bP1000p%layout-change @0 " + splitLayout + "\r\n%output %1 a\r\n%window-close @0\r\n%output %1 b\r\n", `"\x1bP1000p%layout-change @0 ` + splitLayout + `\r\n%window-close @0\r\n" %1 39x24 80x24 "ab"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for step := range len(tc.in) { // 0 is all at once, n is n bytes at a time
				var got told
				s := New(got.options())
				for in := []byte(tc.in); len(in) > 0; {
					n := len(in)
					if step > 0 {
						n = min(n, step)
					}
					s.Write(0, in[:n])
					in = in[n:]
				}
				s.Close(0)
				if got.String() != tc.want {
					t.Fatalf("%d bytes at a time: got\n%s\nwant\n%s", step, &got, tc.want)
				}
				if got.open != 0 {
					t.Errorf("%d panes are open", got.open)
				}
			}
		})
	}
}

// What shows is the pane that tmux says is in front, of the window that is; without its word
// the one that was written to last; and what is around where that was.
func TestShown(t *testing.T) {
	var got told
	s := New(got.options())
	for _, step := range []struct{ in, want string }{
		{"$ ", ""}, {"\x1bP1000p%begin 1 1 0\r\n%end 1 1 0\r\n", ""}, {"%output %0 a\r\n", "%0"}, {"%output %1 a\r\n", "%1"},
		{"%layout-change @0 " + splitLayout + "\r\n%window-pane-changed @0 %0\r\n%session-window-changed $0 @0\r\n", "%0"}, {"%output %1 a\r\n", "%0"},
		{"%layout-change @1 " + onePane + "\r\n%output %2 x\r\n", "%0"}, {"%session-window-changed $0 @1\r\n", "%2"}, {"%session-window-changed $0 @0\r\n", "%0"},
		{"$ ls\r\n", ""}, {"%output %1 b\r\n", "%0"}, {"%begin 1 2 1\r\nx\r\n%end 1 2 1\r\n", ""}, {"%output %1 b\r\n", "%0"}, {"%exit\r\n\x1b\\", ""},
		{"%begin 1 1 0\r\n%output %0 x\r\n%end 1 1 0\r\n%output %0 x\r\n", ""}, // its user sees the lines
	} {
		s.Write(0, []byte(step.in))
		if name, _ := s.Shown(); name != step.want {
			t.Errorf("after %q %q shows, want %q", step.in, name, step.want)
		}
	}
}

// However many panes there are, so many are followed, and none is lost; who changes among
// them for ever is told of.
func TestPanesAreBounded(t *testing.T) {
	var got told
	s := New(got.options())
	s.Write(0, []byte("\x1bP1000p"))
	for i := range 1000 {
		s.Write(0, fmt.Appendf(nil, "%%output %%%d x\r\n", i))
	}
	if got.most > maxPanes+1 || len(got.panes) != 1000 || s.Unread() {
		t.Errorf("%d at once, %d panes, unread %v", got.most, len(got.panes), s.Unread())
	}
	for i := range 20_000 {
		s.Write(0, fmt.Appendf(nil, "%%output %%%d x\r\n", i%1000))
	}
	if !s.Unread() || len(s.panes) > maxPanes {
		t.Errorf("unread %v, %d panes", s.Unread(), len(s.panes))
	}
	if s.Close(0); got.open != 0 {
		t.Errorf("%d panes are open", got.open)
	}
}

// The cells of all panes are bounded, and what is known of panes that never write.
func TestCellsAreBounded(t *testing.T) {
	var got told
	s := New(got.options())
	s.Write(0, []byte("\x1bP1000p"))
	for i := range 5000 {
		body := fmt.Sprintf("9999x9999,0,0,%d", i)
		s.Write(0, fmt.Appendf(nil, "%%output %%%d x\r\n%%layout-change @%d %04x,%s\r\n", i, i, checksum([]byte(body)), body))
		if s.cells > maxCells {
			t.Fatalf("%d cells", s.cells)
		}
	}
	if len(s.sizes) > maxSizes || len(s.window) > maxSizes || len(got.closed) < 4000 {
		t.Errorf("%d sizes, %d windows, %d closed", len(s.sizes), len(s.window), len(got.closed))
	}
	if s.Write(0, append([]byte("%"), bytes.Repeat([]byte("x"), 10<<20)...)); len(s.parse.line) > maxLine {
		t.Errorf("a line of %d bytes is kept", len(s.parse.line))
	}
}

func TestLayout(t *testing.T) {
	for _, l := range []string{splitLayout, wideLayout, onePane, "2e31,100x40,0,0{50x40,0,0,0,24x40,51,0,1,24x40,76,0,3}"} {
		found := 0
		layouts([]byte("x "+l+" y"), func(_ size, panes map[uint32]size) { found = len(panes) })
		if found == 0 || found != strings.Count(l, "x")-strings.Count(l, "{") {
			t.Errorf("%s has %d panes", l, found)
		}
		for i := range len(l) {
			layouts([]byte(l[:i]), func(size, map[uint32]size) { t.Errorf("%q is a layout", l[:i]) })
			layout([]byte(l[:i])) // whatever its checksum
		}
	}
	if all, got := layout([]byte("80x24,0,0[80x12,0,0{40x12,0,0,5,39x12,41,0,6},80x11,0,13,7]")); fmt.Sprint(got) != "map[5:{40 12} 6:{39 12} 7:{80 11}]" || all != (size{80, 24}) {
		t.Errorf("%v %v", all, got)
	}
	for _, bad := range []string{"", "80x24", "80x24,0,0", "80x24,0,0{", "80x24,0,0{40x24,0,0,0", "80x24,0,0,0}", "80x24,0,0,%0", "80x24,0,0,0,", "x24,0,0,0", "80x24,0,0{40x24,0,0,0}}", strings.Repeat("80x24,0,0{", 10000)} {
		if _, got := layout([]byte(bad)); got != nil {
			t.Errorf("%.40q: %v", bad, got)
		}
	}
}

func TestKeys(t *testing.T) {
	var k Keys
	got := ""
	in := "send-keys -t %0 -l 'echo hi'\nsend -lt %1 \"a\\\"b\";send -t %1 0x0d 0xe9\nsend-keys -t%2 -H 6c 73 0d\nlist-windows\nsend-keys -X -t %0 cancel\n" +
		"send-keys -t sess:1.0 ls Enter C-c Space Up\n  send  -N 3 -t %4 é x\\;y\nsendmail x\n"
	for _, b := range []byte(in) {
		k.Sent([]byte{b}, func(pane string, keys []byte) { got += fmt.Sprintf("%s %q\n", pane, keys) })
	}
	want := "%0 \"echo hi\"\n%1 \"a\\\"b\"\n%1 \"\\r\\xe9\"\n%2 \"ls\\r\"\n \"ls\\r\\x03 \\x1b[A\"\n%4 \"éx;y\"\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if k.Sent(bytes.Repeat([]byte("send"), 1<<20), nil); len(k.line) > maxLine {
		t.Errorf("%d bytes are kept", len(k.line))
	}
}

func TestFade(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want bool
	}{
		{"text\r\n\x1b[31mred\x1b[0m\t\x1b[?2004h\x1b]0;title\x07\x1b]2;x\x1b\\\x1b(B\x1b[?25l", false},
		{"a\rb", true}, {"a\r\r\n", false}, {"a\b", true}, {"\x1b[K", true}, {"\x1b[2J", true}, {"\x1b[?1049h", true}, {"\x1b[?25;47l", true}, {"\x1bc", true}, {"\x1bM", true}, {"\x1b[5C", true},
	} {
		for step := 1; step <= len(tc.in); step++ {
			var f fade
			got := false
			for i := 0; i < len(tc.in); i += step {
				got = f.takes([]byte(tc.in[i:min(i+step, len(tc.in))])) || got
			}
			if got != tc.want {
				t.Errorf("%q, %d bytes at a time: %v", tc.in, step, got)
			}
		}
	}
}

func TestBare(t *testing.T) {
	for line, want := range map[string]bool{
		"%begin 1795808564 260 0": true, "1000p%end 1 2 0": true, "%layout-change @0 " + splitLayout + " " + zoomed + " *Z": true, "%error 1 2 3": true,
		"%begin 1 2 x": false, "%window-renamed @0 b": false, "%layout-change @0 secret": false, "%output %0 x": false, "": false,
	} {
		if got := Bare([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// FuzzStream: whatever comes, and in whatever pieces, the same is told of it; without a
// control string all is around panes, as it came; and what is followed is bounded.
func FuzzStream(f *testing.F) {
	const begin = "%begin 1 1 0\r\n%end 1 1 0\r\n"
	for _, in := range []string{
		"\x1bP1000p" + begin + `%output %0 a\033[31mb` + "\r\n%exit\r\n\x1b\\$ ", begin + "%output %0 a\\015\n", "\x1bP1000p%extended-output %1 2 : x\r\n%layout-change @0 " + splitLayout + " " + zoomed + " *Z\r\n%output %1 b\r\n%window-close @0\r\n",
		begin + "%window-pane-changed @0 %1\n%session-window-changed $0 @1\nx " + onePane + "\n", "\x1bP1000p%begin 5 6 1\r\n\x1b]8;;x\x1b\\\r\n%end 5 6 1\r\n",
	} {
		f.Add([]byte(in), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var whole, parts told
		a, b := New(whole.options()), New(parts.options())
		a.Write(0, in)
		n := max(1, int(step))
		for i := 0; i < len(in); i += n {
			b.Write(0, in[i:min(i+n, len(in))])
		}
		for _, s := range []*Stream{a, b} {
			if len(s.panes) > maxPanes || s.cells > maxCells || len(s.parse.line) > maxLine {
				t.Errorf("%d panes, %d cells, a line of %d bytes", len(s.panes), s.cells, len(s.parse.line))
			}
			s.Close(0)
		}
		if whole.String() != parts.String() || whole.doubts > 0 != (parts.doubts > 0) {
			t.Errorf("at once\n%s\n%d bytes at a time\n%s", &whole, n, &parts)
		}
		if !bytes.Contains(in, intro) && whole.around.String() != string(in) {
			t.Errorf("%q is around panes", whole.around.String())
		}
		if whole.around.Len() > len(in) || whole.open != 0 {
			t.Errorf("%d bytes of %d are around, %d panes are open", whole.around.Len(), len(in), whole.open)
		}
		var k Keys
		k.Sent(in, func(_ string, keys []byte) {
			if len(keys) > 2*len(in) {
				t.Errorf("%d bytes are typed by %d", len(keys), len(in))
			}
		})
	})
}
