package screen

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Where a control leaves the cursor elsewhere on some terminals, what is written there is told,
// however long after it, and however soon it is erased where it stands here.
func TestWhatIsWrittenAstrayIsTold(t *testing.T) {
	const secret = "secret leaves"
	for name, in := range map[string][2]string{ // what moves, and what erases here; Debian's tmux was seen to keep the secret but for some
		"HPR":                 {"\x1b[H\x1b[40a", "\x1b[1;41H\x1b[13X"},
		"VPR":                 {"\x1b[H\x1b[10e", "\x1b[11;1H\x1b[2K"},
		"HPB":                 {"\x1b[2;41H\x1b[40j", "\x1b[2;1H\x1b[13X"},
		"VPB":                 {"\x1b[9;1H\x1b[5k", "\x1b[4;1H\x1b[2K"},
		"CHT":                 {"\x1b[2;1H\x1b[5I", "\x1b[2;41H\x1b[13X"},
		"IL":                  {"\x1b[5;40H\x1b[L", "\x1b[5;35H\x1b[1K"},
		"DL":                  {"\x1b[5;40H\x1b[M", "\x1b[5;35H\x1b[1K"},
		"NEL as U+0085":       {"\x1b[10;10H\u0085", "\x1b[11;1H\x1b[2K"},
		"CUP by U+009B":       {"\x1b[10;10H\u009b3;3H", "\x1b[3;1H\x1b[2K"},
		"BS":                  {"\x1b[10;1H" + strings.Repeat("x", 81) + "\r\b", "\x1b[11;1H\x1b[2K"},
		"DECSTR, then DECRC":  {"\x1b[10;10H\x1b7\x1b[!p\x1b8", "\x1b[1;1H\x1b[2K"},
		"DECSTR in a region":  {"\x1b[20;21r\x1b[!p\x1b[21;1H", "\n\x1b[21;1H\x1b[2K"},
		"DECSCL in a region":  {"\x1b[?1049h\x1b[20;21r\x1b[61\"p\x1b[21;1H", "\n\n\n"},
		"DECCOLM":             {"\x1b[10;10H\x1b[?3l", "\x1b[10;1H\x1b[2K"},
		"DECSTBM in DECOM":    {"\x1b[?6h\x1b[5;9r", "\x1b[?6l\x1b[5;1H\x1b[2K"},
		"DECSTBM, larger":     {"\x1b[9;9H\x1b[5;900r", "\x1b[r\x1b[1;1H\x1b[2K"},
		"saved astray":        {"\x1b[H\x1b[40a\x1b7\x1b[9;9H\x1b8", "\x1b[1;41H\x1b[13X"},
		"only the row is put": {"\x1b[H\x1b[40a\x1b[4d", "\x1b[4;41H\x1b[13X"},
		"DECST8C":             {"\x1b[3g\x1b[?5W\x1b[10;10H\t", "\x1b[10;1H\x1b[2K\x1b[11;1H\x1b[2K"},
	} {
		for how, letters := range map[string]string{"forwards": secret, "each in another row here": strings.Join(strings.Split(secret, ""), "\x1b[A")} {
			var all strings.Builder
			tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
			tr.Write(time.Second, []byte(in[0]))
			if how != "forwards" && tr.term.astray == 0 { // the terminals differ otherwise
				continue
			}
			tr.Write(2*time.Second, []byte(letters+in[1]))
			tr.Write(3*time.Second, []byte("\x1b[23;1Hprompt"))
			tr.Close(time.Minute)
			if !strings.Contains(all.String(), secret) {
				t.Errorf("%s, %s: not told:\n%s", name, how, all.String())
			}
		}
	}
}

// What is erased where the cursor is astray may stand elsewhere.
func TestWhatIsErasedAstrayIsTold(t *testing.T) {
	for _, erase := range []string{"\x1b[2K", "\x1b[40X", "\x1b[40P", "\x1b[1J", "\x1b[M"} {
		var all strings.Builder
		tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
		tr.Write(time.Second, []byte("\x1b[11;1H\x1b[e\x1b7"))
		tr.Write(2*time.Second, []byte("\x1b[12;1H"+backwards(5, "secret leaves")+"\x1b8"+erase))
		tr.Write(3*time.Second, []byte("\x1b[23;1Hprompt"))
		tr.Close(time.Minute)
		if !strings.Contains(all.String(), "secret leaves") {
			t.Errorf("%q: not told:\n%s", erase, all.String())
		}
	}
}

// Once the cursor is put somewhere, all is as it was.
func TestWhatIsPutIsntAstray(t *testing.T) {
	for name, in := range map[string]string{
		"CR":             "\x1b[H\x1b[40a\r",
		"CHA":            "\x1b[H\x1b[40a\x1b[5G",
		"CUP":            "\x1b[H\x1b[40a\x1b[10e\x1b[5;5H",
		"VPA":            "\x1b[H\x1b[10e\x1b[5d",
		"IL in column 0": "\x1b[5;1H\x1b[L",
		"DECRC":          "\x1b[5;5H\x1b7\x1b[40a\x1b8",
		"DECSTR":         "\x1b[!p\x1b[?3;4l\x1b[4l\x1b>\x1b[5;5H",
		"DECSTBM":        "\x1b[5;24r\x1b[r\x1b[1;24r",
		"RIS":            "\x1b[?5W\x1b[40a\x1bc",
	} {
		var all strings.Builder
		tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
		tr.Write(time.Second, []byte(in))
		tr.Write(2*time.Second, []byte("passes\b\b\b\b\b\b      "))
		tr.Close(time.Minute)
		if strings.Contains(all.String(), "passes") {
			t.Errorf("%s: told:\n%s", name, all.String())
		}
	}
}

// What scrolls off a region of the main screen is told, however quickly: tmux keeps it above
// the screen. So is what it moves outside of a region.
func TestWhatLeavesARegionIsTold(t *testing.T) {
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintf(&lines, "secret %d\r\n", i)
	}
	for name, tt := range map[string]struct {
		in   string
		want int
	}{
		"line feeds":      {"\x1b[20;21r\x1b[20;1H" + lines.String() + "\x1b[r\x1b[20;1H\x1b[J", 499},
		"SU":              {"\x1b[20;24r" + strings.ReplaceAll(strings.ReplaceAll(lines.String(), "secret", "\x1b[20;1Hsecret"), "\r\n", "\x1b[S") + "\x1b[r", 500},
		"wrapped":         {"\x1b[20;22r\x1b[20;1H" + strings.Repeat("y", 77) + "secret 0\r\n\n\n\n\x1b[r", 1},
		"cleared":         {"\x1b[20;21r\x1b[20;1H" + lines.String() + "\x1b[r\x1b[H\x1b[2J\x1b[3J", 0},
		"another screen":  {"\x1b[?1049h\x1b[20;21r\x1b[20;1H" + lines.String() + "\x1b[r\x1b[20;1H\x1b[J\x1b[?1049l", 0},
		"IL outside":      {"\x1b[2;6r\x1b[1;1Hsecret 0\x1b[5L\x1b[1;1H\x1b[2K", 1},
		"DL outside":      {"\x1b[2;6r\x1b[12;1Hsecret 0\x1b[9;1H\x1b[M\x1b[12;1H\x1b[2K", 1},
		"IL, and nothing": {"\x1b[1;1Hsecret 0\x1b[5L\x1b[6;1H\x1b[2K", 0},
	} {
		told := map[string]bool{}
		tr := NewTranscript(80, 24, func(l Line) {
			if i := strings.Index(string(l.Text), "secret "); i >= 0 {
				told[string(l.Text[i:])] = true
			}
		})
		tr.Write(time.Second, []byte(tt.in))
		tr.Write(2*time.Second, []byte("\x1b[5;1Hprompt"))
		tr.Close(time.Minute)
		if len(told) != tt.want {
			t.Errorf("%s: %d lines, want %d", name, len(told), tt.want)
		}
	}
}
